"""The server and the stranger: a bare Debian 12 machine reached over SSH, and somebody else on its network."""

from __future__ import annotations

import io
import shlex
import shutil
import socket
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.rehearsal import engine
from tests.rehearsal.common import Refusal, run, wait_until
from tests.rehearsal.names import Names

USER = "engineer"
HOSTNAME = "sandbox"

VOLUMES = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet"}
"""Folders that cannot lie on the container's own overlay: overlay on overlay fails."""


def make_keys(state_dir: Path, ip: str) -> None:
    """Make the instance's client key, the server's host key and a known_hosts that pins it."""
    engine.ensure_command("ssh-keygen", "openssh-client")
    for name, comment in (("id_ed25519", "rehearsal client"), ("host_ed25519", "rehearsal host")):
        (state_dir / name).unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(state_dir / name)])
    kind, key, *_ = (state_dir / "host_ed25519.pub").read_text().split()
    (state_dir / "known_hosts").write_text(f"{ip} {kind} {key}\n")


def ssh_options(state_dir: Path) -> list[str]:
    """Return the ssh options that pin the host key; spaces in the checkout's path are allowed."""
    return [
        "-o", f'UserKnownHostsFile="{state_dir / "known_hosts"}"',
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
        "-o", "IdentitiesOnly=yes",
    ]  # fmt: skip


def ssh_command(state_dir: Path, ip: str) -> list[str]:
    """Return the command that logs in to the server."""
    key = state_dir / "id_ed25519"
    return ["ssh", "-F", "/dev/null", "-i", str(key), *ssh_options(state_dir), "-o", "ConnectTimeout=5", f"{USER}@{ip}"]


def ssh_common_args(state_dir: Path) -> str:
    """Return the same options as one line for Ansible's ``ansible_ssh_common_args``."""
    return shlex.join(["-F", "/dev/null", *ssh_options(state_dir)])


def create(names: Names, image: str, ip: str) -> None:
    """Create and start the server container, its keys put in before it boots."""
    state = names.state_dir
    (state / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in engine.nameservers()))
    for purpose in VOLUMES:
        engine.docker("volume", "create", *names.labels(), names.volume(purpose))
    modules = ["--volume=/lib/modules:/lib/modules:ro"] if Path("/lib/modules").is_dir() else []
    engine.docker(
        "create", "--name", names.container("server"), f"--hostname={HOSTNAME}", *names.labels(),
        "--network", names.network, f"--ip={ip}", "--stop-signal=SIGRTMIN+3", "--stop-timeout=30",
        *engine.privilege_flags(), "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--tmpfs=/run:exec,mode=755", "--tmpfs=/run/lock", *modules,
        # Docker's own resolver answers on 127.0.0.11 only, which containers inside the server cannot reach.
        f"--volume={state / 'resolv.conf'}:/etc/resolv.conf:ro",
        *(f"--volume={names.volume(purpose)}:{path}" for purpose, path in VOLUMES.items()),
        image,
    )  # fmt: skip
    engine.docker("cp", "-", f"{names.container('server')}:/", stdin=_keys_tar(state))
    engine.docker("start", names.container("server"))


def _keys_tar(state: Path) -> bytes:
    """Return a tar of the server's host key and of the user's authorized key, with their owners and modes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add(name: str, mode: int, uid: int, data: bytes | None) -> None:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, uid, uid
            if data is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

        add("etc/ssh/ssh_host_ed25519_key", 0o600, 0, (state / "host_ed25519").read_bytes())
        add("etc/ssh/ssh_host_ed25519_key.pub", 0o644, 0, (state / "host_ed25519.pub").read_bytes())
        # The user is the root's first, so its number is 1000.
        add(f"home/{USER}/.ssh", 0o700, 1000, None)
        add(f"home/{USER}/.ssh/authorized_keys", 0o600, 1000, (state / "id_ed25519.pub").read_bytes())
    return out.getvalue()


def wait_for(names: Names, ip: str, *, seconds: float = 90) -> None:
    """Wait until sshd lets us in and systemd says that it is running without a failed unit.

    Raises:
        Refusal: it did not come up; carries the failed units.
    """
    wait_for_login(names, ip, seconds=seconds)
    command = ssh_command(names.state_dir, ip)
    done = run([*command, "systemctl", "is-system-running", "--wait"], check=False, timeout=seconds)
    if done.stdout.strip() != "running":
        failed = run([*command, "systemctl", "--failed", "--no-legend", "--plain"], check=False).stdout.strip()
        raise Refusal(f"The server's systemd is `{done.stdout.strip()}` and not `running`. Failed units:\n{failed}")


def wait_for_login(names: Names, ip: str, *, seconds: float = 90) -> None:
    """Wait until sshd lets us in.

    Raises:
        Refusal: it did not within ``seconds``.
    """
    engine.ensure_command("ssh", "openssh-client")
    command = ssh_command(names.state_dir, ip)
    wait_until(lambda: _port_open(ip), "An answer of the server's sshd", seconds=seconds)
    wait_until(lambda: run([*command, "true"], check=False).returncode == 0, "A login by SSH", seconds=30, every=0.5)


def _port_open(ip: str) -> bool:
    """Tell whether something accepts connections on the server's port 22."""
    try:
        with socket.create_connection((ip, 22), timeout=1):
            return True
    except OSError:
        return False


def create_stranger(names: Names, image: str, ip: str) -> None:
    """Start the stranger: it may set routes of its own, also through the server to 127.0.0.0/8."""
    engine.docker(
        "run", "--detach", "--init", "--name", names.container("stranger"), "--hostname=stranger", *names.labels(),
        "--network", names.network, f"--ip={ip}", "--cap-add=NET_ADMIN",
        "--sysctl=net.ipv4.conf.all.route_localnet=1", image, "sleep", "infinity",
    )  # fmt: skip


def restart(names: Names, ip: str) -> None:
    """Restart the server as a machine restarts: its processes end, its disks and its address stay; wait for sshd."""
    engine.docker("restart", "--time=30", names.container("server"))
    wait_for_login(names, ip)


def reboot(names: Names, ip: str) -> None:
    """Restart the server and wait until all of it is up: systemd is running only when the cluster has started."""
    restart(names, ip)
    wait_for(names, ip, seconds=300)


def interactive(names: Names, ip: str, command: Sequence[str]) -> list[str]:
    """Return the argv of a login, or of one command, for exec."""
    program = shutil.which("ssh") or "ssh"
    argv = [program, *ssh_command(names.state_dir, ip)[1:]]
    return argv if not command else [*argv, "--", *command]
