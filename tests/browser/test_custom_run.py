"""Starting a run with the form of the Prefect UI, and stopping a sweep with its button."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import TimeoutError  # noqa: A004  # the library's own name

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.server]

REPORTS_ITS_INPUTS = """
import json, sys
from pathlib import Path
import launch_sdk as launch

with launch.init(config={"lr": 0.1, "layers": [1], "out": ""}) as run:
    seen = {"lr": run.config["lr"], "layers": list(run.config["layers"]), "args": sys.argv[1:]}
    Path(run.config["out"]).write_text(json.dumps(seen))
"""
SAYS_THAT_IT_RUNS = """
import time
from pathlib import Path
import launch_sdk as launch

with launch.init(config={"folder": "", "x": 0.0}) as run:
    beat = Path(run.config["folder"]) / str(run.config["x"])
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        beat.write_text(str(time.time()))
        time.sleep(0.1)
"""


def eventually(condition: Callable[[], Any], message: str, timeout_s: float = 90.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(message)
        time.sleep(0.2)
    return value


@pytest.fixture(scope="module")
def agent(home: Any) -> Iterator[subprocess.Popen[str]]:
    process = home.start("launch-agent", "--queues", "default", "--max-jobs", "2")
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def deployment_page(tab: Any) -> str:
    """Find the form of `run-job/default` as a person does: over its page."""
    row = tab.page.get_by_role("row").filter(has_text="run-job")

    def is_listed() -> bool:
        tab.open("/v2/deployments")
        with contextlib.suppress(TimeoutError):
            row.first.wait_for(timeout=3000)
        return bool(row.count())

    eventually(is_listed, "run-job is not listed")
    href = row.get_by_role("link").first.get_attribute("href")
    assert href is not None
    return str(href)


def test_a_program_sees_what_was_typed_into_the_form(agent: subprocess.Popen[str], tab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "report.py").write_text(REPORTS_ITS_INPUTS)
    out = tmp_path / "seen.json"
    page = tab.page
    tab.open(f"{deployment_page(tab)}/run")
    page.get_by_role("textbox", name="source").fill(str(folder))
    boxes = page.get_by_role("main").get_by_role("textbox")  # the run's name, source, the words of entry_point and args
    boxes.nth(2).fill("report.py")
    page.get_by_role("button", name="Add item").nth(1).click()
    boxes.nth(3).fill("--fast & loose")
    tab.write(page.locator(".cm-content").first, json.dumps({"lr": 0.25, "layers": [3, 4], "out": str(out)}))
    with page.expect_response(re.compile(r"/create_flow_run$")) as submitted:
        page.get_by_role("button", name="Submit").click()
    assert submitted.value.ok, submitted.value.text()
    eventually(out.exists, "the program never ran")
    assert agent.poll() is None
    seen = json.loads(eventually(out.read_text, "the program wrote nothing"))
    assert seen == {"lr": 0.25, "layers": [3, 4], "args": ["--fast & loose"]}


@pytest.mark.usefixtures("agent")
def test_the_cancel_button_of_a_sweep_stops_its_runs(home: Any, tab: Any, tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    beats.mkdir()
    (tmp_path / "beat.py").write_text(SAYS_THAT_IT_RUNS)
    document = {
        "program": "beat.py",
        "method": "grid",
        "parameters": {"folder": {"value": str(beats)}, "x": {"values": [1.0, 2.0, 3.0, 4.0]}},
        "scheduler": {"num_workers": 2},
    }
    (tmp_path / "sweep.yaml").write_text(json.dumps(document))
    sweep = home.json("launch-sweep", str(tmp_path / "sweep.yaml"), "--detach")
    eventually(lambda: len(list(beats.iterdir())) == 2, "the runs of the sweep never started")
    path = re.sub(r"^https?://[^/]+", "", sweep["url"])
    tab.open(f"/v2{path}")
    page = tab.page
    page.get_by_text("Running", exact=True).first.wait_for()
    page.locator("main header button, main button[aria-haspopup='menu']").first.click()
    page.get_by_role("menuitem", name="Cancel").click()
    page.get_by_role("dialog").or_(page.get_by_role("alertdialog")).get_by_role(
        "button", name=re.compile("Cancel", re.IGNORECASE)
    ).last.click()

    def ended() -> Any:
        shown = home.json("launch", "sweep", "show", sweep["sweep_id"])
        states = {run["state"] for run in shown["runs"]}
        return shown if shown["state"] == "cancelled" and states == {"cancelled"} else None

    shown = eventually(ended, "the sweep or its runs did not end")
    assert len(shown["runs"]) == 2
    before = {beat.name: beat.read_text() for beat in beats.iterdir()}
    time.sleep(0.5)  # five times the programs' own pace: none may write any more
    assert {beat.name: beat.read_text() for beat in beats.iterdir()} == before
    tab.page.reload()
    page.get_by_text("Cancelled", exact=True).first.wait_for()
