"""Whatever happens to a forward, it comes back by itself within its bound (S0-59)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from neurobatch.bench.access import BOUNDS, Server

from tests.rehearsal.instance import Instance

Measured = Callable[[str], None]


@pytest.fixture(scope="module")
def server(instance: Instance) -> Server:
    """The server as the bench reaches it."""
    return Server(Path(instance.state["inventory"]))


@pytest.mark.parametrize("forward", ["ui", "object-store"])
@pytest.mark.parametrize("fault", ["hung", "killed", "program_killed", "pod_deleted", "service_made_anew"])
def test_a_forward_comes_back(server: Server, measured: Measured, fault: str, forward: str) -> None:
    seconds = server.measure(fault, forward)
    measured(f"{forward} {fault}: away for {seconds:.1f} s (bound {BOUNDS[fault]} s)")
    assert seconds < BOUNDS[fault]


def test_it_comes_back_after_a_restart_of_docker(server: Server, measured: Measured) -> None:
    seconds = server.measure("docker_restarted")
    measured(f"docker_restarted: away for {seconds:.1f} s (bound {BOUNDS['docker_restarted']} s)")
    assert seconds < BOUNDS["docker_restarted"]


def test_it_comes_back_after_a_reboot(server: Server, instance: Instance, measured: Measured) -> None:
    seconds = server.reboot(instance.reboot)
    measured(f"rebooted: away for {seconds:.1f} s (bound {BOUNDS['rebooted']} s)")
    assert seconds < BOUNDS["rebooted"]


def test_a_hang_is_said_with_its_time(server: Server, root: Callable[..., str]) -> None:
    server.measure("hung", "ui")
    said = root("journalctl --unit=neurobatch-forward@ui.service --lines=20 --output=cat --no-pager")
    assert "no answer through the forward for" in said
    assert "s after the last answer" in said
