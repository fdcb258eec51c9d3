"""Rights: what is asked for suffices for all that is applied, and one that is missing is named before anything is."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from neurobatch import clusters, stacks
from neurobatch.remote.cluster import render, rights

from tests.admin.api import Api
from tests.admin.conftest import SPACES, Look
from tests.rehearsal.cvmfs import build as cvmfs
from tests.rehearsal.kfp import archive
from tests.unit import test_stack_images as tables

#: Seconds that a refusal may take.
PROMPT = 10
STACKS = sorted(tables.STACKS)


def manifests(name: str, folder: Path) -> Path:
    """Return the release's own manifests, or the rehearsal's where they are not here."""
    return archive.upstream(tables.STACKS[name]["kubeflow_pipelines"]["version"]) or tables.generated(name, folder)


def test_an_administrator_may_install(api: Api) -> None:
    found = Look(api, api.kubeconfig())
    assert found.problems == []
    assert found.cluster["nodes"] == 1
    assert (found.cluster["cpus"], found.cluster["memory_mib"]) == (7, 15728)
    assert found.cluster["openshift"] is False
    assert found.seconds < PROMPT


@pytest.mark.parametrize("name", STACKS)
def test_the_described_account_may_apply_all_of_a_release(api: Api, installer: Path, name: str, tmp_path: Path) -> None:
    assert Look(api, installer).problems == []
    base = manifests(name, tmp_path / "generated")
    pipelines = tables.STACKS[name]["kubeflow_pipelines"]
    tables.overlay(pipelines, base, tmp_path, __kubeflow_pipelines_cluster=cluster("kubeflow"))
    kubectl = [str(api.kubectl), f"--kubeconfig={installer}"]
    objects = render.overlay(kubectl, str(tmp_path / "overlay"), [])
    versions = dict.fromkeys(render.CREDENTIALS, "1")
    items = json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": [render.stamped(each, versions) for each in objects]}
    )
    apply = [*kubectl, "apply", "--server-side", "--force-conflicts"]
    folder = str(tmp_path / "manifests" / "cluster-scoped-resources")
    for argv, stdin in (([*apply, "-k", folder], ""), ([*apply, "--filename=-"], items)):
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    claims = {
        each["metadata"]["name"]: each["spec"]["storageClassName"]
        for each in json.loads(api.run("get", "pvc", "-n", "kubeflow", "-o", "json").stdout)["items"]
    }
    assert claims == dict.fromkeys(["minio-pvc", "mysql-pv-claim", "neurodesktop-storage"], "fast")


def cluster(namespace: str) -> dict[str, object]:
    """Return what the role publishes about a cluster that is not ours."""
    return {"namespace": namespace, "storage": {"class": "fast", "shared_class": "fast", "shared_gb": 100}}


def test_the_described_account_may_install_the_driver(api: Api, installer: Path, tmp_path: Path) -> None:
    chart = Path(cvmfs.__file__).parent / "chart"
    helm = {**os.environ, "HELM_CACHE_HOME": str(tmp_path), "HELM_CONFIG_HOME": str(tmp_path)}
    where = ["--namespace=cvmfs", f"--kubeconfig={installer}"]
    argv = [str(api.helm), "upgrade", "--install", "cvmfs-csi", str(chart), *where]
    for _ in range(2):  # an upgrade asks for other rights than an installation
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=helm)
        assert done.returncode == 0, done.stderr
    assert "cvmfs-csi-nodeplugin" in api.run("get", "daemonsets", "-n", "cvmfs").stdout


@pytest.mark.parametrize(
    ("verb", "resource", "namespace"),
    [
        ("patch", "customresourcedefinitions", ""),
        ("escalate", "roles", "kubeflow"),
        ("create", "persistentvolumeclaims", "kubeflow"),
        ("create", "pods/portforward", "kubeflow"),
        ("get", "services/proxy", "kubeflow"),
        ("create", "daemonsets", "cvmfs"),
        ("create", "storageclasses", ""),
    ],
)
def test_one_right_too_few_is_named_and_nothing_is_applied(
    api: Api, installer: Path, verb: str, resource: str, namespace: str
) -> None:
    assert installer
    name = "neurobatch-installer"
    kind = "role" if namespace else "clusterrole"
    where = ["-n", namespace] if namespace else []
    kept = json.loads(api.run("get", kind, name, *where, "-o", "json").stdout)
    fewer = json.loads(json.dumps(kept))
    (rule,) = (each for each in fewer["rules"] if each["resources"] == [resource])
    rule["verbs"].remove(verb)
    if not rule["verbs"]:
        fewer["rules"].remove(rule)
    before = everything(api)
    api.run("replace", "--filename=-", stdin=json.dumps(fewer))
    try:
        found = Look(api, installer)
    finally:
        kept["metadata"].pop("resourceVersion")
        api.run("replace", "--filename=-", stdin=json.dumps(kept))
    (problem,) = found.problems
    place = f" in namespace {namespace}" if namespace else ""
    group = {"customresourcedefinitions": "apiextensions.k8s.io", "roles": rights.RBAC, "daemonsets": "apps",
             "storageclasses": "storage.k8s.io"}.get(resource)  # fmt: skip
    full = f"{resource}.{group}" if group else resource
    assert problem.startswith(f"The account in lab.kubeconfig may not {verb} {full}{place}: have an administrator")
    assert found.seconds < PROMPT
    assert everything(api) == before
    assert Look(api, installer).problems == []


def everything(api: Api) -> str:
    """Return the names of all that the roles would make."""
    kinds = "crds,namespaces,storageclasses,clusterroles,deployments,daemonsets,services,secrets,configmaps,pvc"
    return api.run("get", kinds, "-A", "-o", "name").stdout


def test_an_account_that_may_only_look_is_told_all_that_it_lacks_at_once(api: Api) -> None:
    looker = api.account("looker", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}])
    found = Look(api, looker)
    (problem,) = found.problems
    for words in ("create", "customresourcedefinitions.apiextensions.k8s.io", "in namespace kubeflow",
                  "in namespace cvmfs", "neurobatch cluster-rights", "docs/existing-cluster.md"):  # fmt: skip
        assert words in problem
    assert found.seconds < PROMPT


def test_nobody_gets_a_plain_answer(api: Api, tmp_path: Path) -> None:
    stranger = api.kubeconfig("stranger", "0" * 32)
    (problem,) = Look(api, stranger).problems
    assert "does not know the account in lab.kubeconfig" in problem
    moved = tmp_path / "moved"
    moved.write_text(api.kubeconfig().read_text().replace(api.url, "https://127.0.0.1:1"))
    (problem,) = Look(api, moved).problems
    assert "does not answer this server: compare the address" in problem


def test_the_table_is_the_one_that_is_asked(api: Api) -> None:
    asked = rights.needed(SPACES["pipelines"], SPACES["driver"])
    assert len(asked) == len(set(asked)) > 100
    assert stacks.known()
    described = [each for each in clusters.account("kubeflow", "cvmfs") if each["kind"] in {"Role", "ClusterRole"}]
    granted = {
        rights.Right(verb, group, resource, each["metadata"].get("namespace", ""))
        for each in described
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == set(asked)
    resources = api.run("api-resources", "-o", "name").stdout.split()
    assert {f"{right.resource}.{right.group}".rstrip(".") for right in asked if "/" not in right.resource} - {
        "workflows.argoproj.io"
    } <= set(resources)
