"""The verbs for batches as one file that any Python from 3.11 on runs: for Neurodesktop, beside an Elyra of any age.

It needs no package, so no environment is touched; compiled pipelines are in it as JSON. The same bytes for the same
files, as with the wheel.

Usage: python -m neurobatch.pyz FILE
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml

PACKAGE = Path(__file__).resolve().parent
#: -I: neither the folder one is in nor a variable of Elyra's environment says what is imported.
_START = b"#!/usr/bin/env -S python3 -I\n"
_MAIN = "import sys\n\nfrom neurobatch.batch.only import main\n\nsys.exit(main())\n"
_DATE = (2000, 1, 1, 0, 0, 0)


def parts(package: Path = PACKAGE) -> Iterator[tuple[str, str]]:
    """Yield the names and texts that the file holds, in a fixed order."""
    yield "__main__.py", _MAIN
    sources = [package / "__init__.py", *package.glob("batch/*.py"), *package.glob("kfp/*.py")]
    for path in sorted(sources):
        yield f"neurobatch/{path.relative_to(package)}", path.read_text(encoding="utf-8")
    for path in sorted(package.glob("batch/completion/neurobatch.*")):
        yield f"neurobatch/{path.relative_to(package)}", path.read_text(encoding="utf-8")
    for path in sorted(package.glob("kfp/specs/*.yaml")):
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        yield f"neurobatch/kfp/specs/{path.stem}.json", json.dumps(documents)


def build(target: Path) -> None:
    """Write the file; it can be executed."""
    with target.open("wb") as stream:
        stream.write(_START)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, text in parts():
                packed.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
    target.chmod(0o755)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]))
