"""A browser, and a project whose page it opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.chromium import chromium
from tests.support.page import Monitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Share one browser among the tests of this folder."""
    with chromium() as started:
        yield started


@pytest.fixture
def monitor(tmp_path: Path, browser: Browser) -> Iterator[Monitor]:
    """An empty project; nothing may have broken the page's policy in the end."""
    made = Monitor(tmp_path, browser)
    try:
        yield made
        assert made.page_errors() == []
    finally:
        made.close()
