"""Python packages of the rehearsal as single executable files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

FIRST_LINE = b"#!/usr/bin/env python3\n"


def executable(package: Path, entry: str) -> bytes:
    """Return a package as a zip archive that the kernel hands to Python, the same bytes at every time.

    Args:
        package: folder of the package, whose modules import one another relatively.
        entry: `module:function` inside the package; the function returns the exit code.
    """
    module, _, function = entry.partition(":")
    start = f"import sys\nfrom {package.name}.{module} import {function}\nsys.exit({function}())\n"
    files = {f"{package.name}/{path.name}": path.read_bytes() for path in sorted(package.glob("*.py"))}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"__main__.py": start.encode(), **files}.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return FIRST_LINE + out.getvalue()
