"""A cluster that somebody else runs: the kubeconfig that leads to it, and the rights that an account there needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from neurobatch.remote.cluster import rights
from neurobatch.wording import listed

Json = dict[str, Any]
#: Entries of a kubeconfig that name files of the machine it was written on, and what holds the content instead.
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
#: Entries that log in by running a program or asking somebody, which nobody at the server could answer.
PROGRAMS = ("exec", "auth-provider")
FLATTEN = "write one with `kubectl config view --raw --flatten --minify`"
ACCOUNT = ("neurobatch", "installer")


def kubeconfig_problem(text: str) -> str:
    """Return why a kubeconfig cannot be used from a server and by services, with the remedy; empty when it can."""
    return next(_complaints(text), "")


def _complaints(text: str) -> Iterator[str]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, Mapping) or not isinstance(found.get("clusters"), list):
        yield f"is no kubeconfig: it lists no clusters; {FLATTEN}"
        return
    context = _named(found, "contexts", found.get("current-context"), "context")
    cluster = _named(found, "clusters", context.get("cluster"), "cluster")
    user = _named(found, "users", context.get("user"), "user")
    if not cluster.get("server") or not user:
        yield f"has no current context with a cluster and a user; {FLATTEN}"
    if cluster.get("insecure-skip-tls-verify"):
        yield (
            "turns off the check of the cluster's certificate (insecure-skip-tls-verify); put the cluster's own "
            "certificate into certificate-authority-data"
        )
    if named := [key for key in FILES if cluster.get(key) or user.get(key)]:
        yield f"names files of another machine ({listed(named)}) instead of holding them; {FLATTEN}"
    if any(user.get(key) for key in PROGRAMS):
        yield (
            "logs in through a program, which services of a server cannot: give it the token of a service account "
            "(docs/existing-cluster.md)"
        )


def _named(config: Mapping[str, Any], kind: str, name: object, part: str) -> Mapping[str, Any]:
    """Return the content of a named entry, empty where there is none."""
    rows = [each for each in config.get(kind) or [] if isinstance(each, Mapping) and each.get("name") == name]
    content = rows[0].get(part) if rows else None
    return content if isinstance(content, Mapping) else {}


def account(pipelines: str, driver: str, where: tuple[str, str] = ACCOUNT) -> Iterator[Json]:
    """Yield what an administrator applies so that a service account may install, and may do nothing else.

    Args:
        pipelines: the namespace of Kubeflow Pipelines.
        driver: that of the CVMFS driver.
        where: namespace and name of the account.
    """
    space, name = where
    for namespace in dict.fromkeys([space, pipelines, driver]):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": space}}
    asked = rights.needed(pipelines, driver)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    for namespace in dict.fromkeys(right.namespace for right in asked):
        prefix, place = ("Cluster", {}) if not namespace else ("", {"namespace": namespace})
        metadata = {"name": f"neurobatch-{name}", **place}
        version = f"{rights.RBAC}/v1"
        verbs: dict[tuple[str, str], list[str]] = {}
        for right in asked:
            if right.namespace == namespace:
                verbs.setdefault((right.group, right.resource), []).append(right.verb)
        rules = [
            {"apiGroups": [group], "resources": [resource], "verbs": found}
            for (group, resource), found in verbs.items()
        ]
        yield {"apiVersion": version, "kind": f"{prefix}Role", "metadata": metadata, "rules": rules}
        reference = {"apiGroup": rights.RBAC, "kind": f"{prefix}Role", "name": metadata["name"]}
        yield {
            "apiVersion": version, "kind": f"{prefix}RoleBinding", "metadata": metadata, "roleRef": reference,
            "subjects": [subject],
        }  # fmt: skip
