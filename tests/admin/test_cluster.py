"""What a cluster is: storage classes, whose namespace it is, its nodes, OpenShift by its APIs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import config
from neurobatch.remote.cluster import openshift
from openshift.dynamic import DynamicClient

from tests.admin.api import Api, Json
from tests.admin.conftest import CLASS, Look

#: Seconds that a refusal may take.
PROMPT = 10


def classes(own: str, shared: str) -> dict[str, str]:
    return {"existing_cluster_storage_class": own, "existing_cluster_shared_storage_class": shared}


def test_a_storage_class_that_is_not_there_is_refused_with_those_that_are(api: Api) -> None:
    api.apply({**CLASS, "metadata": {"name": "slow"}})
    assert Look(api, api.kubeconfig(), classes=classes("fast", "slow")).problems == []
    found = Look(api, api.kubeconfig(), classes=classes("", "nfs"))
    assert found.problems == [
        "existing_cluster_shared_storage_class is nfs, but there is no such storage class: the cluster has fast, slow; "
        "name one of them."
    ]
    assert found.seconds < PROMPT


def test_without_a_default_class_one_has_to_be_named(api: Api) -> None:
    api.apply({**CLASS, "metadata": {"name": "slow"}})
    api.run("annotate", "storageclass", "fast", "storageclass.kubernetes.io/is-default-class-")
    try:
        found = Look(api, api.kubeconfig(), classes=classes("", "slow")).problems
        assert found == [
            "existing_cluster_storage_class is empty, but no storage class is the default: the cluster has fast, slow; "
            "set existing_cluster_storage_class to one of them."
        ]
    finally:
        api.apply(CLASS)


def test_a_namespace_with_somebody_elses_pipelines_is_left_alone(api: Api) -> None:
    spaces = {"pipelines": "theirs", "driver": "cvmfs"}
    labels = {"app": "x"}
    deployment: Json = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ml-pipeline", "namespace": "theirs"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nowhere.test/x:1"}]}}},
    }  # fmt: skip
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "theirs"}})
    try:
        assert Look(api, api.kubeconfig(), namespaces=spaces).problems == []
        api.apply(deployment)
        (problem,) = Look(api, api.kubeconfig(), namespaces=spaces).problems
        assert problem.startswith("The namespace theirs has a Kubeflow Pipelines that somebody else installed")
        deployment["spec"]["template"]["metadata"]["annotations"] = {"neurobatch.org/credentials": "mysql-secret=1"}
        api.apply(deployment)
        assert Look(api, api.kubeconfig(), namespaces=spaces).problems == []
    finally:
        api.remove("deployment", "ml-pipeline", "-n", "theirs")
        api.remove("namespace", "theirs")


def test_a_namespace_that_is_being_removed_is_waited_out(api: Api) -> None:
    # Nobody here takes the finalizer away, so that the namespace stays as it is.
    (problem,) = [
        each
        for each in Look(api, api.kubeconfig(), namespaces={"pipelines": leaving(api), "driver": "cvmfs"}).problems
        if "being removed" in each
    ]
    assert problem.startswith("The namespace leaving is being removed")


def leaving(api: Api) -> str:
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "leaving"}})
    api.remove("namespace", "leaving")
    return "leaving"


def test_nodes_that_take_no_pods_are_seen(api: Api) -> None:
    api.run("patch", "node", "one", "--type=merge", '--patch={"spec": {"unschedulable": true}}')
    try:
        (problem,) = Look(api, api.kubeconfig()).problems
        assert problem.startswith("The cluster has no node that takes pods")
    finally:
        api.run("patch", "node", "one", "--type=merge", '--patch={"spec": {"unschedulable": null}}')


def definition(plural: str, kind: str, group: str, scope: str) -> Json:
    """Return a custom resource that takes any content."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group, "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }  # fmt: skip


ROUTES = definition("routes", "Route", openshift.ROUTES, "Namespaced")
SCCS = definition("securitycontextconstraints", "SecurityContextConstraints", openshift.SCCS, "Cluster")


def constraint(name: str, **more: Any) -> Json:
    """Return an SCC."""
    kind = {"apiVersion": f"{openshift.SCCS}/v1", "kind": "SecurityContextConstraints"}
    return {**kind, "metadata": {"name": name}, "users": [], "groups": [], **more}


@pytest.fixture
def planted(api: Api) -> Iterator[Api]:
    """The cluster with OpenShift's two custom resources, and the SCCs that every OpenShift has."""
    api.apply(ROUTES, SCCS)
    names = [ROUTES["metadata"]["name"], SCCS["metadata"]["name"]]
    try:
        api.run("wait", "--for=condition=established", "--timeout=60s", *(f"crd/{name}" for name in names))
        until = time.monotonic() + 60
        while api.run("get", SCCS["metadata"]["name"], check=False).returncode and time.monotonic() < until:
            time.sleep(0.5)
        api.apply(constraint("anyuid"), constraint("privileged"))
        yield api
    finally:
        api.remove("crd", *names)
        until = time.monotonic() + 60
        while openshift.SCCS in api.run("get", "--raw", "/apis").stdout and time.monotonic() < until:
            time.sleep(0.5)


def dynamic(api: Api) -> DynamicClient:
    """The OpenShift client of this project's environment."""
    return DynamicClient(config.new_client_from_config(str(api.kubeconfig())))


def test_openshift_is_recognised_and_says_what_differs(planted: Api) -> None:
    found = Look(planted, planted.kubeconfig())
    assert found.cluster["openshift"] is True
    assert len(found.cluster["notes"]) == 4
    assert found.problems == [
        "OpenShift lets no pod in kubeflow have the SCC anyuid, which is needed since MySQL and MinIO start as the "
        "users that their images name: have an administrator run oc adm policy add-scc-to-group anyuid "
        "system:serviceaccounts:kubeflow.",
        "OpenShift lets no pod in cvmfs have the SCC privileged, which is needed since the CVMFS driver mounts on the "
        "node: have an administrator run oc adm policy add-scc-to-group privileged system:serviceaccounts:cvmfs.",
    ]
    # OpenShift's own client sees the same two marks.
    resources = dynamic(planted).resources
    assert resources.get(api_version=f"{openshift.ROUTES}/v1", kind="Route").group == openshift.ROUTES
    sccs = resources.get(api_version=f"{openshift.SCCS}/v1", kind="SecurityContextConstraints")
    assert sorted(each.metadata.name for each in sccs.get().items) == ["anyuid", "privileged"]


def test_with_the_sccs_granted_openshift_takes_it_all(planted: Api) -> None:
    """As `oc adm policy` grants them: by a role that may use one (today), or by a name in the SCC (before)."""
    planted.apply(constraint("anyuid", groups=["system:serviceaccounts:kubeflow"]))
    role, rbac = "system:openshift:scc:privileged", "rbac.authorization.k8s.io"
    rule = {"apiGroups": [openshift.SCCS], "resources": ["securitycontextconstraints"], "verbs": ["use"],
            "resourceNames": ["privileged"]}  # fmt: skip
    planted.apply(
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": rbac, "kind": "Group", "name": "system:serviceaccounts:cvmfs"}],
        },
    )  # fmt: skip
    try:
        found = Look(planted, planted.kubeconfig())
        assert found.problems == []
        assert found.cluster["openshift"] is True
    finally:
        planted.remove("clusterrole,clusterrolebinding", role)


def test_one_of_the_two_apis_is_no_openshift(api: Api) -> None:
    """Routes alone are served by other clusters, too (their router can be had without the rest)."""
    api.apply(ROUTES)
    try:
        api.run("wait", "--for=condition=established", "--timeout=60s", f"crd/{ROUTES['metadata']['name']}")
        found = Look(api, api.kubeconfig())
        assert (found.cluster["openshift"], found.cluster["notes"]) == (False, [])
    finally:
        api.remove("crd", ROUTES["metadata"]["name"])
