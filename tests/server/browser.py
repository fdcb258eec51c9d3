"""A real browser without a screen: Debian's Chromium, driven by playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.rehearsal.common import Refusal
from tests.rehearsal.engine import apt_install

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def available() -> bool:
    """Tell whether the browser is there, or can be installed by us."""
    return bool(shutil.which("chromium") or (os.geteuid() == 0 and shutil.which("apt-get")))


def chromium() -> Path:
    """Return the browser's program, installing Debian's package (and a font) when it is not there.

    Raises:
        Refusal: it is not there and cannot be installed.
    """
    if shutil.which("chromium") is None:
        apt_install("chromium", "fonts-dejavu-core")
    found = shutil.which("chromium")
    if found is None:
        raise Refusal("The package chromium has brought no program `chromium`.")
    return Path(found)


@contextlib.contextmanager
def page(failure: Path, width: int = 1280, height: int = 1010) -> Iterator[Page]:
    """Yield an empty page of a browser that goes away afterwards.

    Args:
        failure: where a picture of the page is kept when something fails.
        width: CSS pixels.
        height: CSS pixels.
    """
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        opened = browser.new_page(viewport={"width": width, "height": height})
        try:
            yield opened
        except Exception:
            opened.screenshot(path=failure)
            raise
        finally:
            browser.close()
