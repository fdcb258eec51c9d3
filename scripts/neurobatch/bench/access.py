"""How long the forwards into the cluster are away after each kind of fault."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurobatch.bench import access_faults
from neurobatch.bench.sandbox import ROOT, figure, need_sandbox

#: Seconds from a fault until the forward has to answer again; a restart of Docker takes the whole cluster along.
BOUNDS = {
    "hung": 20, "killed": 10, "program_killed": 15, "pod_deleted": 90, "service_made_anew": 60, "docker_restarted": 240,
    "rebooted": 300,
}  # fmt: skip


class Server:
    """The only host of an inventory, over SSH as its user, who may use sudo."""

    def __init__(self, inventory: Path) -> None:
        """Read how to reach it."""
        ansible = Path(sys.executable).with_name("ansible-inventory")
        shown = subprocess.run(
            [ansible, "-i", inventory, "--list"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        ((_, host),) = json.loads(shown.stdout)["_meta"]["hostvars"].items()
        self.argv = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
        if "ansible_ssh_private_key_file" in host:
            self.argv += ["-i", host["ansible_ssh_private_key_file"]]
        self.argv += shlex.split(host.get("ansible_ssh_common_args", ""))
        user = f"{host['ansible_user']}@" if "ansible_user" in host else ""
        self.argv += ["-p", str(host.get("ansible_port", 22)), user + str(host["ansible_host"])]

    def run(self, command: str, text: str = "", seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command as root."""
        argv = [*self.argv, f"sudo -n {command}"]
        return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=seconds, check=False)

    def measure(self, fault: str, forward: str = "ui") -> float:
        """Return the seconds that a forward was away after a fault.

        Raises:
            RuntimeError: it did not come back within its bound, or was well broken before.
        """
        params = {"fault": fault, "forward": forward, "seconds": BOUNDS[fault]}
        source = Path(access_faults.__file__).read_text(encoding="utf-8")
        run = self.run("/usr/bin/python3 -", f"{source}\nmain({params!r})\n")
        if run.returncode:
            raise RuntimeError(run.stderr.strip())
        return float(json.loads(run.stdout)["seconds"])

    def reboot(self, how: Callable[[], object], forward: str = "ui") -> float:
        """Reboot the server and return the seconds until a forward answers again.

        Args:
            how: reboots it, and returns when it lets us in again.
            forward: the one to ask through.

        Raises:
            RuntimeError: it did not within its bound.
        """
        _, port, path = access_faults.SERVICES[forward]
        started = time.monotonic()
        how()
        source = Path(access_faults.__file__).read_text(encoding="utf-8")
        question = f"{source}\nsys.exit(not wait({port}, {path!r}, {BOUNDS['rebooted']}, times=3))\n"
        if self.run("/usr/bin/python3 -", question).returncode:
            raise RuntimeError(f"the forward {forward} does not answer {BOUNDS['rebooted']} s after a reboot")
        return time.monotonic() - started


def reboot_sandbox() -> None:
    """Reboot the throwaway server, which is a container: its own init cannot start it again."""
    subprocess.run([sys.executable, "-m", "tests.rehearsal", "reboot"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Exit codes: 0, 1 a forward stayed away, 2 no sandbox."
    )
    parser.add_argument("faults", nargs="*", choices=[*BOUNDS, []], help=f"of {', '.join(BOUNDS)} (default: all)")
    chosen: Any = parser.parse_args(argv).faults or list(BOUNDS)
    server = Server(need_sandbox())
    code = 0
    for fault in chosen:
        try:
            figure(f"{fault}_s", server.reboot(reboot_sandbox) if fault == "rebooted" else server.measure(fault))
        except RuntimeError as error:
            print(f"{fault}: {error}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
