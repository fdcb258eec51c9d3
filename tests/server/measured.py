"""Measurements that tests take note of, printed at a run's end. A suite's conftest.py imports both names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

__all__ = ["measured", "pytest_terminal_summary"]
NOTES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    for line in config.stash.get(NOTES, []):
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take note of a measurement, to be printed at the end and kept in the JUnit file."""

    def note(text: str) -> None:
        request.config.stash.setdefault(NOTES, []).append(f"{request.node.name}: {text}")
        request.node.user_properties.append(("measured", text))
        print(text)

    return note
