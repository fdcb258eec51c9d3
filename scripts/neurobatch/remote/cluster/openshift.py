"""OpenShift: how a cluster is recognised as one, and what differs there.

Its marks are two of its own APIs, Routes and SecurityContextConstraints (SCCs): groups route.openshift.io and
security.openshift.io, served by its aggregated API server or by custom resources. An SCC is a cluster's say about what
a pod may be; a pod gets one that its account may `use`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from neurobatch.remote.common import Cluster

ROUTES, SCCS = "route.openshift.io", "security.openshift.io"
#: Which SCC the pods of a namespace need, since OpenShift's default gives them a random user and nothing of the node.
NEEDS = {
    "pipelines": ("anyuid", "MySQL and MinIO start as the users that their images name", ("default", "mysql")),
    "driver": ("privileged", "the CVMFS driver mounts on the node", ("cvmfs-csi-nodeplugin",)),
}


def marks(groups: Iterable[str]) -> list[str]:
    """Return the API groups of OpenShift among a cluster's; with both of them it is one."""
    there = set(groups)
    return [name for name in (ROUTES, SCCS) if name in there]


def recognised(groups: Iterable[str]) -> bool:
    """Return whether a cluster with these API groups is OpenShift."""
    return len(marks(groups)) == 2


def command(constraint: str, namespace: str) -> str:
    """Return the command that lets every pod of a namespace have an SCC."""
    return f"oc adm policy add-scc-to-group {constraint} system:serviceaccounts:{namespace}"


def differs(namespaces: dict[str, str]) -> list[str]:
    """Return what an operator should know of it, as sentences."""
    found = ["This cluster is OpenShift (it serves Routes and SecurityContextConstraints)."]
    for role, (constraint, why, _) in NEEDS.items():
        namespace = namespaces[role]
        found.append(f"Pods in {namespace} need the SCC {constraint}, since {why}: {command(constraint, namespace)}.")
    found.append(
        "No Route is made: Kubeflow Pipelines asks nobody who they are. Its page stays on the server's loopback."
    )
    return found


def review(account: str, namespace: str, constraint: str) -> dict[str, Any]:
    """Return the question whether a service account may use an SCC."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": {
                "verb": "use", "group": SCCS, "resource": "securitycontextconstraints", "name": constraint,
                "namespace": namespace,
            },
        },
    }  # fmt: skip


def named(constraint: dict[str, Any] | None, account: str, namespace: str) -> bool:
    """Return whether an SCC itself names an account or its group, as older grants do."""
    found = constraint or {}
    wanted = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"}
    return bool(
        wanted & set(found.get("groups") or [])
        or f"system:serviceaccount:{namespace}:{account}" in (found.get("users") or [])
    )


def lacking(cluster: Cluster, namespaces: dict[str, str]) -> list[str]:
    """Return what pods would not be let in for, as sentences; nothing where the account may not ask."""
    problems = []
    for role, (constraint, why, accounts) in NEEDS.items():
        namespace = namespaces[role]
        there = cluster.get("securitycontextconstraints.security.openshift.io", constraint)
        for account in accounts:
            if named(there, account, namespace):
                continue
            asked = json.dumps(review(account, namespace, constraint))
            run = cluster.run("create", "--validate=false", "--output=json", "--filename=-", stdin=asked)
            if run.returncode == 0 and not json.loads(run.stdout)["status"].get("allowed"):
                problems.append(
                    f"OpenShift lets no pod in {namespace} have the SCC {constraint}, which is needed since {why}: "
                    f"have an administrator run {command(constraint, namespace)}."
                )
                break
    return problems
