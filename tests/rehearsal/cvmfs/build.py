"""The chart's archive for the mirror's files, and the driver's image for its registry."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

from tests.rehearsal import mirror, roots
from tests.rehearsal.names import Names

CHART = Path(__file__).parent / "chart"
ARCHIVE = Path("registry.cern.ch/charts/cvmfs-csi-2.5.2.tgz")
"""Where the mirror has the chart: the path of the URL that the rehearsal's stacks name."""

NAME = "kubernetes/cvmfs-csi:v2.5.2"
"""The driver's image without its registry (registry.cern.ch): a mirror is asked by the rest of the name."""

ROOT = roots.Recipe(
    name="cvmfs-csi",
    packages=("autofs", "squashfuse", "squashfs-tools", "fuse3", "python3", "mount", "procps", "attr", "openssl"),
    commands=("rm -rf /var/cache/apt/* /var/lib/apt/lists/*",),
)


def archive() -> bytes:
    """Return the chart as `helm package` would, the same bytes every time."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(each for each in CHART.rglob("*") if each.is_file()):
            info = tarfile.TarInfo(f"cvmfs-csi/{path.relative_to(CHART)}")
            data = path.read_bytes()
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ensure(names: Names, cache: Path, registry: Path, files: Path) -> None:
    """Have the chart in the mirror's files and the image in its registry."""
    target = files / ARCHIVE
    data = archive()
    if not target.exists() or target.read_bytes() != data:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.write_bytes(data)
        partial.replace(target)
    tar = roots.root_tar(ROOT, cache)
    stamp = f"{ROOT.tag()} {tar.stat().st_mtime:.0f}\n"
    mirror.ensure_image(names, cache, registry, NAME, make=lambda: roots.image(ROOT, cache), stamp=stamp)
