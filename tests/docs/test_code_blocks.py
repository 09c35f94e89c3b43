"""Every code block of the README and the docs is true: files are written, commands run, in the order of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Home

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs" / "how-to").glob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="(?P<name>[^"/]+)"')
KINDS = {"bash", "bash setup", "python", "yaml", "json", "mermaid"}


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
    assert {block.kind for block in blocks} <= KINDS, "a block of an unknown kind is a block that nobody runs"
    commands = "\n".join(block.body for block in blocks if block.kind == "bash")
    for block in blocks:
        if block.title:
            (tmp_path / block.title).write_text(block.body)
            if block.kind == "python" and block.title not in commands and f"{block.title}" not in all_text(blocks):
                run(home, [sys.executable, block.title], tmp_path)
        elif block.kind == "bash":
            run(home, ["bash", "-euo", "pipefail", "-c", block.body], tmp_path)
        elif block.kind == "bash setup":
            for command in re.findall(r"^\./(\S+)", block.body, re.MULTILINE):
                assert os.access(REPOSITORY / command, os.X_OK), command


def all_text(blocks: list[Block]) -> str:
    """What names a file without running it by itself: a sweep's `program`."""
    return "\n".join(block.body for block in blocks if block.kind in {"bash", "yaml"})


def run(home: Home, words: list[str], directory: Path) -> None:
    environment = home.environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": home.api_url,
        "PREFECT_HOME": str(home.path / "server"),
    }
    if words[0] == "bash":
        del environment["PREFECT_API_URL"]  # as in a new user's shell
    done = subprocess.run(
        words, cwd=directory, env=environment, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, f"{words[-1]}\n{done.stdout}\n{done.stderr}"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*PAGES, *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
