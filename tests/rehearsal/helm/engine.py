"""Helm's engine, loaded out of this program's own file."""

from __future__ import annotations

import ctypes
import os
import sys
import zipfile
from types import ModuleType
from typing import Any

LIBRARY = "libhelm_c.so"


def load() -> ModuleType:
    """Return the module helm_python with its shared library in place.

    The library lies in the zip archive that this program is. It is put into a file in memory, so that nothing has
    to be installed beside the program and nothing stays behind.
    """
    if zipfile.is_zipfile(sys.argv[0]):
        with zipfile.ZipFile(sys.argv[0]) as archive:
            handle = os.memfd_create(LIBRARY)
            with archive.open(LIBRARY) as source:
                while block := source.read(2**20):
                    os.write(handle, block)
        os.environ["HELM_C_LIB"] = program = os.path.realpath(sys.argv[0])
        original = ctypes.CDLL

        def from_memory(name: str | None, *args: Any, **kwargs: Any) -> ctypes.CDLL:
            """Load the file in memory where helm_python asks for the file that it found."""
            return original(f"/proc/self/fd/{handle}" if name == program else name, *args, **kwargs)

        ctypes.CDLL = from_memory  # type: ignore[assignment, misc]
        try:
            import helm_python  # type: ignore[import-not-found]
        finally:
            ctypes.CDLL = original  # type: ignore[misc]
    else:
        import helm_python
    module: ModuleType = helm_python
    return module
