"""A scientist in a real browser: the printed link, the template in the visual editor, Run (S0-68, S0-76 to S0-81)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.access import use
from tests.rehearsal.instance import Instance
from tests.rehearsal.tunnel import tunnel
from tests.server import browser, remote

FOLDER = "batch-template"
#: JupyterLab's question about its news would lie over the picture.
NO_NEWS = ("@jupyterlab/apputils-extension:notification", {"fetchNews": "false"})

pytestmark = pytest.mark.skipif(not browser.available(), reason="needs Chromium")


@pytest.fixture(scope="module")
def link(instance: Instance) -> str:
    """What the command of site.yml's last line prints, run as the operator runs it."""
    return instance.ssh("sudo /usr/local/bin/neurodesktop-link").stdout.strip()


@pytest.fixture
def page(instance: Instance, link: str, screenshots: Path) -> Iterator[Page]:
    """JupyterLab, logged in by the printed link through a tunnel, with the template open in the visual editor."""
    with tunnel(instance, 8888) as url, browser.page(screenshots / "failure.png", width=1500, height=1150) as opened:
        headers = {"Authorization": f"token {remote.token(instance)}"}
        name, settings = NO_NEWS
        raw = {"raw": json.dumps(settings)}
        requests.put(f"{url}/lab/api/settings/{name}", json=raw, headers=headers, timeout=20).raise_for_status()
        # The port on this machine is the tunnel's; the rest is as it was printed (S0-26).
        opened.goto(re.sub(r"^http://127\.0\.0\.1:8888", url, link) + "&reset", timeout=60_000)
        opened.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)
        opened.locator(f'.jp-DirListing-item[title*="{FOLDER}"]').first.dblclick(timeout=60_000)
        opened.locator('.jp-DirListing-item[title*="batch-template.pipeline"]').first.dblclick()
        opened.get_by_text("Runtime: Kubeflow Pipelines").wait_for(timeout=60_000)
        opened.get_by_text("tools.ipynb").last.wait_for(timeout=30_000)
        yield opened


def test_everything_is_filled_in(page: Page, screenshots: Path, instance: Instance) -> None:
    page.get_by_role("button", name="Open Panel").click()
    volume = "input#root_pipeline_defaults_mounted_volumes_{}_{}"
    expect(page.locator(volume.format(0, "path"))).to_have_value("/cvmfs/neurodesk.ardc.edu.au")  # S0-76
    expect(page.locator(volume.format(0, "pvc_name"))).to_have_value("cvmfs-neurodesk")
    expect(page.locator(volume.format(1, "path"))).to_have_value("/neurodesktop-storage")
    expect(page.locator(volume.format(1, "pvc_name"))).to_have_value("neurodesktop-storage")
    image = page.locator("select#root_pipeline_defaults_runtime_image option:checked")
    expect(image).to_have_text("Neurodesktop Runtime Image")  # S0-77
    image.locator("..").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / f"pipeline-{instance.stack}.png")
    assert page.locator(".jp-Dialog").all_inner_texts() == []


@pytest.mark.stack("rehearsal-2.5.0")
def test_run_is_pressed_and_the_run_succeeds(
    page: Page, screenshots: Path, instance: Instance, measured: Callable[[str], None]
) -> None:
    before = {run["run_id"] for run in use.api(instance, "runs?page_size=100").get("runs", [])}
    page.get_by_role("button", name="Run Pipeline").click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for(timeout=30_000)
    expect(dialog).to_contain_text("Neurodesktop Kubeflow Runtime")
    page.screenshot(path=screenshots / "run-dialog.png")
    started = time.monotonic()
    dialog.get_by_role("button", name="OK").click()
    done = page.locator(".jp-Dialog", has_text="Job submission")
    done.wait_for(timeout=120_000)
    page.screenshot(path=screenshots / "run-submitted.png")
    expect(done).to_contain_text("succeeded")
    (run_id,) = {run["run_id"] for run in use.api(instance, "runs?page_size=100")["runs"]} - before
    run = use.follow(instance, run_id)
    assert run["state"] == "SUCCEEDED", run
    measured(f"from OK in the editor to a finished run: {time.monotonic() - started:.0f} s")
    done.get_by_role("button", name="OK").click()
    with tunnel(instance, 31380) as ui:
        page.goto(ui, timeout=30_000)
        expect(page.locator("body")).to_contain_text(run["display_name"])
        page.screenshot(path=screenshots / "runs.png")
