"""Use the engine as its users will: import an image, build on it, run it. Leaves nothing.

The image is this server's own shell and its libraries, so that the proof needs no registry.
Parameters: seconds, the deadline for the engine to answer at all.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import time
from typing import Any

from neurobatch.remote.common import docker_api

CAUSES = {
    "import": "the storage driver cannot unpack a layer; look at the free space in /var/lib/docker",
    "build": "the engine is up but cannot build; look at `journalctl -u docker`",
    "run": "containers do not start, as with a missing kernel feature or an old runc; look at `journalctl -u docker`",
}


def shell_archive() -> bytes:
    """Return a tar archive of /bin/sh and the libraries it needs."""
    shell = os.path.realpath("/bin/sh")
    linked = subprocess.run(["ldd", shell], capture_output=True, text=True, check=True).stdout
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        archive.add(shell, "bin/sh")
        for library in re.findall(r"(/\S+)", linked):
            archive.add(library, library.lstrip("/"))
    return buffer.getvalue()


def docker(verb: str, *argv: str, stdin: bytes = b"") -> str:
    """Return what a docker command prints; end the program with cause and remedy where it fails."""
    run = subprocess.run(["docker", verb, *argv], input=stdin, capture_output=True, timeout=120, check=False)
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip()[-500:]
        sys.exit(f"docker {verb} failed: {said}. Likely cause: {CAUSES[verb]}.")
    return run.stdout.decode()


def main(params: dict[str, Any]) -> None:
    """Print "ok", or end with what broke."""
    deadline = time.monotonic() + params["seconds"]
    while not docker_api("/info"):
        if time.monotonic() > deadline:
            sys.exit(f"dockerd does not answer on /var/run/docker.sock {params['seconds']} s after its start.")
        time.sleep(1)
    tag = f"neurobatch-verify:{os.getpid()}"
    try:
        docker("import", "-", tag, stdin=shell_archive())
        docker("build", "--quiet", "--tag", tag, "-", stdin=f"FROM {tag}\nLABEL verified=yes\n".encode())
        answer = docker("run", "--rm", "--network", "none", tag, "/bin/sh", "-c", "echo containers-run")
        if "containers-run" not in answer:
            sys.exit(f"a container printed {answer!r} instead of what its command says")
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, timeout=60, check=False)
    print("ok")
