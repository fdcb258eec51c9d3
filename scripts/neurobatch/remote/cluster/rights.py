"""Which rights in a cluster the roles use, and which of them a kubeconfig has.

The table holds for every kind that is applied (compared in the tests with the releases' manifests and the chart's, and
tried against an API server by an account that has these rights and no others). A SelfSubjectAccessReview asks the
cluster's own authorizers, whatever they are, and is allowed to everybody who may log in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from neurobatch.remote.common import Cluster, documents

#: What server-side application, Helm and removal do with an object.
WRITE = ("get", "list", "create", "patch", "update", "delete")
READ = ("get", "list")
RBAC = "rbac.authorization.k8s.io"
#: The pipelines' own roles name rights that an account need not have itself, where it may give more than it has.
GRANT = (*WRITE, "bind", "escalate")

#: Verbs by API group and resource, for things of the whole cluster and for those in each of the two namespaces.
EVERYWHERE: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "namespaces"): ("get", "list", "create", "patch", "delete"),
    ("", "nodes"): READ,
    ("", "persistentvolumes"): READ,
    ("apiextensions.k8s.io", "customresourcedefinitions"): ("get", "list", "watch", "create", "patch", "delete"),
    (RBAC, "clusterroles"): GRANT,
    (RBAC, "clusterrolebindings"): WRITE,
    ("scheduling.k8s.io", "priorityclasses"): WRITE,
    ("storage.k8s.io", "csidrivers"): WRITE,
    ("storage.k8s.io", "storageclasses"): WRITE,
}
IN_BOTH: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "configmaps"): WRITE,
    ("", "events"): READ,
    ("", "pods"): ("get", "list", "watch", "create", "delete"),
    ("", "pods/exec"): ("create",),
    ("", "pods/log"): ("get",),
    ("", "secrets"): WRITE,
    ("", "serviceaccounts"): WRITE,
    ("apps", "deployments"): (*WRITE, "watch"),
    ("apps", "replicasets"): READ,
    (RBAC, "roles"): GRANT,
    (RBAC, "rolebindings"): WRITE,
}
IN_PIPELINES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "persistentvolumeclaims"): (*WRITE, "watch"),
    ("", "pods/portforward"): ("create",),
    ("", "services"): WRITE,
    ("", "services/proxy"): ("get",),
    ("argoproj.io", "workflows"): READ,
    ("batch", "jobs"): ("get", "list", "watch", "create", "delete"),
}
IN_DRIVER: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "daemonsets"): WRITE,
}


class Right(NamedTuple):
    """One verb on one resource; the namespace is empty where the whole cluster is meant."""

    verb: str
    group: str
    resource: str
    namespace: str

    def review(self) -> dict[str, Any]:
        """Return the question whether the one who asks has this right."""
        resource, _, part = self.resource.partition("/")
        asked = {"verb": self.verb, "group": self.group, "resource": resource, "subresource": part}
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**asked, "namespace": self.namespace}},
        }


def needed(pipelines: str, driver: str) -> list[Right]:
    """Return every right that the roles use, for the namespaces of the pipelines and of the CVMFS driver."""
    tables = (
        ("", EVERYWHERE), (pipelines, IN_BOTH), (pipelines, IN_PIPELINES), (driver, IN_BOTH), (driver, IN_DRIVER),
    )  # fmt: skip
    return [
        Right(verb, group, resource, namespace)
        for namespace, table in tables
        for (group, resource), verbs in table.items()
        for verb in verbs
    ]


def denied(cluster: Cluster, rights: list[Right]) -> list[Right] | str:
    """Return those of ``rights`` that the kubeconfig does not have, or why nobody could say."""
    asked = json.dumps({"apiVersion": "v1", "kind": "List", "items": [right.review() for right in rights]})
    run = cluster.run("create", "--validate=false", "--output=json", "--filename=-", stdin=asked, seconds=120)
    answers = documents(run.stdout) if run.returncode == 0 else []
    if len(answers) != len(rights):
        return run.stderr.strip()[-300:] or f"{len(answers)} answers to {len(rights)} questions"
    return [right for right, said in zip(rights, answers) if not said.get("status", {}).get("allowed")]


def sentence(missing: Iterable[Right], file: str) -> str:
    """Return one sentence that names what is missing, with its fix; empty when nothing is."""
    verbs: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for right in missing:
        verbs[right.namespace, right.group, right.resource].append(right.verb)
    places: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (namespace, group, resource), found in verbs.items():
        places[namespace, tuple(found)].append(f"{resource}.{group}" if group else resource)
    said = [
        f"{', '.join(found)} {', '.join(names)}{f' in namespace {namespace}' if namespace else ''}"
        for (namespace, found), names in places.items()
    ]
    if not said:
        return ""
    return (
        f"The account in {file} may not {'; '.join(said)}: have an administrator of the cluster give it the rights in "
        "docs/existing-cluster.md (`neurobatch cluster-rights` writes them down to apply), or take another kubeconfig."
    )
