"""Every code block of the README and the docs is true: files are written, commands run, in the order of the page.

The blocks of a page share a folder. The word after a block's language says what becomes of it:

- `bash`: a new user's shell runs it, without a server's address; `bash refused`: it has to fail. `bash setup` is only
  looked at: its scripts have to exist. `bash service` goes on until the page is done.
- `python title="x.py"`, `yaml title=...`: the file is written; Python that nothing else on the page names is run.
- `text output`: its lines stand, in this order, in what the block before it printed; `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY, Home
from tests.engines import BASE, engine

if TYPE_CHECKING:
    from collections.abc import Generator

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", DOCS / "migrate-from-wandb.md", *sorted((DOCS / "how-to").glob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="(?P<name>[^"/]+(?:/[^"/.]+[^"/]*)*)"')
NEED_ENGINE = {"containers.md": "trainer:1"}  # a page's image of its reader's own
KINDS = {
    "bash",
    "bash refused",
    "bash service",
    "bash setup",
    "python",
    "yaml",
    "json",
    "mermaid",
    "dockerfile",
    "text output",
}


@dataclass(frozen=True)
class Block:
    kind: str
    title: str | None
    body: str


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    for match in FENCE.finditer(page.read_text()):
        title = TITLE.search(match["info"])
        kind = TITLE.sub("", match["info"]).strip()
        found.append(Block(kind, title["name"] if title else None, match["body"]))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_does_what_it_says(home: Home, tmp_path: Path, page: Path) -> None:
    blocks = blocks_of(page)
    if page.name in NEED_ENGINE:
        api = engine().api
        api.tag(BASE, *NEED_ENGINE[page.name].split(":"))
    assert {block.kind for block in blocks} <= KINDS, "a block of an unknown kind is a block that nobody runs"
    with ExitStack() as services:
        go_through(blocks, home, tmp_path, services)


def go_through(blocks: list[Block], home: Home, tmp_path: Path, services: ExitStack) -> None:
    commands = all_text(blocks)
    printed = ""
    for block in blocks:
        if block.title:
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.body)
            if block.kind == "python" and block.title not in commands:
                printed = run(home, [sys.executable, block.title], tmp_path)
        elif block.kind in {"bash", "bash refused"}:
            words = ["bash", "-euo", "pipefail", "-c", block.body]
            printed = run(home, words, tmp_path, refused=block.kind == "bash refused")
        elif block.kind == "bash service":
            services.enter_context(service(home, block.body.split(), tmp_path))
        elif block.kind == "bash setup":
            for command in re.findall(r"^\./(\S+)", block.body, re.MULTILINE):
                assert os.access(REPOSITORY / command, os.X_OK), command
        elif block.kind == "text output":
            assert shows(printed, block.body), f"the page shows\n{block.body}\nbut this was printed\n{printed}"


@contextmanager
def service(home: Home, words: list[str], directory: Path) -> Generator[None]:
    with (directory / "service.log").open("w") as log:
        process = subprocess.Popen(words, cwd=directory, env=environment_of(home), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def all_text(blocks: list[Block]) -> str:
    """What names a file without running it by itself: a command, a sweep's `program`."""
    return "\n".join(block.body for block in blocks if block.kind in {"bash", "bash refused", "yaml"})


def shows(printed: str, shown: str) -> bool:
    """Say whether the lines of a page are in the output, in their order; `...` stands for anything."""
    lines = [re.escape(line.strip()).replace(r"\.\.\.", ".*") for line in shown.splitlines() if line.strip() != "..."]
    text = "\n".join(line.strip() for line in printed.splitlines())
    return re.search(r"(?s:.*?)".join(rf"^{line}$" for line in lines), text, re.MULTILINE) is not None


def environment_of(home: Home) -> dict[str, str]:
    """What a new user's shell has; only the server's own folder is ours."""
    return home.environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(home.path / "server"),
        "LAUNCH_DISABLE_CODE": "false",
        "COLUMNS": "160",  # so that no line of a table is broken
    }


def run(home: Home, words: list[str], directory: Path, *, refused: bool = False) -> str:
    """Return what was printed: standard output, then standard error."""
    environment = environment_of(home)
    if words[0] != "bash":
        environment["PREFECT_API_URL"] = home.api_url
    done = subprocess.run(
        words, cwd=directory, env=environment, capture_output=True, text=True, timeout=170, check=False
    )
    assert (done.returncode != 0) is refused, f"{words[-1]}\n{done.stdout}\n{done.stderr}"
    return f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    ("shown", "is_there"),
    [("a = 1\nc", True), ("a = ...\n...\n  c", True), ("c\na = 1", False), ("a =", False), ("b...", True)],
)
def test_output_on_a_page_is_compared_line_by_line(shown: str, is_there: bool) -> None:
    assert shows("  a = 1\nbb\nc\n", shown) is is_there


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*PAGES, *DOCS.rglob("*.md"), REPOSITORY / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
