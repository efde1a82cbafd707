"""MLflow's pages in a headless Chromium."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WIDE, HIGH = 1500, 760
PATIENCE = 120_000  # milliseconds: on a loaded machine a page takes long


@contextmanager
def browser() -> Iterator[Any]:
    """A page of Chromium; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as running:
        window = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = window.new_page(viewport={"width": WIDE, "height": HIGH})
        page.set_default_timeout(PATIENCE)
        yield page
        window.close()


def show(page: Any, address: str, *texts: str) -> None:
    """Open an address anew and wait until these texts are to be read."""
    page.goto("about:blank")
    page.goto(address)
    for text in texts:
        page.get_by_text(text).first.wait_for()
    beside = page.get_by_label("Close", exact=True).locator("visible=true")  # a panel that covers part of it
    if beside.count():
        beside.first.click()


def keep(page: Any, file: Path) -> None:
    """A picture of the page in few colours, which keeps it small."""
    from PIL import Image

    picture = Image.open(io.BytesIO(page.screenshot()))
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").quantize(64).save(file, optimize=True)
