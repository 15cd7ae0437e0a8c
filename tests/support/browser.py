"""A real headless browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.patience import PATIENCE_SECS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def browser() -> Iterator[Browser]:
    """Ended with the block; the test is skipped where the machine has none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        # No sandbox: tests run as root in containers; it opens nothing but our own page.
        started = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=PATIENCE_SECS * 1000
        )
        try:
            yield started
        finally:
            started.close()


def opened(started: Browser, address: str, *, told: list[str], dark: bool = False) -> Page:
    """A new page of its own profile. What its console, or an error, says is in `told`."""
    context = started.new_context(color_scheme="dark" if dark else "light")
    context.set_default_timeout(PATIENCE_SECS * 1000)
    page = context.new_page()
    page.on("console", lambda one: told.append(f"{one.type}: {one.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.goto(address)
    return page
