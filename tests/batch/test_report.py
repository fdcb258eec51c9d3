"""The smoke run's report as an operator opens it: in a browser, from the controlling machine's disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.server import browser, remote

HOST = "sandbox"
REPORTS = CHECKOUT / "reports" / HOST


def test_the_playbook_brought_the_report(instance: Instance) -> None:
    on_the_server = remote.root(instance, "cat /var/log/neurobatch/smoke/report.json")
    brought = (REPORTS / "smoke-report.json").read_text()
    assert json.loads(brought) == json.loads(on_the_server)
    assert json.loads(brought)["verdict"] == "smoke: SUCCEEDED (3 of 3 steps)"


def test_the_report_can_be_looked_at(instance: Instance, tmp_path: Path) -> None:
    with browser.page(tmp_path / "failure.png", width=1000, height=1150) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{REPORTS}/smoke-report.html")
        assert page.locator("p.verdict.good").inner_text() == "smoke: SUCCEEDED (3 of 3 steps)"
        assert page.locator("svg rect.SUCCEEDED").count() == 3
        for box in (page.locator("svg rect").nth(number).bounding_box() for number in range(3)):
            assert box and box["width"] >= 2 and box["height"] > 10
        assert page.locator("table.steps tr").count() == 4
        about = page.locator("table.about").inner_text()
        for words in ("2.0.0", "v1.20.2", "python:3.11", "sha256:", "http://127.0.0.1:31380/pipeline"):
            assert words in about, about
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
        assert len(asked) == 1, "the page needs no other file"
        picture = os.environ.get("NEUROBATCH_PICTURE")
        if picture:
            page.screenshot(path=picture)
