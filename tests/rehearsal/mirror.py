"""The mirror container: what an air-gapped site runs, and what the rehearsal's server downloads from.

Its doors (all through one nginx, whose access log therefore has every download):

- ``http://IP:5000`` container registry, given to the roles as ``registry_mirrors: {docker.io: …}``
- ``http://IP/files`` plain files, given as ``artifact_mirror``
- ``http://IP/simple`` wheels, given as ``pip_index_url``
- ``http://IP/git/neurodesktop.git`` the rehearsal's Neurodesktop, given as ``neurodesktop_repo``
- ``http://IP`` and ``http://IP:8000`` two CVMFS servers, given as ``cvmfs_servers``
"""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal import engine, roots
from tests.rehearsal.common import Refusal, locked, say, wait_until
from tests.rehearsal.names import Names

BASE_IMAGE = "jupyter/base-notebook:2023-10-20"
"""The public image that Neurodesktop's Dockerfile begins with; our Debian 12 root stands in for it."""


@dataclass(frozen=True)
class Doors:
    """The mirror's addresses, named as the roles' variables are."""

    registry: str
    artifact_mirror: str
    pip_index_url: str
    neurodesktop_repo: str
    cvmfs_servers: tuple[str, ...]

    @classmethod
    def at(cls, ip: str) -> Doors:
        """Return the doors of a mirror with this address."""
        return cls(
            registry=f"http://{ip}:5000",
            artifact_mirror=f"http://{ip}/files",
            pip_index_url=f"http://{ip}/simple",
            neurodesktop_repo=f"http://{ip}/git/neurodesktop.git",
            cvmfs_servers=(f"http://{ip}", f"http://{ip}:8000"),
        )


@dataclass(frozen=True)
class Stores:
    """Folders on this machine that the mirror serves.

    Attributes:
        registry: the registry's storage.
        files: plain files.
        simple: the wheel index.
        git: bare repositories.
        cvmfs: what a CVMFS stratum serves, below `cvmfs`.
        log: where nginx writes access.log.
    """

    registry: Path
    files: Path
    simple: Path
    git: Path
    cvmfs: Path
    log: Path

    def mounts(self) -> list[str]:
        """Return the `docker run` flags that mount them."""
        return [
            f"--volume={self.registry}:/srv/mirror/registry",
            f"--volume={self.files}:/srv/mirror/files:ro",
            f"--volume={self.simple}:/srv/mirror/simple:ro",
            f"--volume={self.git}:/srv/mirror/git:ro",
            f"--volume={self.cvmfs}:/srv/mirror/cvmfs:ro",
            f"--volume={self.log}:/var/log/nginx",
        ]


def ensure_registry(names: Names, cache: Path) -> Path:
    """Return the registry's storage with the base image in it, pushing the image when it is not there."""
    notebook = roots.NOTEBOOK
    store = cache / "store" / "registry" / notebook.tag().rpartition(":")[2]
    with locked(cache / "locks" / f"registry-{store.name}.lock", "filling the registry"):
        tar = roots.root_tar(notebook, cache)
        marker = store / "filled"
        stamp = f"{tar.stat().st_mtime:.0f}\n"
        if not marker.exists() or marker.read_text() != stamp:
            store.mkdir(parents=True, exist_ok=True)
            push(names, cache, store, roots.image(notebook, cache), BASE_IMAGE)
            marker.write_text(stamp)
    os.utime(store)
    for other in store.parent.iterdir():
        if time.time() - other.stat().st_mtime > roots.FORGET_AFTER_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)
    return store


def ensure_image(names: Names, cache: Path, store: Path, name: str, *, make: Callable[[], str], stamp: str) -> None:
    """Have an image in a registry's storage, making and pushing it only when its stamp is another one.

    Args:
        names: the instance.
        cache: the cache root.
        store: the registry's storage.
        name: the image's name in the mirror, without a host.
        make: returns the image's tag in this machine's Docker.
        stamp: one line that stands for all that goes into the image.
    """
    marker = store / f"filled-{name.replace('/', '_').replace(':', '_')}"
    with locked(cache / "locks" / f"registry-{store.name}.lock", "filling the registry"):
        if not marker.exists() or marker.read_text() != stamp:
            push(names, cache, store, make(), name)
            marker.write_text(stamp)


def push(names: Names, cache: Path, store: Path, source: str, name: str) -> None:
    """Push an image into a registry's storage, through a registry that lives as long as that takes.

    Its port is published on this machine's loopback, which Docker trusts without TLS and without a change
    to the daemon's settings.
    """
    started = time.monotonic()
    mirror_image = roots.image(roots.MIRROR, cache)
    helper = names.container("filler")
    engine.docker("rm", "-f", helper, check=False)
    engine.docker(
        "run", "--detach", "--name", helper, *names.labels(), "--publish=127.0.0.1::5000",
        f"--volume={store}:/srv/mirror/registry", mirror_image,
    )  # fmt: skip
    target = ""
    try:
        port = engine.docker("port", helper, "5000/tcp").splitlines()[0].rpartition(":")[2]
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/v2/"), "An answer of the registry", seconds=30)
        target = f"127.0.0.1:{port}/{name}"
        engine.docker("tag", source, target)
        engine.docker("push", "--quiet", target)
    finally:
        if target:
            engine.docker("rmi", target, check=False)
        engine.docker("rm", "-f", "-v", helper, check=False)
    say(f"pushed {name} to the mirror's registry in {time.monotonic() - started:.0f} s")


def answers(url: str) -> bool:
    """Tell whether a URL answers 200, without any proxy in between."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def create(names: Names, image: str, stores: Stores, ip: str, fingerprint: str) -> None:
    """Start the mirror container and wait until every door answers.

    Raises:
        Refusal: it does not answer; carries the end of its log.
    """
    name = names.container("mirror")
    engine.docker(
        "run", "--detach", "--init", "--name", name, "--hostname=mirror", *names.labels(),
        "--label", f"neurobatch.fingerprint={fingerprint}", "--network", names.network, f"--ip={ip}",
        *stores.mounts(), image,
    )  # fmt: skip
    wait_for(names, ip)


def wait_for(names: Names, ip: str) -> None:
    """Wait until every door of the mirror answers."""
    doors = Doors.at(ip)
    urls = (
        f"{doors.registry}/v2/",
        f"{doors.artifact_mirror}/",
        f"{doors.pip_index_url}/",
        f"{doors.neurodesktop_repo}/info/refs",
        *(f"{server}/cvmfs/" for server in doors.cvmfs_servers),
    )
    try:
        wait_until(lambda: all(answers(url) for url in urls), "An answer of the mirror's doors", seconds=30)
    except Refusal as refusal:
        logs = engine.docker("logs", "--tail", "10", names.container("mirror"), check=False)
        raise Refusal(f"{refusal}\n{logs}") from refusal
