"""Kubernetes' five programs, built once from Debian 12's source package and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

from tests.rehearsal import engine, roots
from tests.rehearsal.common import Refusal, locked, run, run_logged, say
from tests.rehearsal.names import Names
from tests.rehearsal.wheels import PASS_ON

VERSION = "v1.20.2"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
SCRIPT = Path(__file__).with_name("build-kubernetes")


def key() -> str:
    """Return twelve hex digits that stand for how the programs are built."""
    return hashlib.sha256(roots.SUITE.encode() + SCRIPT.read_bytes()).hexdigest()[:12]


def ensure(names: Names, cache: Path) -> Path:
    """Return the folder with the five programs and `pause`, building them when it is not there.

    Raises:
        Refusal: the source cannot be had or does not build; carries the end of the log.
    """
    store = cache / "kubernetes" / key()
    if not store.is_dir():
        with locked(cache / "locks" / "kubernetes.lock", "building Kubernetes"):
            if not store.is_dir():
                _build(store, names, cache)
    os.utime(store)
    for other in store.parent.iterdir():
        if time.time() - other.stat().st_mtime > roots.FORGET_AFTER_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)
    return store


def _build(store: Path, names: Names, cache: Path) -> None:
    """Build into a folder beside the store, then put it in place as a whole."""
    making = store.with_name(f".making-{store.name}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    started = time.monotonic()
    say(f"building Kubernetes {VERSION} from Debian's source package; about 7 minutes on 2 cores, once")
    helper = names.container("kubernetes")
    image = roots.image(roots.SERVER, cache)
    engine.docker("rm", "-f", "-v", helper, check=False)
    log = cache / "run" / "kubernetes.log"
    try:
        run_logged(
            [
                "docker", "run", "--rm", "--name", helper, *names.labels(),
                *(f"--env={name}" for name in PASS_ON if os.environ.get(name)),
                f"--volume={SCRIPT}:/build-kubernetes:ro", f"--volume={making}:/out", image,
                "/bin/sh", "/build-kubernetes",
            ],
            log,
            "building Kubernetes",
            note=lambda: _progress(log),
        )  # fmt: skip
    finally:
        engine.docker("rm", "-f", "-v", helper, check=False)
    found = run([str(making / "kubelet"), "--version"], check=False).stdout.strip()
    if found and found != f"Kubernetes {VERSION}":
        raise Refusal(f"Debian's source package built `{found}`, not Kubernetes {VERSION}; the log is {log}.")
    making.rename(store)
    size = sum((store / name).stat().st_size for name in PROGRAMS) / 1e6
    say(f"built Kubernetes {VERSION}: {size:.0f} MB in {time.monotonic() - started:.0f} s")


def _progress(log: Path) -> str:
    """Return the last line of the build's log."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip()[:80] if lines else "starting"
