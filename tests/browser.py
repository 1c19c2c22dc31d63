"""A headless Chromium for tests of HTML pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """The browser at the path BENCH_BROWSER or, if that is not set, one on PATH; skips the test if there is none.

    Playwright's own browsers are not used, since only its package can be installed from PyPI.
    """
    path = os.environ.get("BENCH_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"needs a browser: BENCH_BROWSER is not set, and none of {', '.join(NAMES)} is on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@contextmanager
def page(browser: "Browser", url: str, problems: list[str], **options: Any) -> Iterator["Page"]:
    """An open page; adds errors, and messages on the console, to `problems`."""
    context = browser.new_context(**options)
    opened = context.new_page()
    opened.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    opened.on("response", lambda response: _note(response.status, response.url, problems))
    opened.goto(url)
    yield opened
    context.close()


def _note(status: int, url: str, problems: list[str]) -> None:
    if status >= 400:
        problems.append(f"{status}: {url}")
