"""Verdicts on systems of others, from what they recorded of them (S0-06); none is rehearsed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from neurobatch import preflight
from neurobatch.pages import recordings
from neurobatch.preflight import Finding, Wanted
from neurobatch.remote.host import engine

PARTS = {"proc_version", "os_release", "docker_version", "docker_info"}


def judged(name: str) -> dict[str, Finding]:
    """Return the findings about a recorded system by check."""
    return {row.check: row for row in preflight.verdict(recordings.facts(name), Wanted())}


@pytest.mark.parametrize(
    ("name", "os", "docker"),
    [
        ("ubuntu-22.04", "Ubuntu 22.04.5 LTS, not rehearsed", "Docker 24.0.5"),
        ("ubuntu-24.04", "Ubuntu 24.04.2 LTS, not rehearsed", "Docker 27.5.1"),
        ("rhel-9", "Red Hat Enterprise Linux 9.3 (Plow), not rehearsed", "Docker 29.1.3"),
        ("wsl2-engine", "Ubuntu 24.04.4 LTS on WSL2, not rehearsed", "Docker 29.4.1"),
    ],
)
def test_supported_systems_pass_and_are_marked(name: str, os: str, docker: str) -> None:
    found = judged(name)
    assert {row.severity for row in found.values()} == {"ok"}
    assert (found["os"].message, found["docker"].message) == (os, docker)


def test_docker_desktop_is_known_by_its_engine_s_own_words() -> None:
    found = judged("wsl2-docker-desktop")
    assert found["os"].message == "Ubuntu 22.04.1 LTS on WSL2, not rehearsed"
    assert found["docker"] == Finding(
        "docker",
        "warn",
        "Docker comes from Docker Desktop, which this project has not been run with",
        "turn its WSL integration off to get Docker Engine instead",
    )
    assert [row.check for row in found.values() if row.severity != "ok"] == ["docker"]


@pytest.mark.parametrize(
    ("name", "check", "message"),
    [
        ("wsl1", "os", "This is WSL 1, which has no Linux kernel and runs no containers"),
        ("rhel-8", "os", "This server runs Red Hat Enterprise Linux 8.3 (Ootpa), which is not supported"),
        ("ubuntu-24.04-rootless", "docker", "The server's Docker runs rootless, where CVMFS cannot be mounted"),
        (
            "ubuntu-24.04-snap",
            "docker",
            "Docker is installed as a snap (/var/snap/docker/common/var-lib-docker), "
            "which may not mount the server's folders",
        ),
        ("rhel-9-podman-docker", "docker", "The docker command is podman's imitation (podman-docker)"),
    ],
)
def test_systems_that_cannot_carry_the_stack_are_refused(name: str, check: str, message: str) -> None:
    found = judged(name)
    assert [row.check for row in found.values() if row.severity == "refuse"] == [check]
    assert found[check].message == message
    assert found[check].remedy


def test_podman_behind_a_link_says_docker_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints the name it was called by (recorded in scylladb/scylladb#5481)."""
    podman, docker = tmp_path / "podman", tmp_path / "docker"
    podman.write_bytes(b"\x7fELF")
    docker.symlink_to(podman)
    monkeypatch.setattr(shutil, "which", lambda _: str(docker))
    monkeypatch.setattr(engine, "output", lambda *_, **__: "docker version 1.6.2")
    assert engine.docker({"uid": 1000, "home": "/home/engineer"})["podman"] is True


def test_every_recorded_system_is_judged_and_names_its_sources() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for name in recordings.known():
        assert f'"{name}"' in source
        record = recordings.recording(name)
        assert set(record["sources"]) == {part for part in PARTS if record.get(part)}, name
        kernel = [line.split(": ", 1)[1] for line in record["docker_info"] or [] if line.startswith(" Kernel Version:")]
        claimed = "same kernel release" in record["sources"]["proc_version"]
        assert claimed == (record["proc_version"].split()[2] in kernel), name


#: What Docker of Debian 12 answered at the same moment to docker info and to docker info -f json.
SPOKEN = """\
 Server Version: 20.10.24+dfsg1
 Storage Driver: overlay2
  Backing Filesystem: extfs
 Cgroup Driver: cgroupfs
 Plugins:
  Volume: local
 Security Options:
  seccomp
   Profile: default
 Kernel Version: 6.18.44
 Operating System: Debian GNU/Linux 12 (bookworm)
 Docker Root Dir: /var/lib/docker
"""
ANSWERED = {
    "ServerVersion": "20.10.24+dfsg1",
    "Driver": "overlay2",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "DockerRootDir": "/var/lib/docker",
    "SecurityOptions": ["name=seccomp,profile=default"],
}


def test_docker_info_s_text_becomes_the_engine_api_s_fields() -> None:
    assert recordings.engine_info(SPOKEN.splitlines()) == ANSWERED
    rootless = recordings.engine_info(recordings.recording("ubuntu-24.04-rootless")["docker_info"])
    assert rootless["SecurityOptions"] == ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]
    with pytest.raises(ValueError, match="Storage Driver is there 0 times"):
        recordings.engine_info([" Server Version: 27.3.1"])
