"""What a scientist sees first: JupyterLab's launcher with Elyra's editors, in a real browser through the tunnel."""

from __future__ import annotations

import json

import pytest
import requests

from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.rehearsal.tunnel import tunnel
from tests.server import browser

SCREENSHOTS = CHECKOUT / ".rehearsal" / "screenshots"
"""Outside of the instance's own folder, which goes away with the server."""
KUBEFLOW = "Kubeflow Pipelines Pipeline Editor"
#: JupyterLab's question about its news would lie over the picture.
NO_NEWS = ("@jupyterlab/apputils-extension:notification", {"fetchNews": "false"})


@pytest.mark.skipif(not browser.available(), reason="needs Chromium: sudo apt-get install chromium fonts-dejavu-core")
@pytest.mark.unit("neurodesktop.service")
def test_the_launcher_offers_elyras_editors(instance: Instance, token: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    headers = {"Authorization": f"token {token}"}
    with tunnel(instance, 8888) as url, browser.page(SCREENSHOTS / "failure.png") as page:
        name, settings = NO_NEWS
        told = requests.put(
            f"{url}/lab/api/settings/{name}", json={"raw": json.dumps(settings)}, headers=headers, timeout=20
        )
        assert told.status_code == 204
        # S0-26: the link with the token is all that is needed.
        page.goto(f"{url}/lab?token={token}&reset", timeout=60_000)
        section = page.locator(".jp-Launcher-section", has=page.get_by_role("heading", name="Elyra"))
        card = section.locator(f'.jp-LauncherCard[title="{KUBEFLOW}"]')
        card.wait_for(timeout=60_000)
        page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=30_000)
        page.screenshot(path=SCREENSHOTS / "launcher.png")
        titles = [entry.get_attribute("title") for entry in section.locator(".jp-LauncherCard").all()]
        assert {KUBEFLOW, "Generic Pipeline Editor", "Create a new Python Editor"} <= set(titles)

        # S0-68: and it opens.
        assert page.locator(".jp-Dialog").all_inner_texts() == []  # an error would lie over everything

        card.click()
        page.get_by_text("Runtime: Kubeflow Pipelines").wait_for(timeout=30_000)
        page.screenshot(path=SCREENSHOTS / "pipeline-editor.png")
        requests.delete(f"{url}/api/contents/untitled.pipeline", headers=headers, timeout=20).raise_for_status()
