"""Find docker-registry and squid: installed, or unpacked from this system's own packages into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

#: What each program comes in, with the libraries that a small system may lack.
PACKAGES = {
    "docker-registry": ("docker-registry",),
    "squid": (
        "squid", "squid-common", "squid-langpack", "libecap3", "libltdl7", "libtdb1", "libnetfilter-conntrack3",
        "libnfnetlink0", "libmnl0",
    ),
}  # fmt: skip


def cache_dir() -> Path:
    """Return where unpacked programs are kept."""
    return Path(os.environ.get("NEUROBATCH_CACHE") or Path.home() / ".cache" / "neurobatch") / "programs-for-tests"


@cache
def find(name: str) -> tuple[Path, dict[str, str]]:
    """Return a program's path and what its environment needs besides.

    Raises:
        RuntimeError: it is not installed, and no package of it can be had.
    """
    installed = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if installed:
        return Path(installed), {}
    folder = cache_dir() / name
    if not (folder / "done").exists():
        unpack(PACKAGES[name], folder)
    program = next(path for path in (folder / "usr/bin" / name, folder / "usr/sbin" / name) if path.exists())
    libraries = sorted({str(path.parent) for path in folder.glob("usr/lib/*/*.so*")})
    return program, {"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {}


def unpack(packages: tuple[str, ...], folder: Path) -> None:
    """Download packages and unpack them, without installing anything."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not shutil.which("apt-get"):
        raise RuntimeError(f"install {packages[0]}: this system has no apt-get to fetch it with")
    (folder / "lists" / "partial").mkdir(parents=True)
    # Lists of our own: the system's may be empty, old, or in another's hands, and are not ours to change.
    own = ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", "APT::Sandbox::User=root"]
    for command in (["update"], ["download", *packages]):
        run = subprocess.run(["apt-get", *own, *command], cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode:
            break
    shutil.rmtree(folder / "lists")
    if run.returncode:
        raise RuntimeError(f"apt-get cannot download {packages[0]}: {run.stderr.strip()}")
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
        package.unlink()
    (folder / "done").touch()
