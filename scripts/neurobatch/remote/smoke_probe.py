"""Read what the smoke_pipeline role decides on. Changes nothing.

Parameters: venv, folder of the server's environment; files, paths that the role writes; packages, name to a file that
each brings; record, where the last green smoke run is noted.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from neurobatch.remote.common import fingerprint, text


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    link = Path("/usr/local/bin/neurobatch")
    state = {
        "installed": text(f"{params['venv']}/installed"),
        "link": os.readlink(link) if link.is_symlink() else None,
        "missing": [name for name, path in params["packages"].items() if not list(Path("/").glob(path.lstrip("/")))],
        "files": {path: fingerprint(path) for path in params["files"]},
        "verified": text(params["record"]),
    }
    print(json.dumps(state))
