"""What the tests of the tools share: a rehearsed server whose cluster has them, made by `python -m tests.cvmfs`."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from neurobatch.remote import program

from tests.rehearsal import server as ssh
from tests.rehearsal.common import Refusal, run
from tests.rehearsal.instance import Instance
from tests.server import playbook, remote
from tests.server.measured import measured, pytest_terminal_summary  # noqa: F401 - pytest finds them here

INSTANCE = "cvmfs"
ROLES = "preflight,stack,docker,neurodesktop,minikube,kubeflow_pipelines,cvmfs_csi"
REPOSITORY = "neurodesk.ardc.edu.au"
ROOT = f"/cvmfs/{REPOSITORY}"
#: A server that refuses at once: nothing listens there.
DEAD = "http://127.0.0.1:9"
DIRECTORY = "/var/lib/neurobatch/cvmfs_csi"
CLUSTER = {
    "kubectl": "/usr/local/bin/kubectl",
    "kubeconfig": "/etc/neurobatch/kubeconfig",
    "helm": "/usr/local/bin/helm",
}
#: What the steps of pipelines run on in a rehearsal, before Elyra's own is made of it.
IMAGE = "python:3.11"


class Server:
    """The server as its operator sees it: the role, kubectl, and pods that come and go."""

    def __init__(self, instance: Instance) -> None:
        """Remember the instance."""
        self.instance = instance

    def role(self, *arguments: str, ok: bool = True, **settings: Any) -> playbook.Result:
        """Run the role with other settings; where it has to end well, say what it printed last if it does not."""
        more = ["-e", json.dumps(settings)] if settings else []
        # What the pipelines consist of does not change here: the role finds them where their role documents it.
        tags = ("--tags", "preflight,stack,cvmfs_csi")
        result = playbook.run(self.instance, *tags, *more, *arguments, timeout=1500)
        assert (result.code == 0) is ok, result.output[-4000:]
        return result

    def root(self, command: str, **options: Any) -> str:
        """Run a shell command as root and return what it prints."""
        return remote.root(self.instance, command, **options)

    def kubectl(self, command: str, **options: Any) -> str:
        """Run kubectl."""
        return self.root(f"kubectl --kubeconfig={CLUSTER['kubeconfig']} {command}", **options)

    def objects(self, what: str) -> list[dict[str, Any]]:
        """Return what `kubectl get` lists."""
        found: list[dict[str, Any]] = json.loads(self.kubectl(f"get {what} -o json"))["items"]
        return found

    def program(self, name: str, changes: Sequence[tuple[str, str]] = (), **params: Any) -> Any:
        """Run one of the role's programs as the role does, with changes in its text; return the JSON that it prints."""
        common = {"cluster": CLUSTER, "namespace": "cvmfs", "release": "cvmfs-csi", "namespaces": ["kubeflow"],
                  "repository": REPOSITORY, "claim": "cvmfs-neurodesk"}  # fmt: skip
        argv = [*ssh.ssh_command(self.instance.names.state_dir, self.instance.state["server_ip"]), "sudo -n python3 -"]
        text = program(name, {**common, **params})
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return json.loads(run(argv, stdin=text.encode(), timeout=900).stdout)

    def probe(self) -> dict[str, Any]:
        """Return what the role sees."""
        installed = self.root(f"cat {DIRECTORY}/installed")
        found: dict[str, Any] = self.program("cvmfs_csi_probe", files=[], directory=DIRECTORY, installation=installed)
        return found

    def diagnose(self) -> str:
        """Return what the diagnosis says, each finding on lines of its own."""
        params: dict[str, Any] = {
            "own": True,
            "namespaces": ["kubeflow", "cvmfs"],
            "secrets_dir": "/etc/neurobatch/secrets",
        }
        found = self.program("diagnose", **params, units=[], files=[], bundle="")
        return "\n".join(found["findings"])

    def plugin(self) -> str:
        """Return the name of the only node plugin."""
        (pod,) = self.objects("pods -n cvmfs -l component=nodeplugin")
        return str(pod["metadata"]["name"])

    def restart_plugin(self) -> None:
        """Delete the node plugin and wait until the next one is ready."""
        self.kubectl(f"-n cvmfs delete pod {self.plugin()}")
        self.until("a ready node plugin", lambda: self.probe()["ready"])

    def start(self, name: str, claim: str, path: str, *, propagation: str = "", ready: bool = True) -> None:
        """Start a pod that mounts a claim and sleeps; a left-over of the same name goes first."""
        mount = {"name": "tools", "mountPath": path} | ({"mountPropagation": propagation} if propagation else {})
        pod = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "kubeflow", "labels": {"test": "cvmfs"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                                "command": ["sleep", "3600"], "volumeMounts": [mount]}],
                "volumes": [{"name": "tools", "persistentVolumeClaim": {"claimName": claim}}],
            },
        }  # fmt: skip
        self.kubectl(f"-n kubeflow delete pod {name} --ignore-not-found")
        self.root(
            f"kubectl --kubeconfig={CLUSTER['kubeconfig']} create -f - <<'END'\n{json.dumps(pod)}\nEND", timeout=120
        )
        if ready:
            self.kubectl(f"-n kubeflow wait --for=condition=Ready pod/{name} --timeout=180s", timeout=200)

    def listing(self, pod: str) -> str:
        """Return what a pod says when it lists the repository: the names, or the error."""
        command = f"-n kubeflow exec {pod} -- sh -c {shlex.quote(f'ls {ROOT}/ 2>&1')}"
        return self.kubectl(f"{command} 2>/dev/null || true")

    def clear(self) -> None:
        """Remove the pods of tests."""
        self.kubectl("-n kubeflow delete pods -l test=cvmfs --ignore-not-found", timeout=200)

    def mounted(self) -> bool:
        """Return whether the repository is mounted on the node."""
        path = f"/var/cvmfs/{REPOSITORY}"
        return self.root(f"docker exec minikube grep -c ' {path} .* - fuse' /proc/self/mountinfo || true") != "0"

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 180) -> float:
        """Return the seconds until something holds."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
            time.sleep(1)
        return time.monotonic() - began


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server of the instance that somebody brought up."""
    instance = Instance(INSTANCE)
    try:
        assert instance.state
    except Refusal as refusal:
        pytest.skip(str(refusal))
    made = Server(instance)
    yield made
    made.clear()
