"""Merge our settings into a Docker daemon.json that may belong to somebody else.

The file is shared property: an administrator's keys stay as they are, ours are added where theirs leave room, and what
we wrote on an earlier run but no longer want is taken out again. Keys: https://docs.docker.com/reference/cli/dockerd/.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neurobatch import mirrors

#: Keys that dockerd takes over on SIGHUP (`systemctl reload docker`); every other change needs a restart.
RELOADABLE = frozenset(
    {"debug", "features", "insecure-registries", "labels", "live-restore", "max-concurrent-downloads",
     "max-concurrent-uploads", "registry-mirrors", "shutdown-timeout"}
)  # fmt: skip


class DaemonJsonError(ValueError):
    """The existing daemon.json cannot be merged into."""


def parse(text: str | None, where: str = "/etc/docker/daemon.json") -> dict[str, Any]:
    """Return the settings in ``text``; a missing or empty file has none.

    Raises:
        DaemonJsonError: the text is not a JSON object; dockerd itself would refuse to start with it.
    """
    if text is None or not text.strip():
        return {}
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{where} is not valid JSON (line {error.lineno}: {error.msg}); correct it first"
        raise DaemonJsonError(message) from error
    if not isinstance(data, dict):
        raise DaemonJsonError(f"{where} does not hold a JSON object; correct it first")
    return data


def wanted(registry_mirrors: Mapping[str, Any], log_max_size: str, log_max_file: int) -> dict[str, Any]:
    """Return the settings that Neurobatch would like dockerd to have.

    Args:
        registry_mirrors: the variable. Docker itself mirrors docker.io only, without a login and without a path; what
            else is mirrored is pulled from the mirror by name, which over plain HTTP dockerd must be told to accept.
        log_max_size: size at which a container's log is rotated, in dockerd's notation ("50m").
        log_max_file: how many rotated logs of a container are kept.

    Raises:
        MirrorError: an entry of ``registry_mirrors`` cannot be used.
    """
    settings: dict[str, Any] = {
        "log-driver": "json-file",
        "log-opts": {"max-size": log_max_size, "max-file": str(log_max_file)},
    }
    known = mirrors.read(registry_mirrors)
    hub = known.get("docker.io")
    if hub and not hub.by_name:
        settings["registry-mirrors"] = [hub.url]
    plain = {mirror.host for name, mirror in known.items() if mirror.plain and (name != "docker.io" or mirror.by_name)}
    if plain:
        settings["insecure-registries"] = sorted(plain)
    return settings


def merge(existing: Mapping[str, Any], ours: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return daemon.json's next content.

    Args:
        existing: what is in the file now.
        ours: what we want, from `wanted`.
        written: what we added on the last run; the part of ``existing`` that is ours to change.

    Lists are united (ours first), a foreign log driver is left alone together with its options, and any other key
    that somebody else has set wins over ours.
    """
    base = strip(existing, written)
    merged = dict(base)
    foreign_logging = "log-driver" in base or "log-opts" in base
    for key, value in ours.items():
        if key in {"log-driver", "log-opts"} and foreign_logging:
            continue
        if isinstance(value, list):
            theirs = base.get(key, [])
            merged[key] = [*value, *(item for item in theirs if item not in value)]
        elif key not in base:
            merged[key] = value
    return merged


def strip(existing: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``existing`` without what we wrote, leaving what was changed by hand since."""
    rest: dict[str, Any] = {}
    for key, value in existing.items():
        mine = written.get(key)
        if isinstance(value, list) and isinstance(mine, list):
            if foreign := [item for item in value if item not in mine]:
                rest[key] = foreign
        elif key not in written or value != mine:
            rest[key] = value
    return rest


def added(base: Mapping[str, Any], merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of ``merged`` that ``base`` does not have: what to remember as written by us."""
    ours: dict[str, Any] = {}
    for key, value in merged.items():
        if isinstance(value, list):
            if new := [item for item in value if item not in base.get(key, [])]:
                ours[key] = new
        elif base.get(key) != value:
            ours[key] = value
    return ours


def plan(existing_text: str | None, record_text: str | None, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a role has to do about daemon.json.

    Args:
        existing_text: content of daemon.json, None when there is none.
        record_text: content of our record of the last run ({"written": {...}}), None when there is none.
        ours: what we want, from `wanted`.

    Returns:
        content: the text to write; record: our next record as text; differs: whether content differs from
        the file in meaning; action: "none", "reload" or "restart", what a running dockerd needs.

    Raises:
        DaemonJsonError: daemon.json is broken.
    """
    existing = parse(existing_text)
    written = parse(record_text, "the record of what Neurobatch wrote").get("written", {})
    merged = merge(existing, ours, written)
    base = strip(existing, written)
    touched = {key for key in {*existing, *merged} if existing.get(key) != merged.get(key)}
    action = "none" if not touched else "reload" if touched <= RELOADABLE else "restart"
    return {
        "content": json.dumps(merged, indent=2, sort_keys=True) + "\n",
        "record": json.dumps({"written": added(base, merged)}, indent=2, sort_keys=True) + "\n",
        "differs": bool(touched),
        "action": action,
    }


def without(existing_text: str | None, record_text: str | None) -> dict[str, Any]:
    """Return what a removal has to do about daemon.json: the same as `plan` when nothing is wanted, and ``empty``.

    Raises:
        DaemonJsonError: daemon.json is broken.
    """
    found = plan(existing_text, record_text, {})
    return {**found, "empty": not json.loads(found["content"])}
