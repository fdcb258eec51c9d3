"""What the programs of the role port_forward decide, and that a forward is kept up, with a false kubectl."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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


@pytest.mark.parametrize(
    "found",
    [
        OTHERS,
        "127.0.0.1 localhost",
        "",
        "127.0.0.1 localhost\r\n\r\n10.0.0.1 lab\r\n",
        f"{OTHERS}10.0.0.1\t{NAME} other # kept\n\n{ENTRY}{ENTRY}",
        "127.0.0.1 localhost\n# M\udcfcller\n",
    ],
    ids=["usual", "no last line break", "empty", "from Windows", "had the name", "Latin-1"],
)
def test_removal_gives_the_file_back_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(found.encode("utf-8", "surrogateescape"))
    hosts.chmod(0o664)
    before = hosts.read_bytes()
    run = hosts_program(tmp_path, monkeypatch)
    assert run("check") == (0 if found == OTHERS + ENTRY else 1)
    run("ensure")
    after = hosts.read_bytes()
    assert after.count(NAME.encode()) == 1
    assert run("check") == 0
    run("ensure")
    assert hosts.read_bytes() == after
    run("remove")
    assert hosts.read_bytes() == before
    assert hosts.stat().st_mode & 0o777 == 0o664
    run("remove")
    assert hosts.read_bytes() == before or NAME.encode() in before


def test_removal_keeps_what_somebody_added_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(OTHERS)
    run = hosts_program(tmp_path, monkeypatch)
    run("ensure")
    hosts.write_text(hosts.read_text() + "10.0.0.7 scanner\n")
    run("ensure")
    run("remove")
    assert hosts.read_text() == OTHERS + "10.0.0.7 scanner\n"


def hosts_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Return the program for a hosts file in a folder; it returns its exit code."""
    monkeypatch.setattr(hosts_entry, "HOSTS", folder / "hosts")

    def run(verb: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hosts-entry", verb])
        try:
            hosts_entry.main({"address": "127.0.0.1", "name": NAME, "record": str(folder / "state" / "before.json")})
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return run


def test_endpoints_on_linux() -> None:
    found = networks.endpoints("127.0.0.1", 31380, "172.29.88.1", "kubeflow")
    assert found["listen"] == ["127.0.0.1", "172.29.88.1"]
    assert found["api"] == "http://127.0.0.1:31380/pipeline"  # S0-62
    # S0-65: names that JupyterLab has by --add-host; the object store's is the one that pods use.
    assert found["container_api"] == "http://ml-pipeline-ui.kubeflow.svc.cluster.local:31380/pipeline"
    assert found["container_object_store"] == f"http://{NAME}:9000"


def test_endpoints_with_docker_desktop() -> None:
    found = networks.endpoints("127.0.0.1", 31380, "172.29.88.1", "kubeflow", desktop=True)
    assert found["listen"] == ["127.0.0.1"]  # its bridge is in another machine
    assert found["container_api"] == "http://host.docker.internal:31380/pipeline"  # S0-66
    assert found["container_object_store"] == f"http://{NAME}:9000"  # one that pods know, too


@pytest.mark.parametrize(
    ("listen", "addresses", "ui"),
    [
        ("0.0.0.0", ["0.0.0.0"], "http://127.0.0.1:31380"),
        ("192.0.2.5", ["192.0.2.5", "172.29.88.1"], "http://192.0.2.5:31380"),
        ("::1", ["::1", "172.29.88.1"], "http://[::1]:31380"),
        ("172.29.88.1", ["172.29.88.1"], "http://172.29.88.1:31380"),
    ],
)
def test_endpoints_follow_the_address_that_was_asked_for(listen: str, addresses: list[str], ui: str) -> None:
    found = networks.endpoints(listen, 31380, "172.29.88.1", "kubeflow")
    assert (found["listen"], found["ui"]) == (addresses, ui)


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
