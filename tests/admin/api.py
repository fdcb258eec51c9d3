"""A Kubernetes API server with its etcd, and no node, on loopback: enough for rights, kinds and objects.

Both are the rehearsal's own programs (tests/rehearsal/cluster); they run as processes in a folder that goes with them.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.doors.processes import free_port, running
from tests.rehearsal import roots
from tests.rehearsal.cluster import binaries, node, programs
from tests.rehearsal.names import Names, cache_root

Json = dict[str, Any]
#: Where the account of a test lives; no namespace of the product.
ACCOUNTS = "accounts"


@dataclass(frozen=True)
class Api:
    """An API server that runs: its address, programs to speak to it with, and a folder for files."""

    url: str
    folder: Path
    kubectl: Path
    helm: Path
    certificate: Path
    token: str

    def kubeconfig(self, name: str = "root", token: str = "") -> Path:
        """Write the kubeconfig of somebody with a bearer token; without one, of an administrator."""
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(kubeconfig(self.url, self.certificate, token or self.token)))
        path.chmod(0o600)
        return path

    def run(self, *argv: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        command = [str(self.kubectl), f"--kubeconfig={self.kubeconfig()}", *argv]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def apply(self, *objects: Json) -> None:
        """Apply objects as the administrator."""
        self.run("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def remove(self, *argv: str) -> None:
        """Delete objects as the administrator, those that are there."""
        self.run("delete", "--ignore-not-found", "--wait=false", *argv)

    def account(self, name: str, rules: list[Json]) -> Path:
        """Make a service account with these rules in the whole cluster, and return its kubeconfig."""
        rbac = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": name, "namespace": ACCOUNTS}
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNTS}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": ACCOUNTS}},
            {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name}, "subjects": [subject],
            },
        )  # fmt: skip
        return self.kubeconfig(name, self.run("create", "token", name, "-n", ACCOUNTS).stdout.strip())


def kubeconfig(url: str, certificate: Path, token: str) -> Json:
    """Return a kubeconfig with one cluster and one user."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority-data": encoded(certificate)}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def encoded(path: Path) -> str:
    """Return a file as base64."""
    return subprocess.run(["base64", "-w0", path], capture_output=True, text=True, check=True).stdout


@contextmanager
def api_server(folder: Path) -> Iterator[Api]:
    """Run an API server until the block ends; programs come from the cache, and are made where it has none."""
    names, cache = Names("admin"), cache_root()
    kubernetes = binaries.ensure(names, cache)
    with tarfile.open(roots.root_tar(node.ROOT, cache)) as tar:
        tar.extract("./usr/bin/etcd", folder, filter="data")
    helm = folder / "helm"
    with tarfile.open(programs.helm_archive(names, cache)) as tar:
        tar.extractall(helm, filter="data")
    keys(folder)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},root,root,system:masters\n")
    store, peer, port = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        etcd: list[str | Path] = [
            folder / "usr/bin/etcd", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{store}",
            f"--advertise-client-urls=http://127.0.0.1:{store}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync", "--log-level=error",
        ]  # fmt: skip
        stack.enter_context(running(etcd, store, folder / "etcd.log", {}))
        server: list[str | Path] = [
            kubernetes / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{store}", f"--secure-port={port}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={folder / 'api.crt'}", f"--tls-private-key-file={folder / 'api.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC", "--allow-privileged=true",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'api.key'}",
            f"--service-account-signing-key-file={folder / 'api.key'}", f"--cert-dir={folder}",
        ]  # fmt: skip
        stack.enter_context(running(server, port, folder / "api.log", {}))
        program = next(path for path in helm.rglob("helm") if path.is_file())
        url = f"https://127.0.0.1:{port}"
        api = Api(url, folder, programs.kubectl(names, cache), program, folder / "api.crt", token)
        until = time.monotonic() + 60
        while api.run("get", "--raw", "/readyz", check=False).stdout != "ok":
            assert time.monotonic() < until, (folder / "api.log").read_text()[-2000:]
            time.sleep(0.3)
        yield api


def keys(folder: Path) -> None:
    """Make the server's key, which also signs the tokens of accounts, and its certificate."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "api.key", "-out", folder / "api.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
