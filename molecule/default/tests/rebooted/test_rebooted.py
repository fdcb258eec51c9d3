"""After a reboot JupyterLab answers again without a human, with the same token and the same home."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.rehearsal.instance import Instance
from tests.server import reboot, remote

BAR = 120.0
"""Seconds from the order to reboot until JupyterLab has to answer."""

pytestmark = pytest.mark.unit("docker.service", "neurodesktop.service")


def test_jupyterlab_comes_back_by_itself(instance: Instance, measured: Callable[[str], None]) -> None:
    before = reboot.recorded(instance)
    assert reboot.init_started(instance) != before["pid1"], "the server was not restarted"
    remote.await_jupyter(instance, before["token"], BAR)
    taken = time.time() - before["at"]
    measured(f"JupyterLab answered {taken:.0f} s after the order to reboot")
    assert taken < BAR


def test_token_and_home_are_kept(instance: Instance, root: Callable[..., str], token: str) -> None:
    before = reboot.recorded(instance)
    assert token == before["token"]
    assert root(f"docker exec --user jovyan neurodesktop cat /home/jovyan/{reboot.HOME_FILE}") == before["home_file"]
