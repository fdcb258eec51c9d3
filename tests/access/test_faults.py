"""Whatever happens to a forward, it comes back by itself within its bound (S0-59)."""

from __future__ import annotations

import time
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
    since = root("date '+%Y-%m-%d %H:%M:%S'").strip()
    server.measure("hung", "ui")
    # Our own question is answered up to a second before the unit asks the next of its own.
    deadline = time.monotonic() + 15
    journal = f"journalctl --unit=neurobatch-forward@ui.service --since='{since}' --output=cat --no-pager"
    while "s after the last answer" not in (said := root(journal)):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    assert "no answer through the forward for" in said
