"""The source archives of Kubeflow Pipelines that an installation downloads, in the mirror's files.

The real manifests are taken from folders ``kfp-VERSION`` in ``NEUROBATCH_KFP_UPSTREAM``, or else in ``shared/upstream``
beside the checkout, or in ``upstream`` of the cache, where download.py puts them; where there are none, manifests.py
writes some with the same names. Which of the two it was is in the archive's file ``REHEARSAL``. Never in the checkout,
never with the real archive's bytes: the archive has the folders that an installation reads and nothing else, no dates.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
from pathlib import Path

from tests.rehearsal.common import say
from tests.rehearsal.kfp import manifests
from tests.rehearsal.names import CHECKOUT, cache_root

VERSIONS = ("2.0.0", "2.5.0")
PLACE = "github.com/kubeflow/pipelines/archive/refs/tags/{version}.tar.gz"


def upstream(version: str, checkout: Path = CHECKOUT) -> Path | None:
    """Return the folder with the real manifests of a release, or None."""
    named = os.environ.get("NEUROBATCH_KFP_UPSTREAM")
    places = [checkout.parent / "shared" / "upstream", cache_root(checkout=checkout) / "upstream"]
    for parent in [Path(named)] if named else places:
        folder = parent / f"kfp-{version}" / "manifests" / "kustomize"
        if (folder / "env" / "platform-agnostic" / "kustomization.yaml").is_file():
            return folder
    return None


def real(folder: Path) -> dict[str, bytes]:
    """Return the real manifests, path below ``manifests/kustomize`` to bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def generated(version: str) -> dict[str, bytes]:
    """Return manifests of our own with the same names."""
    return {path: text.encode() for path, text in manifests.files(version).items()}


def images_of(files: dict[str, bytes]) -> set[str]:
    """Return the images that generated manifests name, also as arguments and in the environment."""
    text = b"\n".join(files.values()).decode()
    return set(re.findall(r"\b(?:gcr\.io|ghcr\.io|quay\.io)/(?!google-containers/)[\w./-]+:[\w.-]+", text))


def pack(version: str, files: dict[str, bytes], said: str) -> bytes:
    """Return a tar.gz with the top folder of GitHub's archives, the same bytes for the same files."""
    members = {f"manifests/kustomize/{path}": data for path, data in files.items()} | {"REHEARSAL": said.encode()}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data in sorted(members.items()):
            info = tarfile.TarInfo(f"pipelines-{version}/{path}")
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


def ensure(store: Path) -> None:
    """Have the archives in the mirror's files; one that is there already with the same bytes is left alone."""
    for version in VERSIONS:
        folder = upstream(version)
        said = "the release's own manifests\n" if folder else "manifests written by the rehearsal\n"
        data = pack(version, real(folder) if folder else generated(version), said)
        target = store / PLACE.format(version=version)
        if target.is_file() and target.read_bytes() == data:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_bytes(data)
        temporary.replace(target)
        say(f"packed KFP {version}'s manifests for the mirror: {said.strip()}, {len(data) / 1e3:.0f} kB")
