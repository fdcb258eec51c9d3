"""What a scientist sees first: JupyterLab's launcher with Elyra's editors, in a real browser through the tunnel."""

from __future__ import annotations

import pytest

from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.rehearsal.tunnel import tunnel
from tests.server import browser

SCREENSHOT = CHECKOUT / ".rehearsal" / "screenshots" / "launcher.png"
"""Outside of the instance's own folder, which goes away with the server."""


@pytest.mark.unit("neurodesktop.service")
def test_the_launcher_offers_elyras_editors(instance: Instance, token: str) -> None:
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    with tunnel(instance, 8888) as url, browser.page() as page:
        page.goto(f"{url}/lab?token={token}", timeout=60_000)
        section = page.locator(".jp-Launcher-section", has=page.get_by_role("heading", name="Elyra"))
        section.wait_for(timeout=60_000)
        cards = section.locator(".jp-LauncherCard").all_inner_texts()
        page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=30_000)
        page.screenshot(path=SCREENSHOT)
    names = [" ".join(card.split()) for card in cards]
    print(names)
    assert "Kubeflow Pipelines Pipeline Editor" in names
    assert "Generic Pipeline Editor" in names
