"""Names of container images (https://github.com/distribution/reference) and where to pull them from."""

from __future__ import annotations

from collections.abc import Mapping


def registry_of(reference: str) -> str:
    """Return the registry host of an image reference; Docker Hub is "docker.io", written or not."""
    first, _, rest = reference.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def pull_reference(reference: str, mirrors: Mapping[str, str]) -> str:
    """Return the name by which Docker has to pull ``reference`` where registries are mirrored.

    Args:
        reference: an image, by tag or digest.
        mirrors: registry host to base URL of its mirror.

    Docker consults mirrors for docker.io by itself; an image of any other registry is asked from the mirror by name.
    """
    registry = registry_of(reference)
    if registry == "docker.io" or registry not in mirrors:
        return reference
    mirror = mirrors[registry].split("://", 1)[-1].rstrip("/")
    return f"{mirror}/{reference.removeprefix(registry + '/')}"


def containerd_hosts(mirrors: Mapping[str, str], folder: str) -> list[dict[str, str]]:
    """Return containerd's hosts.toml files (path, content, mode) that put the mirrors in front of their registries.

    Args:
        mirrors: registry host to base URL of its mirror.
        folder: what stands for / of the node, such as Minikube's folder of files to sync.

    Pulls by digest go to the mirror, too. https://github.com/containerd/containerd/blob/main/docs/hosts.md
    """
    upstream = {"docker.io": "https://registry-1.docker.io"}
    return [
        {
            "path": f"{folder}/etc/containerd/certs.d/{registry}/hosts.toml",
            "mode": "0644",
            "content": f'server = "{upstream.get(registry, "https://" + registry)}"\n\n[host."{url.rstrip("/")}"]\n'
            '  capabilities = ["pull", "resolve"]\n',
        }
        for registry, url in sorted(mirrors.items())
    ]
