"""A job's inputs as a typed form of the Prefect UI: filled in, submitted, seen by the program; wrong values refused."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Home, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.server]

PROGRAM = """
import json
from pathlib import Path
import launch_sdk as launch

schema = {"type": "object", "properties": {
    "trainer": {"type": "object", "title": "Trainer", "properties": {
        "lr": {"type": "number", "title": "Learning rate", "description": "Of the optimizer.", "minimum": 0,
            "maximum": 1},
        "steps": {"type": "integer", "title": "Steps", "minimum": 1},
        "optimizer": {"type": "string", "title": "Optimizer", "enum": ["adam", "sgd"]},
    }},
    "fast": {"type": "boolean", "title": "Fast"},
    "token": {"type": "string", "title": "Token", "format": "secret"},
}}
config = {"trainer": {"lr": 0.1, "steps": 3, "optimizer": "adam"}, "fast": False, "token": "own", "out": ""}
with launch.init(config=config, register="formed") as run:
    launch.manage_config(exclude=["out"], schema=schema)
    launch.manage_config_file("conf/model.yaml")
    overrides = json.loads((Path(run.dir) / "overrides.json").read_text())
    seen = {"config": dict(run.config), "file": Path("conf/model.yaml").read_text(), "overrides": overrides["config"]}
    run.summary["seen"] = json.dumps(seen)
"""
MODEL = "depth: 3  # layers\nkind: mlp\n"


@pytest.fixture(scope="module")
def agent(home: Home) -> Iterator[None]:
    process = home.start("launch-agent", "--queues", "default", "--max-jobs", "2")
    yield
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def job(home: Home, agent: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job made of a real run."""
    del agent
    code = tmp_path_factory.mktemp("formed")
    (code / "conf").mkdir()
    (code / "conf" / "model.yaml").write_text(MODEL)
    (code / "train.py").write_text(PROGRAM)
    view = home.json("launch", "-q", "default", str(code), "-E", "train.py")
    assert view["state"] == "finished", view["error"]
    return "formed"


def open_form(tab: Any, job: str) -> Page:
    """Find the job's form as a person does: over the list of deployments."""
    page = tab.page
    tab.open("/v2/deployments")
    page.get_by_role("row").filter(has_text=job).get_by_role("link").first.click()
    page.wait_for_url("**/deployment/**")
    page.goto(page.url.partition("?")[0] + "/run")
    rate = page.get_by_role("spinbutton", name=re.compile("Learning rate"))
    rate.wait_for()
    eventually(lambda: rate.input_value() == "0.1", "the form never had its defaults")
    return page


def runs_of(home: Home, job: str) -> list[Any]:
    return [run for run in home.json("launch", "run", "list") if run["job"] == job]


def test_the_form_has_a_typed_field_for_each_input_with_its_default(job: str, tab: Any) -> None:
    page = open_form(tab, job)
    main = page.get_by_role("main")
    assert main.get_by_role("spinbutton", name=re.compile("Steps")).input_value() == "3"
    assert main.get_by_role("spinbutton", name=re.compile("depth")).input_value() == "3"
    assert main.get_by_role("textbox", name=re.compile("kind")).input_value() == "mlp"
    assert main.get_by_role("button", name=re.compile("Optimizer")).inner_text() == "adam"
    assert not main.get_by_role("switch", name=re.compile("Fast")).is_checked()
    token = main.get_by_role("textbox", name=re.compile("Token"))
    assert (token.get_attribute("type"), token.input_value()) == ("password", "")
    for text in ("config", "Trainer", "conf/model.yaml", "Of the optimizer."):
        tab.shows(text)
    for fixed in ("source", "entry_point", "inputs", "out"):
        assert not main.get_by_text(re.compile(f"^{fixed}\\b")).count()


def test_the_program_sees_what_was_typed_and_only_that_overrides_it(home: Home, job: str, tab: Any) -> None:
    page = open_form(tab, job)
    before = len(runs_of(home, job))
    page.get_by_role("spinbutton", name=re.compile("Learning rate")).fill("0.25")
    page.get_by_role("button", name=re.compile("Optimizer")).click()
    page.get_by_role("option", name="sgd").click()
    page.get_by_role("switch", name=re.compile("Fast")).click()
    page.get_by_role("textbox", name=re.compile("Token")).fill("typed")
    page.get_by_role("spinbutton", name=re.compile("depth")).fill("9")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name="Submit").wait_for(state="detached")

    def finished() -> Any:
        runs = runs_of(home, job)
        return runs[0] if len(runs) > before and runs[0]["state"] in {"finished", "failed"} else None

    run = eventually(finished, "the run of the form never ended", 90)
    assert run["state"] == "finished", run["error"]
    seen = json.loads(run["summary"]["seen"])
    assert seen["config"] == {
        "trainer": {"lr": 0.25, "steps": 3, "optimizer": "sgd"},
        "fast": True,
        "token": "typed",
        "out": "",
    }
    assert seen["file"] == MODEL.replace("3", "9")
    assert seen["overrides"] == {"trainer": {"lr": 0.25, "optimizer": "sgd"}, "fast": True, "token": "typed"}


def test_a_wrong_value_is_refused_by_the_form(home: Home, job: str, tab: Any) -> None:
    page = open_form(tab, job)
    before = len(runs_of(home, job))
    rate = page.get_by_role("spinbutton", name=re.compile("Learning rate"))
    rate.fill("7")
    page.get_by_role("button", name="Submit").click()
    told = eventually(lambda: rate.evaluate("field => field.validationMessage"), "the form said nothing")
    assert "less than or equal to 1" in told
    assert rate.evaluate("field => field === document.activeElement")
    assert page.get_by_role("button", name="Submit").is_visible()
    assert len(runs_of(home, job)) == before
