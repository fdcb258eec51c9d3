"""A server of its own with the whole workstation on it, brought up before and taken down after, also after a failure.

``STACK=rehearsal-2.5.0`` takes the other stack. ``NEUROBATCH_CLUSTER_INSTANCE=demo`` takes the server that `make demo`
left, as it is; it is not brought down then.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import left
from tests.rehearsal.cluster import programs
from tests.rehearsal.common import Refusal
from tests.rehearsal.instance import Instance
from tests.rehearsal.kfp import download
from tests.rehearsal.names import CHECKOUT
from tests.server import playbook, remote
from tests.server.measured import measured, pytest_terminal_summary  # noqa: F401 - pytest finds them here

OWN = "cluster"
KUBECTL = "kubectl --kubeconfig=/etc/neurobatch/kubeconfig -n kubeflow"
#: What brings the pipelines to what the inventory says, with what tells it of the cluster.
TAGS = "preflight,neurodesktop,minikube,kubeflow_pipelines"


def first_log(instance: Instance) -> Path:
    """Return where all is kept that the first installation said."""
    return instance.names.state_dir / "first.log"


@pytest.fixture(scope="session")
def booted() -> Iterator[Instance]:
    """Yield a server on which nothing has been installed, unless somebody left one to be used."""
    name = os.environ.get("NEUROBATCH_CLUSTER_INSTANCE", OWN)
    made = Instance(name, stack=os.environ.get("STACK", ""))
    # Without them it is rehearsed with manifests of our own, and only what needs the real ones says so.
    with contextlib.suppress(Refusal):
        download.ensure()
    try:
        made.up()
        yield made
    finally:
        if name == OWN:
            made.down()


@pytest.fixture(scope="session")
def kubectl(booted: Instance) -> Iterator[None]:
    """Have the kubectl that the server gets first in PATH, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(programs.kubectl(booted.names, booted.cache).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def instance(booted: Instance) -> Instance:
    """Provision the server; what it was before is recorded."""
    if not left.record_path(booted).exists():
        left.record_path(booted).write_text(json.dumps(left.whole(booted)))
    done = playbook.run(booted, "-vvv", timeout=2400)
    if not first_log(booted).exists():
        first_log(booted).write_text(done.output)
    assert done.code == 0, done.output[-4000:]
    return booted


class Server:
    """The server as its operator sees it: playbooks, kubectl and a root shell."""

    def __init__(self, instance: Instance) -> None:
        """Remember the instance."""
        self.instance = instance

    def play(self, playbook_name: str, *arguments: str, ok: bool = True, timeout: float = 1800) -> playbook.Result:
        """Run a playbook; where it has to end well, say what it printed last if it does not."""
        result = playbook.run(self.instance, *arguments, playbook=playbook_name, timeout=timeout)
        assert (result.code == 0) is ok, result.output[-4000:]
        return result

    def apply(self, *, seconds: int = 0, ok: bool = True) -> playbook.Result:
        """Bring the pipelines to what the inventory says, with another deadline where one is given."""
        more = ["-e", json.dumps({"kubeflow_pipelines_timeout": seconds})] if seconds else []
        return self.play("site.yml", "--tags", TAGS, *more, ok=ok)

    def killed(self, words: str, *arguments: str) -> None:
        """Run site.yml, and kill it with all its children when it has printed something."""
        argv = playbook.command(self.instance, *arguments)
        env = {**playbook.environment(), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(argv, env=env, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip
        assert process.stdout
        seen = []
        try:
            for line in process.stdout:
                seen.append(line)
                if words in line:
                    break
            else:
                pytest.fail(f"it ended without saying {words!r}: {''.join(seen)[-3000:]}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def root(self, command: str, **options: Any) -> str:
        """Run a shell command as root and return what it prints."""
        return remote.root(self.instance, command, **options)

    def kubectl(self, command: str, **options: Any) -> str:
        """Run kubectl in the pipelines' namespace."""
        return self.root(f"{KUBECTL} {command}", **options)

    def pods(self) -> dict[str, int]:
        """Return the pods of Deployments by unique id and name, with their restarts."""
        items = json.loads(self.kubectl("get pods -o json"))["items"]
        return {
            f"{each['metadata']['name']} {each['metadata']['uid']}": sum(
                state["restartCount"] for state in each["status"].get("containerStatuses", [])
            )
            for each in items
            if each["metadata"].get("ownerReferences") and not each["metadata"].get("deletionTimestamp")
        }

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 120) -> float:
        """Return the seconds until something holds."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
            time.sleep(2)
        return time.monotonic() - began


@pytest.fixture(scope="session")
def server(instance: Instance) -> Iterator[Server]:
    """The server of the instance."""
    yield Server(instance)
