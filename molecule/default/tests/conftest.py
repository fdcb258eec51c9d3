"""What all tests on the server share: the rehearsal's instance, a way to it, and the journal of what failed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.instance import Instance
from tests.server import remote
from tests.server.measured import measured, pytest_terminal_summary  # noqa: F401 - pytest finds them here

INSTANCE = "test"


def pytest_configure(config: pytest.Config) -> None:
    """Let each verify write a JUnit file of its own where one is asked for; know our marker."""
    config.addinivalue_line("markers", "unit(*names): the systemd units whose journal is shown when the test fails")
    results = os.environ.get("NEUROBATCH_RESULTS")
    if results and not config.option.xmlpath:
        config.option.xmlpath = str(Path(results) / f"molecule-{time.time_ns()}.xml")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the units' journals to the report of a failed test."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    marker = item.get_closest_marker("unit")
    if report.failed and marker:
        for name in marker.args:
            journal = remote.root(
                Instance(INSTANCE), f"journalctl -u {name} -n 40 --no-pager -o short-iso", check=False
            )
            report.sections.append((f"journal of {name}", journal or "(none)"))
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def instance() -> Instance:
    """The rehearsal that molecule has created."""
    return Instance(INSTANCE)


@pytest.fixture(scope="session")
def root(instance: Instance) -> Callable[..., str]:
    """Run a shell command as root on the server and return what it prints."""

    def run(command: str, **options: Any) -> str:
        return remote.root(instance, command, **options)

    return run


@pytest.fixture(scope="session")
def token(instance: Instance) -> str:
    """JupyterLab's token."""
    return remote.token(instance)


@pytest.fixture(scope="session")
def desktop_password(root: Callable[..., str]) -> str:
    """The password that was made for the desktop."""
    return root("cat /etc/neurobatch/secrets/neurodesktop/desktop_password")


@pytest.fixture
def container(root: Callable[..., str]) -> dict[str, Any]:
    """What Docker says of the container now."""
    described: list[dict[str, Any]] = json.loads(root("docker inspect neurodesktop"))
    return described[0]


@pytest.fixture
def container_ip(container: dict[str, Any]) -> str:
    """The container's address on its private bridge."""
    address: str = container["NetworkSettings"]["Networks"]["neurobatch"]["IPAddress"]
    return address
