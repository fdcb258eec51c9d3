"""From the words of a program, the kubelet or the API server to what is wrong with CVMFS, why, and what to do.

The words are the kernel's (strerror), the CVMFS client's and Kubernetes' own; what they mean was seen on a node with
real autofs and FUSE, and is written in the driver's documentation (how-to-use.md) and its threads.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """What stands in the text (`sign`), a word for it, the likely cause and what to do."""

    sign: str
    word: str
    cause: str
    remedy: str


#: In the order in which they are looked for: what says most comes first.
FAULTS: tuple[Fault, ...] = (
    Fault(
        "Too many levels of symbolic links",
        "ELOOP",
        "the pod has all of /cvmfs without mount propagation, and the repository was not mounted when it started "
        "or was "
        "unmounted since (ELOOP)",
        "Mount the claim cvmfs-neurodesk at /cvmfs/neurodesk.ardc.edu.au instead, which needs no propagation, "
        "and run the "
        "step again; if that claim says this, delete it (kubectl -n kubeflow delete pvc cvmfs-neurodesk) and run "
        "site.yml.",
    ),
    Fault(
        "Transport endpoint is not connected",
        "ENOTCONN",
        "the node plugin was restarted and took the mounts of running pods with it (ENOTCONN)",
        "Run the pod again; new ones work within a minute. If they do not, delete the node plugin's pod in the "
        "namespace "
        "cvmfs.",
    ),
    Fault(
        "Input/output error",
        "EIO",
        "the cache is too small for a big directory, or the servers stopped answering midway (EIO)",
        "Raise cvmfs_cache_mb, or name other servers in cvmfs_servers (playbooks/preflight.yml asks them).",
    ),
    Fault(
        "CVMFS_HTTP_PROXY required",
        "proxy",
        "the client's configuration names no proxy, not even DIRECT",
        "Run site.yml, which writes it, or correct cvmfs_http_proxy.",
    ),
    Fault(
        "file catalog failure",
        "catalog",
        "the client found no server with genuine content: the proxy or the servers cannot be reached, or the "
        "content is not "
        "signed with Neurodesk's key (file catalog failure)",
        "Correct cvmfs_http_proxy or cvmfs_servers (playbooks/preflight.yml asks each server through that proxy).",
    ),
    Fault(
        "Failed to load public key",
        "key",
        "the client cannot read the repository's public key",
        "Correct cvmfs_public_key and run site.yml.",
    ),
    Fault(
        "Permission denied",
        "EACCES",
        "the repository is mounted for root only (EACCES)",
        "The driver's configuration differs from what site.yml writes: run it again.",
    ),
    Fault(
        "FailedMount",
        "FailedMount",
        "the node cannot mount the repository: no server answered, its content is not signed with Neurodesk's "
        "key, or the "
        "node plugin is not ready (FailedMount)",
        "Look at the node plugin's last words (kubectl -n cvmfs logs -l component=nodeplugin -c automount); set "
        "cvmfs_servers "
        "or cvmfs_http_proxy. The kubelet tries again by itself, and autofs asks anew after 60 s.",
    ),
    Fault(
        "No such file or directory",
        "ENOENT",
        "the repository is not mounted or lacks the folder (ENOENT): no server answered, or its content is not "
        "signed with "
        "Neurodesk's key",
        "Set cvmfs_servers or cvmfs_http_proxy (playbooks/preflight.yml asks them). A failed mount is remembered "
        "for 60 s.",
    ),
    Fault(
        "no CVMFS file system",
        "folder",
        "the driver published an ordinary folder of the node instead of the repository (no FUSE mount)",
        "Delete the node plugin's pod, and look what else uses /var/cvmfs on the node.",
    ),
    Fault(
        "FailedScheduling",
        "unscheduled",
        "no node takes the pod; its claim has no volume, or the node is full or not ready",
        "Look at `kubectl describe node` and `kubectl -n kubeflow get pvc`.",
    ),
    Fault("violates PodSecurity", "forbidden", "the namespace refuses the pod", "Look at the labels of the namespace."),
    Fault(
        "ImagePull", "image", "the driver's image is not on the node and cannot be pulled", "Look at registry_mirrors."
    ),
)
#: Those that stand in what a program printed, and mean CVMFS where /cvmfs stands on the same line.
_CLIENT = ("proxy", "catalog", "key")
_KERNEL = ("ELOOP", "ENOTCONN", "EIO", "EACCES", "ENOENT")


def explain(text: str) -> Fault | None:
    """Return the first fault whose sign stands in what a check or a mount said."""
    return next((fault for fault in FAULTS if fault.sign in text), None)


def named(word: str) -> Fault:
    """Return the fault of a word."""
    return next(fault for fault in FAULTS if fault.word == word)


def of_client(log: str) -> Fault | None:
    """Return why the client could not mount, by autofs' log; None where it has mounted since, or nothing failed."""
    found = None
    for line in log.splitlines():
        if "mounted /cvmfs/" in line or " mounted on " in line:
            found = None
        found = next((fault for fault in FAULTS if fault.word in _CLIENT and fault.sign in line), found)
    return found


def in_output(text: str) -> Fault | None:
    """Return the fault that a line of a program's output shows about a path below /cvmfs, or that the client names."""
    for fault in FAULTS:
        for line in text.splitlines():
            if fault.sign in line and ("/cvmfs" in line if fault.word in _KERNEL else fault.word in _CLIENT):
                return fault
    return None
