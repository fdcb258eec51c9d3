"""A cluster that is there already: its kubeconfig, the rights that are asked for, storage, OpenShift's marks."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from neurobatch import cli, clusters, preflight
from neurobatch.pages import hosts
from neurobatch.remote import existing_cluster_probe as probe
from neurobatch.remote.cluster import openshift, rights, storage

from tests.unit import test_stack_images as tables

PROJECT = Path(__file__).resolve().parents[2]
GOOD: dict[str, Any] = {
    "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.9:6443", "certificate-authority-data": "eA=="}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


def kubeconfig(kind: str = "", **more: Any) -> str:
    """Return a kubeconfig that is good but for more entries of a kind."""
    config = copy.deepcopy(GOOD)
    if kind:
        config[f"{kind}s"][0][kind] |= more
    return yaml.safe_dump(config | ({} if kind else more))


def test_a_kubeconfig_that_holds_all_it_needs_is_taken() -> None:
    assert clusters.kubeconfig_problem(kubeconfig()) == ""
    certificate = {"client-certificate-data": "eA==", "client-key-data": "eA=="}
    assert clusters.kubeconfig_problem(kubeconfig("user", **certificate)) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no: {{ yaml", "is no kubeconfig"),
        ("- a list", "is no kubeconfig"),
        (kubeconfig(**{"current-context": "y"}), "has no current context with a cluster and a user"),
        (kubeconfig(users=[]), "has no current context with a cluster and a user"),
        (
            kubeconfig("cluster", **{"insecure-skip-tls-verify": True}),
            "turns off the check of the cluster's certificate",
        ),
        (kubeconfig("cluster", **{"certificate-authority": "/root/ca.crt"}), "names files of another machine (certif"),
        (kubeconfig("user", **{"client-key": "x", "tokenFile": "y"}), "(client-key and tokenFile) instead of holding"),
        (kubeconfig("user", exec={"command": "gke-gcloud-auth-plugin"}), "logs in through a program, which services"),
        (kubeconfig("user", **{"auth-provider": {"name": "oidc"}}), "logs in through a program"),
    ],
)
def test_a_kubeconfig_that_a_service_cannot_use_is_refused(text: str, words: str) -> None:
    assert words in clusters.kubeconfig_problem(text)


def test_a_right_that_is_missing_is_named_with_others_of_its_place() -> None:
    missing = [
        rights.Right("create", "", "secrets", "lab"), rights.Right("create", "apps", "deployments", "lab"),
        rights.Right("patch", "apps", "deployments", "lab"), rights.Right("create", rights.RBAC, "clusterroles", ""),
    ]  # fmt: skip
    said = rights.sentence(missing, "kubeconfig")
    assert said.startswith(
        "The account in kubeconfig may not create secrets in namespace lab; create, patch deployments.apps in "
        "namespace lab; create clusterroles.rbac.authorization.k8s.io: have an administrator"
    )
    assert rights.sentence([], "kubeconfig") == ""


def test_a_question_names_a_subresource_for_itself() -> None:
    asked = rights.Right("create", "", "pods/exec", "lab").review()["spec"]["resourceAttributes"]
    assert asked == {"verb": "create", "group": "", "resource": "pods", "subresource": "exec", "namespace": "lab"}


@pytest.mark.parametrize("name", tables.SHIPPED)
def test_every_kind_of_a_release_is_asked_for(name: str, tmp_path: Path) -> None:
    asked = set(rights.needed("kubeflow", "cvmfs"))
    folder = tables.generated(name, tmp_path)
    for part in ("cluster-scoped-resources", "env/platform-agnostic"):
        for item in tables.rendered(folder / part):
            group = item["apiVersion"].rpartition("/")[0]
            plural = item["kind"].lower() + ("es" if item["kind"].endswith("s") else "s")
            place = "kubeflow" if item["metadata"].get("namespace") else ""
            assert rights.Right("create", group, plural, place) in asked, item
            assert rights.Right("patch", group, plural, place) in asked


def test_the_account_for_an_administrator_is_bound_to_its_roles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cluster-rights", "--namespace", "lab"]) == 0
    objects = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"} == {
        "neurobatch",
        "lab",
        "cvmfs",
    }
    for binding in (each for each in objects if each["kind"].endswith("RoleBinding")):
        (role,) = (
            each for each in objects
            if each["kind"] == binding["roleRef"]["kind"]
            and each["metadata"] == {**binding["metadata"], "name": binding["roleRef"]["name"]}
        )  # fmt: skip
        assert all("*" not in rule["verbs"] + rule["resources"] for rule in role["rules"])
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "installer", "namespace": "neurobatch"}]


def storage_class(name: str, **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": annotations}}


def test_storage_classes_are_judged() -> None:
    plain, marked = storage_class("a"), storage_class("b", **{storage.DEFAULT: "true"})
    assert storage.complaint("x", "a", [plain]) == ""
    assert storage.complaint("x", "", [plain, marked]) == ""
    assert storage.complaint("x", "", [storage_class("old", **{storage.OLD_DEFAULT: "true"})]) == ""
    assert "the cluster has a, b; name one of them" in storage.complaint("x", "c", [marked, plain])
    assert "no storage class is the default: the cluster has a; set x" in storage.complaint("x", "", [plain])
    assert "none at all; have its administrator install" in storage.complaint("x", "", [])


def test_openshift_has_both_marks() -> None:
    assert openshift.recognised(["apps", "route.openshift.io", "security.openshift.io"])
    assert not openshift.recognised(["apps", "route.openshift.io"])
    assert not openshift.recognised(["apps", "rbac.authorization.k8s.io"])


@pytest.mark.parametrize(
    ("quantity", "mebibytes"), [("16106128Ki", 15728), ("8Gi", 8192), ("4G", 3814), ("2097152", 2)]
)
def test_memory_of_a_node_is_read(quantity: str, mebibytes: int) -> None:
    assert probe.mebibytes(quantity) == mebibytes
    assert (probe.cpus("7910m"), probe.cpus("4")) == (7, 4)


def test_a_small_server_is_enough_where_the_cluster_is_elsewhere() -> None:
    small = hosts.merged(
        hosts.facts("debian-12"), {"memory": {"total": 2 * 2**30}, "cpus": {"count": 1, "affinity": 1}}
    )
    asked = preflight.Wanted(min_free_gb={"/var/lib/docker": 60})
    own = [each.check for each in preflight.verdict(small, asked) if each.severity == "refuse"]
    elsewhere = preflight.Wanted(min_free_gb={}, cluster_kind="admin")
    assert {"memory", "cpus"} <= set(own)
    assert [each for each in preflight.verdict(small, elsewhere) if each.severity == "refuse"] == []
    assert set(preflight.FOR_ANY_CLUSTER) <= set(preflight.CHECKS)


def test_the_inventory_to_copy_passes_the_check(tmp_path: Path) -> None:
    example = PROJECT / "inventories" / "admin_cluster"
    for path in example.rglob("*.yml"):
        (tmp_path / path.relative_to(example)).parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        if path.name == "all.yml":  # as an operator has it who takes away every comment sign before a variable
            text = "".join(
                line.removeprefix("# ") if line.startswith(("# existing_", "# stack:", "# port_")) else line
                for line in text.splitlines(keepends=True)
            )
        (tmp_path / path.relative_to(example)).write_text(text)
    (tmp_path / "kubeconfig").write_text(kubeconfig())
    program = Path(sys.executable).with_name("ansible-playbook")
    run = subprocess.run(
        [program, "-i", tmp_path / "hosts.yml", "playbooks/inventory.yml"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
