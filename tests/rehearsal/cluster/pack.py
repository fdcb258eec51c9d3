"""Python packages of the rehearsal as single executable files."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

FIRST_LINE = b"#!/usr/bin/env python3\n"


def executable(package: Path, extra: Mapping[str, Path] | None = None) -> bytes:
    """Return a package as a zip archive that the kernel hands to Python, the same bytes at every time.

    Args:
        package: folder of the package; its modules import one another relatively, and `main.main` returns the code.
        extra: more files, by their name in the archive; shared libraries are stored as they are, to be read fast.
    """
    start = f"import sys\nfrom {package.name}.main import main\nsys.exit(main())\n"
    files = {f"{package.name}/{path.name}": path.read_bytes() for path in sorted(package.glob("*.py"))}
    files |= {name: path.read_bytes() for name, path in sorted((extra or {}).items())}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {"__main__.py": start.encode(), **files}.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".so") else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return FIRST_LINE + out.getvalue()


def tar_gz(name: str, data: bytes) -> bytes:
    """Return a tar.gz with one executable file, the same bytes at every time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.mode, info.size = 0o755, len(data)
        tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)
