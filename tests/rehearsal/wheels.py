"""The mirror's wheel index, filled once for each set of constraints and then served without a network.

The stack's constraints freeze what the real Neurodesktop installs; the index gets what the stand-in's Dockerfile
asks for and all that this needs, as wheels, collected in a container of the same Debian 12 that the notebook image is.
Beside them are the wheels that a server's own environment is locked to (requirements/server.txt).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import time
from pathlib import Path

from tests.rehearsal import engine, roots
from tests.rehearsal.common import locked, run, run_logged, say
from tests.rehearsal.names import Names

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
"""This machine's trusted authorities; some networks inspect TLS with one of their own."""

DOCKERFILE = Path(__file__).parent / "neurodesktop" / "Dockerfile"
SERVER_LOCK = Path(__file__).parents[2] / "requirements" / "server.txt"
PASS_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "default-timeout")


def normalised(name: str) -> str:
    """Return a project's name as the simple index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requested(dockerfile: Path = DOCKERFILE) -> list[str]:
    """Return the packages that the stand-in's Dockerfile installs with pip."""
    lines = re.findall(r"pip install ([^&\\\n]+)", dockerfile.read_text())
    return sorted({word for line in lines for word in line.split() if not word.startswith("-")})


def store_key(constraints: dict[str, str]) -> str:
    """Return twelve hex digits that stand for the packages, the constraints and the Python they are for."""
    pins = sorted((normalised(name), version) for name, version in constraints.items())
    what = [roots.SUITE, requested(), pins, SERVER_LOCK.read_text()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def ensure(constraints: dict[str, str], names: Names, cache: Path) -> Path:
    """Return the folder of the simple index for these constraints, filling it when it is not there.

    Raises:
        Refusal: a version cannot be had or does not fit Debian 12's Python, or its wheel could not be built.
    """
    store = cache / "store" / "wheels" / store_key(constraints)
    if not store.is_dir():
        with locked(cache / "locks" / f"wheels-{store.name}.lock", "filling the wheel index"):
            if not store.is_dir():
                _fill(store, constraints, names, cache)
    os.utime(store)
    for other in store.parent.iterdir():
        if time.time() - other.stat().st_mtime > roots.FORGET_AFTER_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)
    return store


def _fill(store: Path, constraints: dict[str, str], names: Names, cache: Path) -> None:
    """Collect the wheels into a folder beside the store, then put it in place as a whole."""
    making = store.with_name(f".making-{store.name}")
    shutil.rmtree(making, ignore_errors=True)
    flat = making / "flat"
    flat.mkdir(parents=True)
    pins = "".join(f"{name}=={version}\n" for name, version in sorted(constraints.items()))
    (making / "constraints.txt").write_text(pins)
    shutil.copy(SERVER_LOCK, making / "server.txt")
    asked = requested()
    image = roots.image(roots.NOTEBOOK, cache)
    started = time.monotonic()
    say(f"filling the wheel index with {', '.join(asked)} and what they need")
    helper = names.container("wheels")
    engine.docker("rm", "-f", helper, check=False)
    command = [
        "docker", "run", "--rm", "--name", helper, *names.labels(), "--user=0", "--entrypoint=/bin/sh",
        f"--volume={making}:/out", *pip_environment(), image, "-euc",
        f"pip='/opt/conda/bin/python -m pip wheel --no-cache-dir --progress-bar=off --wheel-dir=/out/flat'\n"
        f"$pip --use-pep517 --constraint=/out/constraints.txt {shlex.join(asked)}\n"
        # As published, byte for byte: a server compares them with the hashes of the lock.
        "$pip --no-deps --only-binary=:all: --require-hashes --requirement=/out/server.txt",
    ]  # fmt: skip
    log = cache / "run" / "wheels.log"

    def note() -> str:
        """Say how far pip is: it names each package as it begins with it."""
        begun = log.read_text(errors="replace").count("Collecting ") if log.exists() else 0
        return f"{begun} packages"

    try:
        run_logged(command, log, "filling the wheel index", note=note)
    finally:
        engine.docker("rm", "-f", helper, check=False)
    have = set()
    for wheel in sorted(flat.glob("*.whl")):
        project = normalised(wheel.name.split("-")[0])
        have.add(project)
        (making / project).mkdir(exist_ok=True)
        wheel.replace(making / project / wheel.name)
    flat.rmdir()
    (making / "constraints.txt").unlink()
    (making / "server.txt").unlink()
    making.rename(store)
    size = sum(path.stat().st_size for path in store.rglob("*.whl")) / 1e6
    say(f"filled the wheel index: {len(have)} wheels, {size:.0f} MB in {time.monotonic() - started:.0f} s")


def pip_environment() -> list[str]:
    """Return `docker run` flags that give a container's pip this machine's index, proxy and authorities."""
    flags = [f"--env={name}" for name in PASS_ON if os.environ.get(name)]
    if CA_BUNDLE.exists():
        flags += [f"--volume={CA_BUNDLE}:/ca.crt:ro", "--env=PIP_CERT=/ca.crt"]
    for setting in PIP_SETTINGS:
        value = _pip_setting(setting)
        if value:
            flags.append(f"--env=PIP_{setting.upper().replace('-', '_')}={value}")
    return flags


def _pip_setting(name: str) -> str:
    """Return a setting of this machine's pip, from its environment or its files, or ''."""
    value = os.environ.get(f"PIP_{name.upper().replace('-', '_')}")
    if value:
        return value
    for section in ("wheel", "download", "install", "global"):
        done = run([sys.executable, "-m", "pip", "config", "get", f"{section}.{name}"], check=False)
        if done.returncode == 0 and done.stdout.strip():
            return " ".join(done.stdout.split())
    return ""
