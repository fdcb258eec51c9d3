"""The node's image: what the rehearsal has in place of Minikube's gcr.io/k8s-minikube/kicbase."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

from tests.rehearsal import engine, mirror, roots
from tests.rehearsal.cluster import binaries
from tests.rehearsal.common import locked, run_logged, say
from tests.rehearsal.names import Names

NAME = "k8s-minikube/kicbase:v0.0.50"
"""The node image that Minikube v1.38.1 starts (pkg/drivers/kic/types.go), without its registry."""

PAUSE = "registry.k8s.io/pause:3.2"
"""The image that Kubernetes 1.20 holds a pod's namespaces with."""

ROOT = roots.Recipe(
    name="node",
    packages=(
        "systemd", "systemd-sysv", "dbus", "containerd", "runc", "containernetworking-plugins", "etcd-server",
        "conntrack", "socat", "ethtool", "iptables", "iproute2", "dnsmasq-base", "openssl", "python3",
        "ca-certificates", "kmod", "mount", "procps", "sudo",
    ),
    commands=(
        # Kubernetes starts when `minikube start` says so, never at boot.
        "systemctl disable etcd.service && systemctl enable containerd.service",
        "systemctl mask systemd-networkd.service systemd-resolved.service getty.target systemd-udevd.service",
        # The user that `minikube ssh` is.
        "useradd --create-home --shell /bin/bash docker",
        "echo 'docker ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/docker",
        "rm -f /etc/machine-id && : > /etc/machine-id",
        "rm -rf /var/lib/etcd /var/cache/apt/* /var/lib/apt/lists/*",
        # What no node of ours calls is a third of its size.
        "rm -f /usr/bin/etcdctl /usr/bin/containerd-stress /usr/bin/containerd-shim /usr/bin/containerd-shim-runc-v1",
        "cd /usr/lib/cni && rm -f $(ls | grep -vxE 'ptp|host-local|portmap|loopback|bridge')",
    ),
)  # fmt: skip

DOCKERFILE = """\
FROM {root}
COPY programs/ /usr/local/bin/
COPY pause.tar /usr/local/share/node/
ENV container=docker
LABEL neurobatch.kubernetes={version} neurobatch.stamp={stamp}
STOPSIGNAL SIGRTMIN+3
VOLUME /var
ENTRYPOINT ["/usr/local/sbin/node-entry"]
"""


def stamp(cache: Path) -> str:
    """Return twelve hex digits over all that goes into the node's image; its root is made when it is missing."""
    made = roots.root_tar(ROOT, cache).stat().st_mtime
    recipe = json.dumps([ROOT.tag(), f"{made:.0f}", binaries.key(), DOCKERFILE, PAUSE])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def ensure(names: Names, cache: Path, registry: Path) -> None:
    """Have the node's image in the storage of a mirror's registry, building what is missing on the way."""
    mirror.ensure_image(names, cache, registry, NAME, make=lambda: image(names, cache), stamp=stamp(cache))


def image(names: Names, cache: Path) -> str:
    """Return the tag of the node's image in this machine's Docker, building it when it is not there."""
    programs = binaries.ensure(names, cache)
    tag = f"nb-rehearsal/kicbase:{stamp(cache)}"
    with locked(cache / "locks" / "node-image.lock", "building the node's image"):
        if not engine.docker("images", "-q", tag):
            _build(tag, programs, cache)
    return tag


def _build(tag: str, programs: Path, cache: Path) -> None:
    """Lay the programs over the root."""
    started = time.monotonic()
    root = roots.image(ROOT, cache)
    with tempfile.TemporaryDirectory(prefix=".making-node-", dir=programs.parent) as work:
        context = Path(work)
        (context / "programs").mkdir()
        for name in binaries.PROGRAMS:
            # Linked, not copied: 400 MB that Docker reads once.
            (context / "programs" / name).hardlink_to(programs / name)
        (context / "pause.tar").write_bytes(pause_image((programs / "pause").read_bytes()))
        (context / "Dockerfile").write_text(DOCKERFILE.format(root=root, version=binaries.VERSION, stamp=stamp(cache)))
        run_logged(["docker", "build", "--tag", tag, work], cache / "run" / "node-image.log", "building the node image")
        shutil.rmtree(context / "programs")
    say(f"built the node's image in {time.monotonic() - started:.0f} s")


def pause_image(program: bytes) -> bytes:
    """Return the image of `pause` as a tar that `docker load` and `ctr images import` take."""
    layer = _tar({"pause": (0o755, program)})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]}]
    return _tar(
        {
            "config.json": (0o644, json.dumps(config).encode()),
            "layer.tar": (0o644, layer),
            "manifest.json": (0o644, json.dumps(manifest).encode()),
        }
    )


def _tar(files: dict[str, tuple[int, bytes]]) -> bytes:
    """Return a tar of files given as name: (mode, content), with fixed owners and dates."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, (mode, data) in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()
