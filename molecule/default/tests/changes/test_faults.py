"""Whatever dies, JupyterLab answers again by itself, with the same token, home and desktop."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import pytest

from tests.rehearsal.instance import Instance
from tests.server import probe, remote

BAR = 60.0
"""Seconds from the fault until JupyterLab has to answer."""

FAULTS = {
    "the main process is killed": "kill -9 $(docker inspect --format '{{.State.Pid}}' neurodesktop)",
    "the container is removed": "docker rm --force neurodesktop",
    "the container is stopped": "docker stop --time 5 neurodesktop",
    "docker is restarted": "systemctl restart docker.service",
    "the bridge is gone, too": "docker rm --force neurodesktop; docker network rm neurobatch || true",
}

pytestmark = pytest.mark.unit("docker.service", "neurodesktop.service")


@pytest.mark.parametrize("name", FAULTS)
def test_jupyterlab_comes_back(
    instance: Instance, root: Callable[..., str], token: str, measured: Callable[[str], None], name: str
) -> None:
    content = secrets.token_hex(8)
    root(f"docker exec --user jovyan neurodesktop sh -c 'echo {content} > ~/kept.txt'")
    before = root("docker inspect --format '{{.Id}} {{.State.StartedAt}}' neurodesktop")
    started = time.monotonic()
    root(FAULTS[name])
    remote.await_jupyter(instance, token, BAR)
    measured(f"{name}: JupyterLab answered after {time.monotonic() - started:.1f} s")
    assert root("docker inspect --format '{{.Id}} {{.State.StartedAt}}' neurodesktop") != before
    assert remote.token(instance) == token
    assert root("docker exec --user jovyan neurodesktop cat /home/jovyan/kept.txt") == content
    address = root("docker inspect --format '{{.NetworkSettings.Networks.neurobatch.IPAddress}}' neurodesktop")
    desktop = [(address, port) for port in (8080, 3389, 5901, 2222)]  # S0-28
    assert set(probe.from_server(instance, desktop).values()) == {"open"}
