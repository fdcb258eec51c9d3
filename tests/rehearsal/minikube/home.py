"""$MINIKUBE_HOME: profiles, certificates and the files that are copied into the node."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def folder() -> Path:
    """Return Minikube's folder (pkg/minikube/localpath, MiniPath)."""
    named = os.environ.get("MINIKUBE_HOME", "")
    if not named:
        return Path.home() / ".minikube"
    path = Path(named)
    return path if path.name == ".minikube" else path / ".minikube"


def profile_folder(name: str) -> Path:
    """Return a profile's folder."""
    return folder() / "profiles" / name


def load(name: str) -> dict[str, Any] | None:
    """Return a profile's record, or None when there is no such profile."""
    try:
        loaded: dict[str, Any] = json.loads((profile_folder(name) / "config.json").read_text())
    except FileNotFoundError:
        return None
    return loaded


def save(profile: dict[str, Any]) -> None:
    """Write a profile's record."""
    path = profile_folder(profile["Name"])
    path.mkdir(parents=True, exist_ok=True, mode=0o755)
    temporary = path / "config.json.new"
    temporary.write_text(json.dumps(profile, indent=1) + "\n")
    temporary.chmod(0o600)
    temporary.replace(path / "config.json")


def forget(name: str) -> None:
    """Remove a profile."""
    shutil.rmtree(profile_folder(name), ignore_errors=True)


def profiles() -> Iterator[str]:
    """Yield the names of the profiles."""
    for path in sorted((folder() / "profiles").glob("*/config.json")):
        yield path.parent.name


def files_tar() -> bytes | None:
    """Return the files under `files/` as a tar of root's, with their modes, or None when there are none."""
    root = folder() / "files"
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    if not paths:
        return None
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in paths:
            data = path.read_bytes()
            info = tarfile.TarInfo(str(path.relative_to(root)))
            info.size, info.mode, info.mtime = len(data), path.stat().st_mode & 0o777, int(path.stat().st_mtime)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()
