"""A real Chromium that looks at a real server's pages and may fetch nothing from anywhere else."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator

CHROMIUM = "/usr/bin/chromium"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
PATIENCE_MS = 40_000


@dataclass
class Tab:
    """A browser tab on one server, and every address that it asked for.

    Attributes:
        page: Playwright's page.
        ui_url: address of the server's pages.
        asked: every URL that a request went out to.
    """

    page: Page
    ui_url: str
    asked: list[str] = field(default_factory=list[str])

    def open(self, path: str) -> None:
        """Go to a path of the server, `/v2/...` for version 2 of its UI, and wait for the page's frame."""
        self.page.goto(self.ui_url + path, timeout=PATIENCE_MS)

    def choose(self, name: str) -> None:
        """Click a tab, a button or a link by its whole text."""
        self.text(name).click(timeout=PATIENCE_MS)

    def text(self, text: str) -> Locator:
        return self.page.get_by_text(text, exact=True).first

    def write(self, editor: Locator, text: str) -> None:
        """Replace what stands in a code editor, as a person does: select all, type, look; again if it was too early."""
        for _ in range(20):
            editor.click(timeout=PATIENCE_MS)
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.insert_text(text)
            self.page.wait_for_timeout(300)
            if editor.inner_text().strip() == text:
                return
        pytest.fail(f"the editor shows {editor.inner_text()!r}, not {text!r}")

    def shows(self, text: str) -> None:
        """Wait until the page shows a text somewhere."""
        self.page.get_by_text(text).first.wait_for(timeout=PATIENCE_MS)

    @property
    def strangers(self) -> list[str]:
        """The addresses outside the server that a request went out to."""
        local = {urlsplit(self.ui_url).netloc, ""}
        return [url for url in self.asked if urlsplit(url).netloc not in local]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        message = f"{CHROMIUM} is missing. On Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def tab(browser: Browser, home: Any) -> Iterator[Tab]:
    """A fresh profile; the test fails if its pages asked anything of another host."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    tab = Tab(context.new_page(), home.ui_url)
    tab.page.on("request", lambda request: tab.asked.append(request.url))
    tab.page.on("dialog", lambda dialog: pytest.fail(f"a page ran a script of ours: {dialog.message}"))
    yield tab
    context.close()
    assert tab.asked, "the tab was never used"
    assert not tab.strangers
