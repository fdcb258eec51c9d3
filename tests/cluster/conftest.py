"""A server of its own with a whole installation: `python -m tests.rehearsal up --instance ops`, then site.yml."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.rehearsal.common import Refusal
from tests.rehearsal.instance import Instance
from tests.server import playbook, remote

INSTANCE = os.environ.get("NEUROBATCH_CLUSTER_INSTANCE", "ops")
KUBECTL = "kubectl --kubeconfig=/etc/neurobatch/kubeconfig -n kubeflow"
MEASURED = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take note of a measurement."""

    def note(text: str) -> None:
        request.config.stash.setdefault(MEASURED, []).append(f"{request.node.name}: {text}")
        print(text)

    return note


@pytest.fixture(scope="session")
def instance() -> Instance:
    """The rehearsal's instance that somebody brought up."""
    found = Instance(INSTANCE)
    try:
        assert found.state
    except Refusal as refusal:
        pytest.skip(str(refusal))
    return found


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
        return self.play("site.yml", "--tags", "preflight,neurodesktop,minikube,kubeflow_pipelines", *more, ok=ok)

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
