"""Run the digits sweep on a server of its own and photograph its pages into docs/images, for scripts/screenshots."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = REPOSITORY / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WIDTH, HEIGHT = 1280, 860
COLOURS = 128
MAX_BYTES = 200_000


def run(home: Path, *words: str) -> str:
    """Run a command of ours in a home of its own and give its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LAUNCH_"))}
    command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    environment["LAUNCH_HOME"] = str(home)
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def photograph(page: Page, name: str, clip: dict[str, float] | None = None) -> None:
    """Keep what the page shows as a small PNG."""
    shot = page.screenshot(clip=clip, full_page=clip is not None)  # pyright: ignore[reportArgumentType]  # four numbers
    image = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS)
    path = IMAGES / f"{name}.png"
    image.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(REPOSITORY)}: {image.width} x {image.height}, {size} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"{path} is larger than {MAX_BYTES} bytes")


def settle(page: Page) -> None:
    """Wait until the page fetches nothing more and its timeline stands still."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(4000)


def photograph_sweep(page: Page, url: str, ui: str, sweep: dict[str, Any]) -> None:
    """Photograph the sweep's page, its children, its artifacts and its report."""
    path = sweep["url"].removeprefix(ui)
    for name, tab in (("sweep-page", "Logs"), ("children", "SubflowRuns"), ("sweep-artifacts", "Artifacts")):
        page.goto(f"{url}{path}?tab={tab}")
        settle(page)
        photograph(page, name)
    page.get_by_text(f"sweep-{sweep['sweep_id']}-report").first.click()
    page.locator("a[href*='/artifacts/artifact/']").last.click()
    page.locator("img[src^='data:image/png']").first.wait_for()
    settle(page)
    last = page.locator("img[src^='data:image/png']").last.bounding_box()
    if last is None:
        raise SystemExit("The report shows no picture.")
    left = 250
    photograph(
        page, "sweep-pictures", {"x": left, "y": 0, "width": WIDTH - left, "height": last["y"] + last["height"] + 30}
    )


def photograph_form(page: Page, url: str, source: Path) -> None:
    """Fill in the form of a custom run and photograph it."""
    page.goto(f"{url}/deployments")
    page.get_by_role("row").filter(has_text="run-job").get_by_role("link").first.click()
    page.wait_for_url("**/deployment/**")
    page.goto(page.url.partition("?")[0] + "/run")
    page.get_by_role("textbox", name="source").fill(str(source))
    page.get_by_role("main").get_by_role("textbox").nth(2).fill("train.py")
    page.locator(".cm-content").fill('{"hidden": 64, "optimizer": {"learning_rate": 0.1, "momentum": 0.9}}')
    settle(page)
    photograph(page, "custom-run-form")


JOB = """
from pathlib import Path
import launch_sdk as launch

schema = {"type": "object", "properties": {"trainer": {"type": "object", "title": "Trainer", "properties": {
    "learning_rate": {"type": "number", "title": "Learning rate", "minimum": 0, "maximum": 1},
    "optimizer": {"type": "string", "title": "Optimizer", "enum": ["adam", "sgd"]},
}}, "augment": {"type": "boolean", "title": "Augment the data"}}}
config = {"trainer": {"learning_rate": 0.1, "optimizer": "adam"}, "augment": False, "token": ""}
schema["properties"]["token"] = {"type": "string", "title": "Token of the data store", "format": "secret"}
with launch.init(config=config, register="digits-job"):
    launch.manage_config(schema=schema)
    launch.manage_config_file("model.yaml")
"""


def make_job(home: Path, folder: Path) -> None:
    """Make a job with a typed config and a config file, of a real run."""
    (folder / "train.py").write_text(JOB, encoding="utf-8")
    (folder / "model.yaml").write_text("hidden: 64\n", encoding="utf-8")
    agent = subprocess.Popen(
        [str(Path(sys.executable).parent / "launch-agent"), "--queues", "default"],
        env={**os.environ, "LAUNCH_HOME": str(home)},
    )
    try:
        run(home, "launch", "-q", "default", str(folder), "-E", "train.py")
    finally:
        agent.send_signal(signal.SIGINT)
        agent.wait()


def photograph_job(page: Page, url: str) -> None:
    """Photograph the form of a job's inputs."""
    page.goto(f"{url}/deployments")
    page.get_by_role("row").filter(has_text="digits-job").get_by_role("link").first.click()
    page.wait_for_url("**/deployment/**")
    page.goto(page.url.partition("?")[0] + "/run")
    page.get_by_role("spinbutton", name="Learning rate").wait_for()
    settle(page)
    photograph(page, "job-form")


def main() -> None:
    """Make every image, or those named on the command line: sweep, form, job."""
    wanted = set(sys.argv[1:]) or {"sweep", "form", "job"}
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        try:
            run(home, "launch", "server", "start")
            sweep: dict[str, Any] = {}
            if "sweep" in wanted:
                sweep = json.loads(run(home, "launch-sweep", "examples/digits/sweep.yaml", "--json"))
            if "job" in wanted:
                (home / "job").mkdir()
                make_job(home, home / "job")
            ui = run(home, "launch", "server", "url").strip()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
                if "sweep" in wanted:
                    photograph_sweep(page, f"{ui}/v2", ui, sweep)
                if "form" in wanted:
                    photograph_form(page, f"{ui}/v2", Path("/home/you/digits"))
                if "job" in wanted:
                    photograph_job(page, f"{ui}/v2")
                browser.close()
        finally:
            run(home, "launch", "server", "stop")


if __name__ == "__main__":
    main()
