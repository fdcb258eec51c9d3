"""The Docker engine of this machine: found, or installed and started, and stopped only if we started it."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.rehearsal.common import Refusal, locked, run, say, wait_until
from tests.rehearsal.names import LABEL, Network

CAP_SYS_RESOURCE = 24
"""Bit of the capability (linux/capability.h) without which `docker run --privileged` fails."""

MIN_FREE_GB = 12.0
"""Decimal gigabytes that a cold rehearsal needs: 3 for the cache, 8 for a provisioned server, 1 to spare."""


STARTING = Path(tempfile.gettempdir()) / f"nb-rehearsal-starting-{os.getuid()}.lock"
"""Held by every rehearsal that is being started on this machine, whatever its checkout and its cache."""


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Keep the engine and the rehearsal's images while one is started: it needs both before it has any container."""
    with STARTING.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def nobody_starting() -> Iterator[bool]:
    """Tell whether no rehearsal is being started, and let none begin meanwhile."""
    with STARTING.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def daemon_version() -> str | None:
    """Return the version of the Docker daemon that answers, or None; a client alone does not count."""
    if shutil.which("docker") is None:
        return None
    done = run(["docker", "version", "--format", "{{.Server.Version}}"], check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None


def docker(*args: str, check: bool = True, stdin: bytes | None = None) -> str:
    """Run the Docker client and return what it printed, stripped."""
    return run(["docker", *args], check=check, stdin=stdin).stdout.strip()


def has_capability(bit: int, status: Path = Path("/proc/self/status")) -> bool:
    """Tell whether a capability is in the bounding set, that is whether a container could be given it."""
    match = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    return bool(match and int(match.group(1), 16) >> bit & 1)


def privilege_flags() -> list[str]:
    """Return the `docker run` flags for a container that runs systemd, mounts and a Docker of its own.

    `--privileged` asks for every capability; on a machine that lacks CAP_SYS_RESOURCE itself it fails
    with "unable to apply caps", and the second list gives everything else.
    """
    if has_capability(CAP_SYS_RESOURCE):
        return ["--privileged"]
    return [
        "--cap-add=ALL",
        "--cap-drop=SYS_RESOURCE",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--device-cgroup-rule=a *:* rwm",
        "--device=/dev/fuse",
    ]


def check_disk(*places: Path) -> None:
    """Refuse when one of the places has less room than a cold rehearsal takes.

    Raises:
        Refusal: says where, how much there is and how to change the threshold.
    """
    text = os.environ.get("NEUROBATCH_MIN_FREE_GB", str(MIN_FREE_GB))
    try:
        wanted = float(text)
    except ValueError:
        raise Refusal(f"NEUROBATCH_MIN_FREE_GB has to be a number of gigabytes, not `{text}`.") from None
    for place in places:
        existing = next(path for path in (place, *place.parents) if path.exists())
        free = shutil.disk_usage(existing).free / 1e9
        if free < wanted:
            raise Refusal(
                f"{place} has {free:.1f} GB free and the rehearsal needs {wanted:g} GB: "
                "free some, or set NEUROBATCH_MIN_FREE_GB if you know better."
            )


def ensure(run_dir: Path) -> None:
    """Make sure that a Docker daemon answers, installing and starting Debian's when there is none.

    Args:
        run_dir: where a daemon that we start by hand keeps its log and its record.

    Raises:
        Refusal: no daemon, and we are not root or not on a Debian-like system.
    """
    if daemon_version():
        return
    with locked(run_dir / "engine.lock", "starting Docker"):
        if daemon_version():
            return
        if os.geteuid() != 0:
            raise Refusal(
                "No Docker daemon answers and you are not root: start Docker and join the group `docker`, or run "
                "this as root to have Debian's engine installed and started."
            )
        missing = [
            package
            for program, package in (("dockerd", "docker.io"), ("docker", "docker.io"), ("iptables", "iptables"))
            if shutil.which(program) is None
        ]
        if missing:
            say("no Docker daemon answers; installing Debian's docker.io")
            apt_install("docker.io", "iptables")
            # Debian 13 keeps the client in a package of its own.
            if shutil.which("docker") is None:
                apt_install("docker-cli")
        if Path("/run/systemd/system").is_dir():
            say("no Docker daemon answers; starting docker.service")
            run(["systemctl", "start", "docker.service"])
        else:
            _start_by_hand(run_dir)
        wait_until(lambda: daemon_version() is not None, "An answer of the Docker daemon", seconds=60)
        if docker("info", "--format", "{{.Driver}}") == "vfs":
            say("warning: this Docker uses the storage driver vfs, which is slow and takes much disk")


def apt_install(*packages: str) -> None:
    """Install Debian packages on this machine, without letting them start services.

    Raises:
        Refusal: we are not root, or there is no apt-get, or it failed.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Refusal(f"Please install {' and '.join(packages)} first (this needs root and a Debian-like system).")
    # invoke-rc.d starts nothing in runlevel 1: without systemd a package would start its daemon through an
    # init script, and nobody could say later whose it is.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if not Path("/run/systemd/system").is_dir():
        env["RUNLEVEL"] = "1"
    wait = "-oDPkg::Lock::Timeout=300"
    run(["apt-get", wait, "-qq", "update"], env=env)
    run(["apt-get", wait, "-qq", "install", "-y", "--no-install-recommends", *packages], env=env)


def ensure_command(program: str, package: str) -> None:
    """Install the package of a program that is missing."""
    if shutil.which(program) is None:
        say(f"installing {package}")
        apt_install(package)


def _start_by_hand(run_dir: Path) -> None:
    """Start dockerd in the background, on a machine without systemd, and remember that it is ours."""
    dockerd = shutil.which("dockerd") or "/usr/sbin/dockerd"
    say(f"no Docker daemon answers; starting {dockerd} (log: {run_dir / 'dockerd.log'})")
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            [dockerd], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    (run_dir / "dockerd.pid").write_text(f"{process.pid}\n")
    record = {"pid": process.pid, "started": _start_time(process.pid)}
    (run_dir / "dockerd.json").write_text(json.dumps(record) + "\n")
    time.sleep(1)
    if process.poll() is not None:
        tail = (run_dir / "dockerd.log").read_text(errors="replace").strip().splitlines()[-3:]
        raise Refusal("dockerd ended at once: " + " | ".join(tail))


def _start_time(pid: int) -> str | None:
    """Return a process's start time in clock ticks since boot (proc(5), field 22), or None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _our_daemon(run_dir: Path) -> int | None:
    """Return the pid of the dockerd that we started, if exactly that process still runs."""
    try:
        record = json.loads((run_dir / "dockerd.json").read_text())
        pid = int(record["pid"])
        argv0 = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except (OSError, ValueError, KeyError):
        return None
    if Path(argv0).name != "dockerd" or _start_time(pid) != record.get("started"):
        return None
    return pid


def stop_if_ours(run_dir: Path) -> None:
    """Stop the dockerd that we started by hand, unless somebody still has a container in it."""
    with locked(run_dir / "engine.lock", "starting or stopping Docker"):
        pid = _our_daemon(run_dir)
        if pid is None:
            return
        if docker("ps", "-aq", "--filter", f"label={LABEL}"):
            say("Docker keeps running: another rehearsal uses it")
            return
        if docker("ps", "-q"):
            say("Docker keeps running: it has containers that are not ours")
            return
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: _gone(pid), "The end of the dockerd that we started", seconds=60)
        for name in ("dockerd.json", "dockerd.pid", "dockerd.log"):
            (run_dir / name).unlink(missing_ok=True)
        say("stopped the Docker daemon that the rehearsal had started")


def _gone(pid: int) -> bool:
    """Tell whether a process has ended; a zombie whose parent does not reap it counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def networks_in_use(but: str) -> list[Network]:
    """Return the networks that this machine's routes, nameservers and other Docker networks take.

    Args:
        but: name of the Docker network to leave out (our own, from an interrupted start).
    """
    found: list[Network] = []
    ours: str | None = None
    ids = docker("network", "ls", "-q").split()
    for network in json.loads(docker("network", "inspect", *ids)) if ids else []:
        if network["Name"] == but:
            ours = "br-" + network["Id"][:12]
            continue
        for config in network["IPAM"].get("Config") or []:
            if ":" not in config["Subnet"]:
                found.append(Network(config["Subnet"], strict=False))
    for line in run(["ip", "-4", "route", "show", "table", "all"]).stdout.splitlines():
        words = line.split()
        if ours and ours in words:
            continue
        if words[0] in ("broadcast", "local", "unreachable", "blackhole", "throw"):
            words = words[1:]
        if words and words[0] != "default":
            try:
                found.append(Network(words[0], strict=False))
            except ValueError:
                continue
    found.extend(Network(f"{server}/32") for server in nameservers() if ":" not in server)
    return found


def nameservers() -> list[str]:
    """Return this machine's nameservers that a container can reach, that is those that are not loopback.

    Containers inside the server's own Docker cannot use Docker's embedded resolver (127.0.0.11), so the
    server is given these.

    Raises:
        Refusal: there is none.
    """
    for name in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"):
        try:
            text = Path(name).read_text()
        except OSError:
            continue
        servers = [line.split()[1] for line in text.splitlines() if re.match(r"nameserver\s+\S", line)]
        usable = [server for server in servers if not ipaddress.ip_address(server.split("%")[0]).is_loopback]
        if usable:
            return usable
    raise Refusal("This machine has no nameserver outside of 127.0.0.0/8: name one in /etc/resolv.conf.")
