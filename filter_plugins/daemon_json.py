"""Ansible filter over neurobatch.daemon_json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from neurobatch import daemon_json


def plan(
    existing: str | None, record: str | None, registry_mirrors: Mapping[str, str], log_max_size: str, log_max_file: int
) -> dict[str, Any]:
    """Return what the docker role has to do about daemon.json; see `neurobatch.daemon_json.plan`."""
    try:
        return daemon_json.plan(existing, record, daemon_json.wanted(registry_mirrors, log_max_size, log_max_file))
    except daemon_json.DaemonJsonError as error:
        raise AnsibleFilterError(str(error)) from error


def without(existing: str | None, record: str | None) -> dict[str, Any]:
    """Return what a removal has to do about daemon.json; see `neurobatch.daemon_json.without`."""
    try:
        return daemon_json.without(existing, record)
    except daemon_json.DaemonJsonError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"neurobatch_daemon_json_plan": plan, "neurobatch_daemon_json_without": without}
