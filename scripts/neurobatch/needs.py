"""What a stack downloads, from where, and who on the server fetches it. Pure: a resolved stack in, needs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neurobatch.doors import past_proxy, through
from neurobatch.images import qualified, registry_of
from neurobatch.mirrors import Mirror

#: docker: the engine's own pulls; node: pulls of the cluster's containerd; helm: a chart out of a registry.
By = Literal["docker", "node", "helm", "fetch", "git", "pip"]


@dataclass(frozen=True)
class Need:
    """One download: a file's address, or an image with its registry's host.

    Attributes:
        what: the name that a sentence gives it.
        by: who fetches it.
        address: the URL, or the image's full reference.
        origin: the host that publishes it, whatever mirror stands in front.
    """

    what: str
    by: By
    address: str
    origin: str

    @property
    def image(self) -> bool:
        """Whether it comes out of a container registry."""
        return self.by in {"docker", "node", "helm"}


@dataclass(frozen=True)
class Doors:
    """What an inventory says about the way out, under the variables' names (`neurodesktop_` ones without it)."""

    artifact_mirror: str = ""
    registry_mirrors: Mapping[str, Any] = field(default_factory=dict)
    pip_index_url: str = ""
    proxy_url: str = ""
    proxy_exceptions: tuple[str, ...] = ()
    repo: str = ""
    image: str = ""

    @property
    def mirrors(self) -> dict[str, Mirror]:
        """The registries' mirrors, by the host that they stand for."""
        return {host: Mirror.of(entry) for host, entry in self.registry_mirrors.items()}


def of(stack: Mapping[str, Any], doors: Doors) -> list[Need]:
    """Return what an installation of ``stack`` fetches, each address once."""
    found = [*_files(stack, doors), *_images(stack, doors), *_others(stack, doors)]
    return list({need.address: need for need in found}.values())


def _files(stack: Mapping[str, Any], doors: Doors) -> list[Need]:
    rows: list[tuple[str, str | None]] = []
    for name, tool in stack["tools"].items():
        rows.append((f"{name} {tool['version']}", tool["url"]))
        if not tool["sha256"]:
            rows.append((f"the checksum of {name}", tool["sum_url"]))
    pipelines = stack["kubeflow_pipelines"]
    rows.append((f"the manifests of Kubeflow Pipelines {pipelines['version']}", pipelines["url"]))
    rows.append((f"the chart cvmfs-csi {stack['cvmfs_csi']['version']}", stack["cvmfs_csi"]["url"]))
    return [
        Need(what, "fetch", through(url, doors.artifact_mirror), url.split("://", 1)[-1].split("/")[0])
        for what, url in rows
        if url
    ]


def _images(stack: Mapping[str, Any], doors: Doors) -> list[Need]:
    rows: list[tuple[str, By, str]] = [("Minikube's node", "docker", stack["minikube"]["base_image"])]
    desktop = stack["neurodesktop"]
    base = f"{desktop['base_image']}@{desktop['base_image_digest']}" if desktop["base_image_digest"] else ""
    rows.append(("Neurodesktop's base", "docker", doors.image or base or desktop["base_image"]))
    rows.append(("the steps' runtime", "node", stack["runtime_image"]["name"]))
    for name, row in stack["kubeflow_pipelines"].get("images", {}).items():
        if row["needed"]:
            rows.append((name, "node", row["substitute"] or row["image"]))
    for name, row in stack["cvmfs_csi"].get("images", {}).items():
        rows.append((name, "node", row["image"]))
    chart = stack["cvmfs_csi"]
    if not chart["url"]:
        rows.append(("the chart cvmfs-csi", "helm", f"{chart['chart'].removeprefix('oci://')}:{chart['version']}"))
    return [Need(what, by, qualified(image), registry_of(image)) for what, by, image in rows]


def _others(stack: Mapping[str, Any], doors: Doors) -> list[Need]:
    found = []
    repo = doors.repo or stack["neurodesktop"]["repo"]
    if not doors.image and repo.startswith(("http://", "https://")):
        address = f"{repo.rstrip('/')}/info/refs?service=git-upload-pack"
        found.append(Need("Neurodesktop's repository", "git", address, repo.split("://", 1)[1].split("/")[0]))
    if doors.pip_index_url.startswith(("http://", "https://")):
        host = doors.pip_index_url.split("://", 1)[1].split("/")[0].rpartition("@")[2]
        package = "jupyterlab" if "jupyterlab" in stack["neurodesktop"]["constraints"] else ""
        address = f"{doors.pip_index_url.rstrip('/')}/{package + '/' if package else ''}"
        found.append(Need("the package index", "pip", address, host))
    return found


def question(needs: list[Need], doors: Doors) -> dict[str, Any]:
    """Return the parameters of `neurobatch.remote.network.probe.answers` for these needs (passwords among them)."""
    mirrors = doors.mirrors
    return {
        "targets": [
            {"id": need.address, "image": need.address, "upstream": falls_back(need, mirrors)}
            if need.image
            else {"id": need.address, "url": need.address}
            for need in needs
        ],
        "registries": {
            host: {"url": mirror.url, "username": mirror.username, "password": mirror.password, "ca": mirror.ca}
            for host, mirror in mirrors.items()
        },
        "proxy": doors.proxy_url,
        "no_proxy": past_proxy(doors.proxy_exceptions),
    }


def falls_back(need: Need, mirrors: Mapping[str, Mirror]) -> bool:
    """Tell whether whoever fetches an image goes on to its own registry where the mirror lacks it."""
    mirror = mirrors.get(need.origin)
    if mirror is None:
        return False
    return need.by == "node" or (need.by == "docker" and need.origin == "docker.io" and not mirror.by_name)


def pins(stack: Mapping[str, Any]) -> dict[str, str | None]:
    """Return every hash and digest that a stack may hold, by its dotted key; None where nobody has computed it yet."""
    found: dict[str, str | None] = {f"tools.{name}.sha256": tool["sha256"] for name, tool in stack["tools"].items()}
    found["kubeflow_pipelines.tree_sha256"] = stack["kubeflow_pipelines"]["tree_sha256"]
    found["neurodesktop.base_image_digest"] = stack["neurodesktop"]["base_image_digest"]
    return found


def unpinned(stack: Mapping[str, Any]) -> list[str]:
    """Return the keys of the hashes and digests that nobody has computed yet."""
    return [key for key, value in pins(stack).items() if not value]
