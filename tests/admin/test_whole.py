"""A whole installation on a cluster that was there, by an account with the described rights and no others.

The cluster is the Minikube of a rehearsed server, which is then made to forget that it is its own: it has no record of
it any more, and nothing but the kubeconfig of an account leads there. ``NEUROBATCH_ADMIN_INSTANCE=demo`` takes a server
that is up, whose cluster was never this project's; it is not brought down then.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from neurobatch import clusters

from tests.rehearsal.instance import Instance
from tests.server import playbook, remote

OWN = "admin"
#: Another one than the release's manifests name.
SPACE = "lab"
#: Seconds that a refusal of the whole playbook may take, connection and host checks included.
PROMPT = 60
THEIRS = "/root/theirs"
#: What is Minikube's without Neurodesktop: its storage folder is all that the role wants of it.
CLUSTER_ALONE = {"neurobatch_jupyter": {"storage_dir": "/home/engineer/neurodesktop-storage"}}


class Gateway:
    """A server that reaches somebody's cluster, and the administrator of that cluster."""

    def __init__(self, instance: Instance) -> None:
        """Know the server."""
        self.instance = instance
        self.kubeconfig = instance.names.state_dir / "kubeconfig"

    def root(self, command: str, **options: Any) -> str:
        """Run a shell command as root on the server."""
        return remote.root(self.instance, command, **options)

    def kubectl(self, command: str, **options: Any) -> str:
        """Run kubectl as the cluster's administrator."""
        return self.root(f"{THEIRS}/kubectl --kubeconfig={THEIRS}/kubeconfig {command}", **options)

    def site(self, **variables: Any) -> playbook.Result:
        """Run site.yml for the cluster."""
        given = {
            "cluster_kind": "admin", "existing_cluster_kubeconfig": str(self.kubeconfig),
            "existing_cluster_namespace": SPACE, **variables,
        }  # fmt: skip
        return playbook.run(self.instance, "-e", json.dumps(given), timeout=2400)

    def apply(self, *objects: Any) -> None:
        """Apply objects as the cluster's administrator."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl(f"apply -f - <<'END'\n{text}\nEND\n")

    def login(self, account: str, namespace: str) -> None:
        """Write the kubeconfig of a service account, as docs/existing-cluster.md says."""
        token = self.kubectl(f"create token {account} --namespace {namespace}").strip()
        flat = yaml.safe_load(self.kubectl("config view --raw --flatten --minify"))
        flat["users"] = [{"name": account, "user": {"token": token}}]
        flat["contexts"][0]["context"]["user"] = account
        self.kubeconfig.write_text(yaml.safe_dump(flat))
        self.kubeconfig.chmod(0o600)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A server with a cluster beside it that is not its own."""
    name = os.environ.get("NEUROBATCH_ADMIN_INSTANCE", OWN)
    instance = Instance(name)
    instance.up()
    try:
        found = Gateway(instance)
        if not found.root(f"ls {THEIRS}/kubeconfig 2>/dev/null || true"):
            found.root("install -d -o engineer -g engineer /home/engineer/neurodesktop-storage")
            # What the role neurodesktop brings in front of the cluster's firewall.
            found.root("apt-get update -q && apt-get install -qy --no-install-recommends nftables", timeout=300)
            tags = ["--tags", "preflight,stack,docker,minikube", "-e", json.dumps(CLUSTER_ALONE)]
            made = playbook.run(instance, *tags, timeout=1800)
            assert made.code == 0, made.output[-3000:]
            # From here on it is somebody else's: no record, no tools, no kubeconfig of ours.
            found.root(
                f"mkdir -p {THEIRS} && cp /usr/local/bin/kubectl {THEIRS}/ && mv /etc/neurobatch/kubeconfig {THEIRS}/"
                " && rm -f /etc/neurobatch/minikube-created.json /usr/local/bin/kubectl /usr/local/bin/helm "
                "/var/lib/neurobatch/downloads/*.json"
            )
        yield found
    finally:
        if name == OWN:
            instance.down()


@pytest.fixture(scope="module")
def described(gateway: Gateway) -> Path:
    """The kubeconfig of the account that `neurobatch cluster-rights` describes."""
    gateway.apply(*clusters.account(SPACE, "cvmfs"))
    space, name = clusters.ACCOUNT
    gateway.login(name, space)
    return gateway.kubeconfig


def names(gateway: Gateway) -> str:
    """Return the names of all that the roles make in a cluster."""
    kinds = "crds,namespaces,storageclasses,csidrivers,deployments,daemonsets,services,secrets,pvc"
    return gateway.kubectl(f"get {kinds} -A -o name")


def test_too_few_rights_are_refused_and_the_cluster_is_as_it_was(gateway: Gateway) -> None:
    gateway.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "looker", "namespace": "default"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "looker"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "looker", "namespace": "default"}],
        },
    )  # fmt: skip
    gateway.kubectl("wait --for=jsonpath={.kind}=ServiceAccount sa/looker -n default --timeout=30s")
    gateway.login("looker", "default")
    gateway.site()  # brings the tools, whatever it says then
    before = names(gateway)
    result = gateway.site()
    assert result.code != 0
    assert "The account in kubeconfig may not " in result.text
    assert "customresourcedefinitions.apiextensions.k8s.io" in result.text
    assert result.seconds < PROMPT
    assert names(gateway) == before


@pytest.mark.usefixtures("described")
def test_a_storage_class_that_is_not_there_is_refused(gateway: Gateway) -> None:
    result = gateway.site(existing_cluster_shared_storage_class="nfs")
    assert result.code != 0
    assert "there is no such storage class: the cluster has standard; name one of them." in result.text
    assert result.seconds < PROMPT


@pytest.mark.usefixtures("described")
def test_it_installs_proves_itself_and_a_second_run_changes_nothing(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    first = gateway.site()
    assert first.code == 0, first.output[-4000:]
    assert f"runs in the namespace {SPACE} of the cluster of kubeconfig" in first.text
    second = gateway.site()
    assert second.code == 0, second.output[-3000:]
    assert second.recap()["changed"] == 0, second.output[-3000:]
    with capsys.disabled():
        print(f"\nmeasured: first run {first.seconds:.0f} s, second {second.seconds:.0f} s with changed=0")
    claims = json.loads(gateway.kubectl(f"get pvc -n {SPACE} -o json"))["items"]
    assert {each["metadata"]["name"] for each in claims if each["status"]["phase"] == "Bound"} == {
        "minio-pvc", "mysql-pv-claim", "neurodesktop-storage", "cvmfs", "cvmfs-neurodesk",
    }  # fmt: skip
    assert "kubeflow" not in gateway.kubectl("get namespaces -o name")
    # The account is the described one, and has not become another on the way.
    assert "may not" not in second.text


@pytest.mark.usefixtures("described")
def test_the_proof_runs_at_any_time(gateway: Gateway) -> None:
    said = gateway.root("neurobatch-smoke --deadline 600 2>/dev/null | tail -n1", timeout=700)
    assert said.startswith("smoke: SUCCEEDED")


def test_a_diagnosis_looks_at_nothing_but_ours(gateway: Gateway) -> None:
    given = {"cluster_kind": "admin", "existing_cluster_kubeconfig": str(gateway.kubeconfig)}
    given["existing_cluster_namespace"] = SPACE
    result = playbook.run(gateway.instance, "-e", json.dumps(given), playbook="playbooks/diagnose.yml")
    assert result.code == 0, result.output[-3000:]
    assert "Nothing is wrong that could be seen." in result.text
    (bundle,) = re.findall(r"without secrets: (\S+diagnosis\.tar\.gz)", result.text)
    with tarfile.open(bundle) as tar:
        packed = tar.getnames()
    spaces = {name.split("/")[2] for name in packed if name.startswith("diagnosis/cluster/") and name.count("/") > 2}
    assert spaces == {SPACE, "cvmfs"}


def test_a_reset_leaves_it_alone(gateway: Gateway) -> None:
    before = names(gateway)
    given = {"cluster_kind": "admin", "reset_confirm": "sandbox"}
    given["existing_cluster_kubeconfig"] = str(gateway.kubeconfig)
    result = playbook.run(gateway.instance, "-e", json.dumps(given), playbook="playbooks/reset.yml")
    assert result.code != 0
    assert "a reset is for a server's own cluster" in result.text
    assert names(gateway) == before
