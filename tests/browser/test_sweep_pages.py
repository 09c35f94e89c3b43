"""What a person sees of a sweep in the Prefect UI: while it runs, afterwards, and with names meant to do harm."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

T = TypeVar("T")
pytestmark = [pytest.mark.browser, pytest.mark.server]

IMAGE = "![x](http://evil.example/p.png)"
NAME = f"<script>alert(1)</script> | `tick` *star* {IMAGE}"
VALUES = ["a|b `c` **d**", "<img src=x onerror=alert(2)>", "two\nlines_", "[y](http://evil.example/)"]
METRIC = "loss|`m` <i>![m](http://evil.example/m.png)"
ERROR = f"<b>no</b> | `e` {IMAGE}"
PROGRAM = f"""
import time
from pathlib import Path
import launch_sdk as launch

with launch.init(config={{"gate": "", "optimizer": {{"lr": 1.0}}}}) as run:
    lr, text = run.config["optimizer"]["lr"], run.config["text"]
    deadline = time.monotonic() + 100
    while lr > 0.05 and not Path(run.config["gate"]).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if lr > 0.5 and text == {VALUES[0]!r}:
        raise ValueError({ERROR!r})
    run.log({{{METRIC!r}: float("nan") if lr > 0.5 and text == {VALUES[1]!r} else lr + len(text) / 1000}})
"""


@dataclass
class Sweep:
    """A sweep in progress: half of its runs wait for a file.

    Attributes:
        sweep_id, page: its id and the path of its page.
        gate: the file that lets the other half go.
        command: the `launch-sweep` that watches it.
        said: file that holds what the command says.
        home: LAUNCH_HOME of its server.
    """

    sweep_id: str
    page: str
    gate: Path
    command: subprocess.Popen[str]
    said: Path
    home: Any

    def finish(self) -> int:
        """Let it end; returns the exit code of its command. May be called again."""
        self.gate.touch()
        try:
            self.command.wait(timeout=120)
        except subprocess.TimeoutExpired:
            pytest.fail(f"The sweep did not end.\n{self.account()}")
        return self.command.returncode

    def account(self) -> str:
        """Tell all that is known of it, for a test that fails."""
        shown = self.home.run("launch", "sweep", "show", self.sweep_id)
        agents = [f"{log}:\n{log.read_text()[-3000:]}" for log in sorted((self.home.path / "agents").glob("*.log"))]
        return "\n".join([self.said.read_text()[-3000:], shown.stdout, shown.stderr, *agents])


@pytest.fixture(scope="module")
def sweep(home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    folder = tmp_path_factory.mktemp("sweep")
    gate = tmp_path_factory.mktemp("gate") / "open"
    (folder / "train.py").write_text(PROGRAM)
    parameters = {
        "gate": {"value": str(gate)},
        "optimizer": {"parameters": {"lr": {"values": [0.01, 0.1, 1.0]}}},
        "text": {"values": VALUES},
    }
    document = {
        "name": NAME,
        "description": f"about {IMAGE}",
        "program": "train.py",
        "method": "grid",
        "metric": {"name": METRIC, "goal": "minimize"},
        "parameters": parameters,
        "scheduler": {"num_workers": 2},
    }
    (folder / "sweep.yaml").write_text(json.dumps(document))
    said = folder.parent / f"{folder.name}.log"
    command = home.start_writing(said, "launch-sweep", str(folder / "sweep.yaml"))

    def created() -> re.Match[str] | None:
        return re.search(r"Created sweep (\w+): http://[^/]+(/\S+)\n", said.read_text())

    found = eventually(created, "no sweep was created")
    started = Sweep(found[1], found[2], gate, command, said, home)
    yield started
    started.finish()


def eventually(condition: Callable[[], T | None], message: str, sweep: Sweep | None = None) -> T:
    deadline = time.monotonic() + 90
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{message}\n{sweep.account() if sweep else ''}")
        time.sleep(0.3)
    return value


def artifact(home: Any, sweep: Sweep, name: str) -> dict[str, Any]:
    """Read an artifact over the API."""
    wanted = {"artifacts": {"key": {"any_": [f"sweep-{sweep.sweep_id}-{name}"]}}}
    found: list[dict[str, Any]] = httpx.post(f"{home.api_url}/artifacts/filter", json=wanted, timeout=20).json()
    assert len(found) <= 1, f"{len(found)} artifacts {name}"
    return found[0] if found else {"description": "", "data": ""}


def shows_pictures(page: Page, count: int) -> None:
    """Wait until so many pictures in the page's text were really decoded by the browser."""
    pictures = "[...document.images].filter(i => i.src.startsWith('data:image/png') && i.complete && i.naturalWidth)"
    page.wait_for_function(f"{pictures}.length >= {count}")


def test_progress_and_results_show_while_the_sweep_still_runs(sweep: Sweep, tab: Any, home: Any) -> None:
    assert not sweep.gate.exists()
    written = "4 finished of 12, 2 running"
    eventually(lambda: artifact(home, sweep, "progress")["description"].startswith(written), f"never {written}", sweep)
    eventually(lambda: "data:image/png" in artifact(home, sweep, "report")["data"], "no pictures while it runs", sweep)
    tab.open(f"/v2{sweep.page}?tab=Artifacts")
    tab.shows(written)
    tab.open(f"/v2/artifacts/artifact/{artifact(home, sweep, 'report')['id']}")
    shows_pictures(tab.page, 2)
    assert not sweep.gate.exists()
    assert sweep.command.poll() is None


@pytest.mark.parametrize("version", ["", "/v2"])
class TestAfterItsEnd:
    @pytest.fixture(autouse=True)
    def _ended(self, sweep: Sweep) -> None:
        assert sweep.finish() == 0, sweep.account()

    def test_the_runs_are_listed_under_the_sweep_by_index_and_parameters(
        self, sweep: Sweep, tab: Any, version: str
    ) -> None:
        tab.open(f"{version}{sweep.page}")
        tab.choose("Subflow Runs")
        tab.page.get_by_text(re.compile(r"^011 .*lr=1")).first.wait_for()
        tab.page.get_by_text(re.compile(r"12 (Subflow|Flow) runs", re.IGNORECASE)).first.wait_for()

    def test_the_progress_artifact_ends_at_a_hundred(self, sweep: Sweep, tab: Any, home: Any, version: str) -> None:
        tab.open(f"{version}/artifacts/artifact/{artifact(home, sweep, 'progress')['id']}")
        tab.shows("Progress: 100")

    def test_the_table_lists_every_run_and_shows_hostile_values_as_text(
        self, sweep: Sweep, tab: Any, home: Any, version: str
    ) -> None:
        tab.open(f"{version}/artifacts/artifact/{artifact(home, sweep, 'runs')['id']}")
        tab.shows("loss|`m` <i>![m](http")
        shown = tab.page.locator("body").inner_text().replace("\u2060", "")
        for text in (
            "<img src=x onerror=aler…",
            "two lines_",
            "[y](http://evil.example…",
            "a|b \u02cbc\u02cb \u2217\u2217d\u2217\u2217",
        ):
            assert text in shown
        assert tab.page.locator("td img").count() == 0
        assert {"run", "state", "duration", "lr", "link"} <= set(json.loads(artifact(home, sweep, "runs")["data"])[0])

    def test_the_report_links_each_run_and_shows_three_pictures(
        self, sweep: Sweep, tab: Any, home: Any, version: str
    ) -> None:
        tab.open(f"{version}/artifacts/artifact/{artifact(home, sweep, 'report')['id']}")
        shows_pictures(tab.page, 3)
        page: Page = tab.page
        expect(page.get_by_role("link", name=re.compile(r"^\d+$"))).to_have_count(12 + 5)
        target = tab.page.get_by_role("link", name="11", exact=True).first.get_attribute("href")
        assert target.startswith(f"{home.ui_url}/")
        tab.page.goto(target)
        tab.page.get_by_text(re.compile("^011 ")).first.wait_for()

    def test_hostile_names_and_errors_show_as_text_in_the_report(
        self, sweep: Sweep, tab: Any, home: Any, version: str
    ) -> None:
        tab.open(f"{version}/artifacts/artifact/{artifact(home, sweep, 'report')['id']}")
        shows_pictures(tab.page, 3)
        texts = (NAME, f"about {IMAGE}", ERROR, IMAGE, "a|b `c` **d**", "<img src=x onerror=", "two lines_")
        page: Page = tab.page
        for text in texts:
            expect(page.locator("body")).to_contain_text(text, use_inner_text=True)
        sources = tab.page.evaluate("[...document.images].map(image => image.src)")
        assert not [source for source in sources if "evil" in source]
        assert tab.page.get_by_role("link", name="y", exact=True).count() == 0


def test_the_pictures_are_png_of_the_width_that_was_meant(sweep: Sweep, home: Any) -> None:
    sweep.finish()
    urls = re.findall(r"\(data:image/png;base64,([^)]+)\)", artifact(home, sweep, "report")["data"])
    sizes = [Image.open(io.BytesIO(base64.b64decode(url))).size for url in urls]
    assert [width for width, _ in sizes] == [1380] * 3
