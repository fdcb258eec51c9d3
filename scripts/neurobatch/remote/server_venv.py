"""Make the server's own Python environment: a locked set of packages and our wheel, then the link to its command.

Parameters: venv, its folder; python, the interpreter; wheel and lock, paths on the server; index, URL of the package
index (empty: pip's own); digest, noted at the end, so that a half-made environment is made anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LINK = Path("/usr/local/bin/neurobatch")


def run(*argv: str, broken: str) -> None:
    """Run a command; end the program with what it means where it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-6:])
        sys.exit(f"{broken}\n{said}")


def main(params: dict[str, Any]) -> None:
    """Make the environment."""
    venv = Path(params["venv"])
    noted = venv / "installed"
    noted.unlink(missing_ok=True)
    run(
        params["python"],
        "-m",
        "venv",
        "--clear",
        str(venv),
        broken=f"{params['python']} cannot make an environment in {venv}. Likely cause: a full disk, no venv module.",
    )
    pip = [f"{venv}/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--quiet", "install"]
    index = []
    if params["index"]:
        index = [f"--index-url={params['index']}"]
        if urlsplit(params["index"]).scheme == "http":
            index.append(f"--trusted-host={urlsplit(params['index']).hostname}")
    run(
        *pip,
        *index,
        "--require-hashes",
        "--only-binary=:all:",
        f"--requirement={params['lock']}",
        broken=(
            f"The packages of {params['lock']} could not be installed from {params['index'] or 'the public index'}. "
            "Likely cause: no way there, or the index lacks one of them; pip_index_url names another index."
        ),
    )
    run(*pip, "--no-deps", "--no-index", params["wheel"], broken="The wheel of this project could not be installed.")
    partial = LINK.with_name(".neurobatch.new")
    partial.unlink(missing_ok=True)
    partial.symlink_to(venv / "bin" / "neurobatch")
    os.replace(partial, LINK)
    run(str(LINK), "--help", broken=f"{LINK} does not start.")
    noted.write_text(params["digest"], encoding="utf-8")
    print("ok")
