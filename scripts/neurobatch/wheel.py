"""This package as a wheel, for a server: built from the checkout, without a network, the same bytes for the same files.

Usage: python -m neurobatch.wheel FOLDER        (prints the wheel's path)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "scripts/neurobatch"
_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
_EPOCH = "946684800"
"""The date of every file in the wheel (2000-01-01, in seconds since 1970): its bytes depend on contents alone."""


def sources(root: Path = ROOT) -> Iterator[Path]:
    """Yield the files that make the wheel, relative to the checkout, in a fixed order."""
    yield Path("pyproject.toml")
    for path in sorted((root / PACKAGE).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root)


def digest(lock: str, root: Path = ROOT) -> str:
    """Return 16 hex digits that stand for the package's files together with the ``lock`` of what it needs."""
    seen = hashlib.sha256(lock.encode())
    for path in sources(root):
        seen.update(f"{path}\0".encode() + (root / path).read_bytes() + b"\0")
    return seen.hexdigest()[:16]


def build(folder: Path, root: Path = ROOT) -> Path:
    """Build the wheel into ``folder`` and return its path; the checkout stays as it is.

    Raises:
        subprocess.CalledProcessError: setuptools refuses; its own words are on standard error.
    """
    folder = folder.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        for path in sources(root):
            target = Path(scratch) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, target)
        # The description that pyproject.toml names; what a server runs does not depend on it.
        (Path(scratch) / "README.md").write_text("See the project's README.\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _BUILD, str(folder)],
            cwd=scratch,
            env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return folder / done.stdout.splitlines()[-1]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(build(Path(sys.argv[1])))
