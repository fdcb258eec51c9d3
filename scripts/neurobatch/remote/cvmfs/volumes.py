"""Which pods have a volume of CVMFS, and which of them can still read it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from neurobatch.remote.common import Cluster
from neurobatch.remote.cvmfs import faults

DRIVER = "cvmfs.csi.cern.ch"
#: Seconds for one look into one pod; a server that went away makes reading slow.
PATIENCE = 25
Object = dict[str, Any]


class User(NamedTuple):
    """A container that mounts a volume of CVMFS: `recovers` is whether it gets new mounts of the node."""

    namespace: str
    pod: str
    container: str
    path: str
    recovers: bool

    @property
    def name(self) -> str:
        """Namespace and pod."""
        return f"{self.namespace}/{self.pod}"


def seen(cluster: Cluster, namespaces: list[str]) -> list[Object] | None:
    """Return what `users` needs to know of these namespaces, and all names; None where the cluster does not answer."""
    found: list[Object] = []
    for where in (["storageclasses,namespaces"], *(["persistentvolumeclaims,pods", "-n", each] for each in namespaces)):
        answer = cluster.get(*where)
        if answer is None:
            return None
        found += answer["items"]
    return found


def users(items: list[Object], repository: str) -> list[User]:
    """Return the running containers among ``items`` (pods, claims, storage classes) with a volume of CVMFS.

    The path is where they should find ``repository``.
    """
    classes = {
        item["metadata"]["name"]: (item.get("parameters") or {}).get("repository", "")
        for item in items
        if item["kind"] == "StorageClass" and item.get("provisioner") == DRIVER
    }
    claims = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): classes[item["spec"]["storageClassName"]]
        for item in items
        if item["kind"] == "PersistentVolumeClaim" and item["spec"].get("storageClassName") in classes
    }
    found = []
    for item in items:
        if item["kind"] == "Pod" and item["status"].get("phase") == "Running":
            found += _of(item, claims, repository)
    return sorted(found)


def _of(pod: Object, claims: dict[tuple[str, str], str], repository: str) -> list[User]:
    place, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    volumes = {}
    for volume in pod["spec"].get("volumes") or []:
        claim = (place, (volume.get("persistentVolumeClaim") or {}).get("claimName", ""))
        if claim in claims:
            volumes[volume["name"]] = claims[claim]
    running = {
        state["name"]
        for state in pod["status"].get("containerStatuses") or []
        if "running" in (state.get("state") or {})
    }
    found = []
    for container in pod["spec"]["containers"]:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in volumes and container["name"] in running:
                path = mount["mountPath"] if volumes[mount["name"]] else f"{mount['mountPath']}/{repository}"
                follows = mount.get("mountPropagation", "None") != "None"
                found.append(User(place, name, container["name"], path, follows and not volumes[mount["name"]]))
    return found


def breaks(found: list[User]) -> list[str]:
    """Return the pods that lose the tools for good when the node plugin is restarted."""
    return sorted({user.name for user in found if not user.recovers})


def lost(cluster: Cluster, found: list[User]) -> list[tuple[User, faults.Fault]]:
    """Return the users that cannot list the repository any more, with the reason; one without `ls` is not judged."""

    def look(user: User) -> tuple[User, faults.Fault] | None:
        where = ["-n", user.namespace, user.pod, "-c", user.container]
        run = cluster.run("exec", *where, "--", "ls", f"{user.path}/", seconds=PATIENCE)
        fault = faults.explain(run.stderr) if run.returncode and f"{user.path}" in run.stderr else None
        return (user, fault) if fault and "executable file not found" not in run.stderr else None

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [row for row in pool.map(look, found) if row]


def unmountable(cluster: Cluster, namespace: str) -> tuple[faults.Fault, str] | None:
    """Return why the driver's client cannot mount the repository now, with its last words; None where it can."""
    labels = ["-n", namespace, "--selector=component=nodeplugin", "--container=automount", "--tail=80"]
    log = cluster.run("logs", *labels).stdout
    fault = faults.of_client(log)
    return (fault, "\n".join(log.splitlines()[-8:])) if fault else None
