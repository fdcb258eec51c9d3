"""What the programs of the role port_forward decide, and that a forward is kept up, with a false kubectl."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from neurobatch import networks
from neurobatch.remote import hosts_entry, program
from neurobatch.remote.common import http_status, may_bind

NAME = "minio-service.kubeflow.svc.cluster.local"
ENTRY = f"127.0.0.1 {NAME}\n"
OTHERS = "127.0.0.1 localhost\n# a comment\n\n::1 ip6-localhost\n"


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (OTHERS, OTHERS + ENTRY),
        (OTHERS + ENTRY, OTHERS + ENTRY),
        (ENTRY + OTHERS + ENTRY + ENTRY, ENTRY + OTHERS),
        (OTHERS + f"10.0.0.1\t{NAME}\n", OTHERS + ENTRY),
        (f"127.0.0.1 localhost {NAME} # ours\n", "127.0.0.1 localhost # ours\n" + ENTRY),
        (f"# 127.0.0.1 {NAME}\n", f"# 127.0.0.1 {NAME}\n" + ENTRY),
        ("127.0.0.1 localhost", "127.0.0.1 localhost\n" + ENTRY),
    ],
    ids=["new", "there", "repeated", "elsewhere", "beside another name", "in a comment", "no last line break"],
)
def test_the_name_has_exactly_one_line(found: str, wanted: str) -> None:
    once = hosts_entry.with_entry(found, "127.0.0.1", NAME, wanted=True)
    assert once == wanted
    assert hosts_entry.with_entry(once, "127.0.0.1", NAME, wanted=True) == once


def test_removal_takes_the_name_and_nothing_else() -> None:
    assert hosts_entry.with_entry(OTHERS + ENTRY, "127.0.0.1", NAME, wanted=False) == OTHERS
    assert hosts_entry.with_entry(OTHERS, "127.0.0.1", NAME, wanted=False) == OTHERS


def test_the_gateway_is_the_first_address() -> None:
    assert networks.gateway("172.29.88.0/24") == "172.29.88.1"


@pytest.mark.parametrize("subnet", ["172.29.88.1/24", "172.29.88.0/31", "somewhere"])
def test_a_subnet_that_cannot_be_is_refused(subnet: str) -> None:
    with pytest.raises(ValueError, match=r"172\.29\.88|somewhere"):
        networks.gateway(subnet)


def test_addresses_of_this_machine_are_known() -> None:
    assert may_bind("127.0.0.1")
    assert not may_bind("192.0.2.1")


@pytest.mark.parametrize(
    "name", ["port_forward_probe", "port_forward_verify", "port_forward_remove", "port_forward_service", "hosts_entry"]
)
def test_the_programs_are_whole(name: str) -> None:
    compile(program(name, {}), name, "exec")


FALSE_KUBECTL = f"""#!{sys.executable}
import http.server, os, sys
open({{pids!r}}, "a").write(f"{{{{os.getpid()}}}} {{{{' '.join(sys.argv[1:])}}}}\\n")
port = int(sys.argv[-1].split(":")[0])
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


class Running:
    """The service with a kubectl that answers HTTP itself."""

    def __init__(self, folder: Path) -> None:
        """Start it on a free port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.pids = folder / "pids"
        kubectl = folder / "kubectl"
        kubectl.write_text(FALSE_KUBECTL.format(pids=str(self.pids)))
        kubectl.chmod(0o755)
        forward = {
            "name": "ui", "namespace": "kubeflow", "service": "ml-pipeline-ui", "service_port": 80, "port": self.port,
            "path": "/", "listen": ["127.0.0.1", "192.0.2.1"],
        }  # fmt: skip
        config = folder / "config.json"
        config.write_text(json.dumps({"kubectl": str(kubectl), "forwards": [forward]}))
        script = folder / "service"
        script.write_text(program("port_forward_service", {"config": str(config)}))
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(str(folder / "notify"))
        self.channel.settimeout(5)
        env = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "KUBECONFIG": "/nonexistent"}
        self.process = subprocess.Popen([sys.executable, str(script), "ui"], env=env)

    def started(self) -> list[str]:
        """Return a line for each kubectl so far: its process and its arguments."""
        return self.pids.read_text().splitlines() if self.pids.exists() else []

    def wait(self, starts: int, seconds: float) -> None:
        """Return when so many kubectls were started and the last one answers."""
        end = time.monotonic() + seconds
        while len(self.started()) < starts or not http_status("127.0.0.1", self.port, "/", 1):
            assert time.monotonic() < end, self.started()
            time.sleep(0.1)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    service = Running(tmp_path)
    yield service
    service.process.terminate()
    service.process.wait(10)
    service.channel.close()


def test_a_forward_comes_back_after_its_end_and_after_it_hangs(running: Running) -> None:
    assert running.channel.recv(200).startswith(b"READY=1"), "a boot waits for nothing"
    running.wait(1, 10)
    first = running.started()[0]
    # An address that the machine does not have would end the real kubectl.
    assert "--address=127.0.0.1 service/ml-pipeline-ui" in first
    os.kill(int(first.split()[0]), signal.SIGKILL)
    running.wait(2, 10)
    os.kill(int(running.started()[1].split()[0]), signal.SIGSTOP)
    running.wait(3, 30)


def test_the_end_of_the_service_is_the_end_of_kubectl(running: Running) -> None:
    running.wait(1, 10)
    running.process.terminate()
    running.process.wait(10)
    assert running.process.returncode == 0
    assert http_status("127.0.0.1", running.port, "/", 1) == 0
