"""Verdicts on systems from their /proc/version, /etc/os-release and Docker's own words (S0-06); none is rehearsed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from neurobatch import preflight
from neurobatch.pages import hosts
from neurobatch.preflight import Finding, Wanted
from neurobatch.remote import common, host_ports
from neurobatch.remote.host import system

SYSTEMS = Path(__file__).parent / "fixtures" / "systems"


def judged(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    """Return the findings about a recorded system by check, read by the same functions as on a server."""
    record: dict[str, Any] = json.loads((SYSTEMS / f"{name}.json").read_text())
    files = {"/proc/version": record["proc_version"], "/etc/os-release": record["os_release"]}
    monkeypatch.setattr(common, "text", files.get)
    monkeypatch.setattr(host_ports, "docker_api", lambda path: record["docker_info"] if path == "/info" else None)
    read = {
        "os": system.os_release(),
        "virtualisation": {**system.virtualisation(), "kind": "wsl" if "icrosoft" in record["proc_version"] else "kvm"},
        "release": record["proc_version"].split()[2],
        "docker": {"client": "/usr/bin/docker", "engine": host_ports.engine()},
    }
    return {row.check: row for row in preflight.verdict(hosts.merged(hosts.facts(hosts.BASE), read), Wanted())}


@pytest.mark.parametrize(
    ("name", "os", "docker"),
    [
        ("ubuntu-22.04", "Ubuntu 22.04.5 LTS, not rehearsed", "Docker 28.4.0"),
        ("ubuntu-24.04", "Ubuntu 24.04.3 LTS, not rehearsed", "Docker 28.4.0"),
        ("rhel-9", "Red Hat Enterprise Linux 9.6 (Plow), not rehearsed", "Docker 28.4.0"),
        ("wsl2-engine", "Ubuntu 24.04.3 LTS on WSL2, not rehearsed", "Docker 28.4.0"),
    ],
)
def test_supported_systems_pass_and_are_marked(
    name: str, os: str, docker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(name, monkeypatch)
    assert {row.severity for row in found.values()} == {"ok"}
    assert (found["os"].message, found["docker"].message) == (os, docker)


def test_docker_desktop_is_known_by_its_engine_s_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged("wsl2-docker-desktop", monkeypatch)
    assert found["docker"] == Finding(
        "docker",
        "warn",
        "Docker comes from Docker Desktop, which this project has not been run with",
        "turn its WSL integration off to get Docker Engine instead",
    )
    assert [row.check for row in found.values() if row.severity != "ok"] == ["docker"]


def test_wsl1_and_a_rootless_engine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged("wsl1", monkeypatch)["os"].severity == "refuse"
    assert judged("ubuntu-24.04-rootless", monkeypatch)["docker"].message == (
        "The server's Docker runs rootless, where CVMFS cannot be mounted"
    )


def test_every_recorded_system_is_judged() -> None:
    source = Path(__file__).read_text()
    assert [path.stem for path in SYSTEMS.glob("*.json") if f'"{path.stem}"' not in source] == []
