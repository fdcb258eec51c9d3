"""The programs that read a server: their formats, their oldest Python, and one real run on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from neurobatch import preflight
from neurobatch.remote import common, host_ports, host_probe, program
from neurobatch.remote.host import engine, size, system


def whole(paths: list[str]) -> str:
    return program("host_probe", {"paths": paths, "ports_program": program("host_ports")})


def test_a_real_run_gives_facts_that_the_verdict_reads(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-"],
        input=whole([str(tmp_path / "not" / "there"), "~"]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    facts = json.loads(run.stdout)
    assert facts["cpus"]["affinity"] == len(os.sched_getaffinity(0))
    assert facts["user"]["uid"] == int(os.environ.get("SUDO_UID") or os.getuid())
    assert facts["disks"][0]["measured"] == str(tmp_path)
    assert facts["disks"][0]["device"] == tmp_path.stat().st_dev
    wanted = preflight.Wanted.of({"min_free_gb": {str(tmp_path / "not" / "there"): 10**6}})
    [finding] = [row for row in preflight.verdict(facts, wanted) if row.check == "disk"]
    assert finding.severity == "refuse"


@pytest.mark.parametrize(
    ("digits", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "::ffff:127.0.0.1"),
    ],
)
def test_addresses_of_proc_net_tcp(digits: str, address: str) -> None:
    assert host_ports.address(digits) == address


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4801 1 0000 100 0 0 10 0
   1: 0100007F:22B8 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 4802 1 0000 20 4 30 10 -1
"""


def test_only_listeners_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_ports, "text", lambda path: TCP if path == "/proc/net/tcp" else None)
    assert host_ports.listeners() == [{"address": "127.0.0.1", "port": 8888, "user": "root", "inode": "4801"}]


CONTAINER = "ab12" * 16
CGROUPS = {
    "a unit": ("0::/system.slice/neurodesktop.service\n", "neurodesktop.service", None),
    "a unit on cgroup v1": (
        "12:cpu,cpuacct:/system.slice/ssh.service\n1:name=systemd:/system.slice/ssh.service\n",
        "ssh.service",
        None,
    ),
    "a container, systemd driver": (f"0::/system.slice/docker-{CONTAINER}.scope\n", None, "neurodesktop"),
    "a container, cgroupfs driver": (f"5:memory:/docker/{CONTAINER}\n", None, "neurodesktop"),
    "a login": ("0::/user.slice/user-1000.slice/session-3.scope\n", None, None),
}


@pytest.mark.parametrize(("cgroup", "unit", "container"), CGROUPS.values(), ids=CGROUPS)
def test_the_owner_of_a_process(
    monkeypatch: pytest.MonkeyPatch, cgroup: str, unit: str | None, container: str | None
) -> None:
    monkeypatch.setattr(host_ports, "text", lambda path: cgroup if path.endswith("cgroup") else "python3\n")
    running = [{"id": CONTAINER, "name": "neurodesktop", "published": []}]
    assert host_ports.describe(7, running) == {"pid": 7, "process": "python3", "unit": unit, "container": container}


def test_a_published_port_belongs_to_the_container_with_and_without_a_proxy() -> None:
    socket = {"address": "127.0.0.1", "port": 8888, "user": "root", "inode": "1"}
    proxy = {"pid": 9, "process": "docker-proxy", "unit": "docker.service", "container": None}
    box = {"id": CONTAINER, "name": "neurodesktop", "published": [{"address": "127.0.0.1", "port": 8888}]}
    [row] = host_ports.ports([socket], {"1": proxy}, [box])
    assert (row["container"], row["process"]) == ("neurodesktop", "docker-proxy")
    [row] = host_ports.ports([], {}, [box])
    assert (row["container"], row["port"], row["pid"]) == ("neurodesktop", 8888, None)


MACHINES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "no limit, cgroup v2": (
        {
            "/proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "/proc/1/cgroup": "0::/init.scope\n",
            "/sys/fs/cgroup/cpu.max": "",
        },
        {"quota": None, "limit": None},
    ),
    "a limited container, cgroup v2": (
        {
            "/proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "/proc/1/cgroup": "0::/lab/init.scope\n",
            "/sys/fs/cgroup/lab/init.scope/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/lab/cpu.max": "150000 100000\n",
            "/sys/fs/cgroup/lab/memory.max": "8589934592\n",
            "/sys/fs/cgroup/lab/init.scope/memory.max": "max\n",
        },
        {"quota": 1.5, "limit": 8589934592},
    ),
    "a limited container, cgroup v1 seen from inside": (
        {
            "/proc/self/mountinfo": "31 1 0:27 /docker/ab /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
            "32 1 0:28 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            "/proc/1/cgroup": "5:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "4294967296\n",
        },
        {"quota": 4.0, "limit": 4294967296},
    ),
    "no limit, cgroup v1": (
        {
            "/proc/self/mountinfo": "31 1 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
            "32 1 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            "/proc/1/cgroup": "5:memory:/\n4:cpu,cpuacct:/\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
        {"quota": None, "limit": None},
    ),
}


@pytest.mark.parametrize(("files", "limits"), MACHINES.values(), ids=MACHINES)
def test_limits_of_control_groups(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], limits: dict[str, float | None]
) -> None:
    files = {**files, "/proc/meminfo": "MemTotal:       32868612 kB\nMemFree:  1 kB\n"}
    monkeypatch.setattr(common, "text", files.get)
    assert size.cpus()["quota"] == limits["quota"]
    assert size.memory() == {"total": 32868612 * 1024, "limit": limits["limit"]}


def test_os_release_is_unquoted(monkeypatch: pytest.MonkeyPatch) -> None:
    release = "# comment=1\nID=rocky\nVERSION_ID=\"9.6\"\nNAME='Rocky Linux'\n"
    monkeypatch.setattr(common, "text", lambda _: release)
    assert system.os_release() == {"ID": "rocky", "VERSION_ID": "9.6", "NAME": "Rocky Linux"}


@pytest.mark.parametrize(
    ("version", "wsl"),
    [
        ("Linux version 6.6.87.2-microsoft-standard-WSL2 (root@x) (gcc 11.2.0) #1 SMP", 2),
        ("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com) (gcc 5.4.0) #1", 1),
        ("Linux version 6.1.0-40-amd64 (x@y) (gcc-12 12.2.0) #1 SMP", None),
    ],
)
def test_wsl_is_known_by_its_kernel(monkeypatch: pytest.MonkeyPatch, version: str, wsl: int | None) -> None:  # S0-06
    monkeypatch.setattr(common, "text", lambda _: version)
    assert system.virtualisation()["wsl"] == wsl


def test_room_is_measured_where_docker_keeps_its_data(tmp_path: Path) -> None:
    assert size.disk("/var/lib/docker", str(tmp_path), "/root")["measured"] == str(tmp_path)
    assert size.disk("~/data", "", str(tmp_path))["measured"] == str(tmp_path)


def test_podman_s_imitation_and_a_snap_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = {"uid": 4242, "home": str(tmp_path)}
    client = tmp_path / "docker"
    client.write_text('#!/bin/sh\necho podman version 5.4.0\nexec /usr/bin/podman "$@"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    facts = engine.docker(user)
    assert (facts["client"], facts["podman"], facts["rootless"]) == (str(client), True, None)
    unit = tmp_path / ".config" / "systemd" / "user" / "docker.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    assert engine.docker(user)["rootless"] == str(unit)


def test_questions_to_the_network_run_beside_and_fail_loudly() -> None:
    assert host_probe.Waiting(lambda params: {"asked": params["x"]}, {"x": 1}).result() == {"asked": 1}
    assert host_probe.Waiting(lambda params: params["x"], {}).result() is None
    with pytest.raises(KeyError):
        host_probe.Waiting(lambda params: params["x"], {"y": 1}).result()
