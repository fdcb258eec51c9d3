"""A forward through SSH from this machine to a loopback port of the rehearsal's server, as an operator opens one."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator

from tests.rehearsal import server
from tests.rehearsal.common import Refusal, wait_until
from tests.rehearsal.instance import Instance


@contextlib.contextmanager
def tunnel(instance: Instance, port: int) -> Iterator[str]:
    """Yield the base URL on this machine behind which the server's ``127.0.0.1:port`` answers.

    Raises:
        Refusal: ssh does not open the forward within 15 s.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    command = server.ssh_command(instance.names.state_dir, instance.state["server_ip"])
    forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{local}:127.0.0.1:{port}"]
    process = subprocess.Popen([command[0], *forward, *command[1:]], stdin=subprocess.DEVNULL)

    def listening() -> bool:
        if process.poll() is not None:
            raise Refusal(f"ssh ended with code {process.returncode} instead of forwarding port {port}.")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", local)) == 0

    try:
        wait_until(listening, f"the SSH forward to port {port}", seconds=15)
        yield f"http://127.0.0.1:{local}"
    finally:
        process.terminate()
        process.wait(timeout=10)
