"""A real browser, offline, that remembers everything a page complained about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's chromium, headless. In CI it must be there."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        reason = "no chromium on this machine; Debian's package is `chromium`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page and what went wrong or out while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def open_file(browser: Browser, path: Path, *, width: int = 1280, **options: str) -> Opened:
    """Open a file without a network."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, offline=True, accept_downloads=True, **options
    )
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
    context.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(path.as_uri())
    return opened


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Opened]]:
    """`open_file` in the test's own pages, closed at its end."""
    pages: list[Opened] = []

    def open_one(path: Path, **options: Any) -> Opened:
        pages.append(open_file(chromium, path, **options))
        return pages[-1]

    yield open_one
    for opened in pages:
        opened.page.context.close()
