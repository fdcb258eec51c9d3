"""What the tests of access share: one rehearsed server with a cluster, provisioned by `python -m tests.access`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.server import remote
from tests.server.measured import measured, pytest_terminal_summary  # noqa: F401 - pytest finds them here

INSTANCE = "access"
SCREENSHOTS = CHECKOUT / ".rehearsal" / "screenshots"
"""Outside of the instance's own folder, which goes away with the server."""


def pytest_configure(config: pytest.Config) -> None:
    """Know our marker."""
    config.addinivalue_line("markers", "stack(name): a test of one stack alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to another stack than the one that runs; nothing else is skipped."""
    running = Instance(INSTANCE).stack
    kept = [item for item in items if all(mark.args[0] == running for mark in item.iter_markers("stack"))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(scope="session")
def instance() -> Instance:
    """The rehearsal."""
    return Instance(INSTANCE)


@pytest.fixture(scope="session")
def root(instance: Instance) -> Callable[..., str]:
    """Run a shell command as root on the server and return what it prints."""
    return functools.partial(remote.root, instance)


@pytest.fixture(scope="session")
def token(instance: Instance) -> str:
    """JupyterLab's token."""
    return remote.token(instance)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of pages go."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
