"""The images of Kubeflow Pipelines under their own names, made from Debian and Python packages, in the mirror.

Two roots from Debian 12 (one with Python, one with MariaDB), a layer with our programs, and for every name an
image that differs in its entry point. The table is ``IMAGES``: names are without the registry's host, since a
node asks the mirror for ``ml-pipeline/api-server`` whether gcr.io or another host stood before it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal import engine, mirror, roots
from tests.rehearsal.common import locked, say, wait_until
from tests.rehearsal.kfp import packages
from tests.rehearsal.names import Names

HERE = Path(__file__).parent
PACKAGE = "tests.rehearsal.kfp"
CODE = ("api", "argo", "programs")
"""Folders of this package that are copied into the images."""

ROOT = roots.Recipe(
    name="kfp",
    packages=(
        "python3", "python3-yaml", "python3-pymysql", "python-is-python3", "python3-pip", "curl", "wget", "openssl",
        "ca-certificates", "nginx-light",
    ),
    # pip acts on this Python as it does on that of the official image.
    commands=(
        "rm /usr/lib/python3*/EXTERNALLY-MANAGED",
        "rm -rf /etc/nginx/sites-enabled /var/cache/apt/* /var/lib/apt/lists/*",
    ),
)  # fmt: skip

MYSQL = roots.Recipe(
    name="mariadb",
    packages=("mariadb-server-core", "mariadb-client-core"),
    commands=(
        # The official image's numbers, which KFP 2.5.0's manifest names.
        "groupadd --system --gid 999 mysql && useradd --system --uid 999 --gid 999 --no-create-home mysql",
        # mysqladmin and mysqldump without the Perl that their package brings.
        "apt-get update -qq && cd /tmp && apt-get download -qq mariadb-client && dpkg -x mariadb-client_*.deb client"
        " && cp /tmp/client/usr/bin/mariadb-admin /tmp/client/usr/bin/mariadb-dump /usr/bin/ && rm -rf /tmp/*",
        "for name in admin dump; do ln -sf mariadb-$name /usr/bin/mysql$name; done; ln -sf mariadb /usr/bin/mysql",
        "rm -rf /var/cache/apt/* /var/lib/apt/lists/*",
    ),
)

SHELF = """\
FROM {root}
COPY code/ /opt/kfp/
COPY bin/ /usr/local/bin/
RUN ln -s /usr/local/bin/metadata_store_server /bin/metadata_store_server
ENV PYTHONPATH=/opt/kfp:/opt/protos PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
"""

STARTERS = {
    "metadata_store_server": f'exec python3 -m {PACKAGE}.programs.probes metadata-grpc "$@"',
    "workflow-controller": f'exec python3 -m {PACKAGE}.argo.controller "$@"',
}
"""Programs that the manifests call by name."""


@dataclass(frozen=True)
class Image:
    """What one or more names stand for.

    Attributes:
        names: repositories with tags, without a host.
        base: ``shelf`` (Python and our programs), ``python`` (the bare root) or ``mysql``.
        lines: Dockerfile instructions after FROM.
        copy: sets of packages.py and where they go.
        files: files of ``files/`` and where they go.
    """

    names: tuple[str, ...]
    lines: tuple[str, ...] = ()
    base: str = "shelf"
    copy: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def _probe(program: str, *names: str) -> Image:
    return Image(names, (f'ENTRYPOINT ["python3", "-m", "{PACKAGE}.programs.probes", "{program}"]',))


def _version(version: str, prefix: str, names: dict[str, str], argo: tuple[str, ...]) -> tuple[Image, ...]:
    """Return the images of a KFP release.

    Args:
        version: the release.
        prefix: what stands before every name.
        names: our word for a program to the release's.
        argo: names of workflow-controller and argoexec with a tag.
    """

    def name(program: str) -> str:
        return f"{prefix}{names.get(program, program)}:{version}"

    alive = (
        "persistenceagent", "scheduledworkflow", "viewer-crd-controller", "visualization-server", "metadata-envoy",
        "metadata-writer", "cache-server", "cache-deployer", "driver",
    )  # fmt: skip
    python = '"python3", "-m"'
    return (
        Image(
            (name("api-server"),),
            (f"ENV KFP_VERSION={version}", f'ENTRYPOINT [{python}, "{PACKAGE}.api"]'),
            copy=((f"protos-{version}", "/opt/protos"),),
        ),
        Image((name("frontend"),), (f"ENV KFP_VERSION={version}", f'ENTRYPOINT [{python}, "{PACKAGE}.programs.ui"]')),
        Image((name("launcher"),), (f'ENTRYPOINT [{python}, "{PACKAGE}.programs.launcher"]',)),
        *(_probe(program, name(program)) for program in alive),
        # The manifest forbids root without naming a number, so the image has to.
        Image(
            tuple(each for each in argo if "controller" in each), ("USER 8737", 'ENTRYPOINT ["workflow-controller"]')
        ),
        _probe("argoexec", *(each for each in argo if "argoexec" in each)),
    )


IMAGES: tuple[Image, ...] = (
    *_version(
        "2.0.0",
        "ml-pipeline/",
        {"driver": "kfp-driver", "launcher": "kfp-launcher"},
        (
            "ml-pipeline/workflow-controller:v3.3.10-license-compliance", "argoproj/workflow-controller:v3.3.10",
            "ml-pipeline/argoexec:v3.3.10-license-compliance", "argoproj/argoexec:v3.3.10",
        ),
    ),
    *_version(
        "2.5.0",
        "kubeflow/kfp-",
        {"persistenceagent": "persistence-agent", "scheduledworkflow": "scheduled-workflow-controller"},
        ("argoproj/workflow-controller:v3.5.14", "argoproj/argoexec:v3.5.14"),
    ),
    _probe("metadata-grpc", *(f"tfx-oss-public/ml_metadata_store_server:{tag}" for tag in ("1.5.0", "1.14.0"))),
    Image(
        ("ml-pipeline/mysql:8.0.26", "library/mysql:8.0.26"),
        # Nothing of a root's /run is kept; 0777 since the manifests of 2.5.0 set the user themselves.
        (
            "RUN install -d -m 0777 /run/mysqld", "VOLUME /var/lib/mysql", "EXPOSE 3306",
            'ENTRYPOINT ["/usr/local/bin/mysql-entry"]',
        ),
        base="mysql",
        files=(("mysql-entry", "/usr/local/bin/"),),
    ),
    Image(
        (
            "ml-pipeline/minio:RELEASE.2019-08-14T20-37-41Z-license-compliance",
            "pgsty/minio:RELEASE.2026-08-04T00-00-00Z",
        ),
        ("EXPOSE 9000", 'ENTRYPOINT ["/usr/local/bin/minio-entry"]'),
        base="python",
        copy=(("s3-server", "/usr/local"),),
        files=(("minio-entry", "/usr/local/bin/"), ("minio-nginx.conf", "/etc/")),
    ),
    Image(
        ("library/python:3.11", "library/python:3.11-slim"),
        ("ENV PYTHONPATH=/opt/clients", 'CMD ["python3"]'),
        base="python",
        copy=(("s3-clients", "/opt/clients"),),
    ),
)  # fmt: skip


def stamp(cache: Path) -> str:
    """Return one line that stands for everything in the images; the roots are made when they are missing."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        tars = list(pool.map(lambda recipe: roots.root_tar(recipe, cache), (ROOT, MYSQL)))
    dates = [f"{tar.stat().st_mtime:.0f}" for tar in tars]
    digest = hashlib.sha256(json.dumps([ROOT.tag(), MYSQL.tag(), dates, SHELF, STARTERS, repr(IMAGES)]).encode())
    for name in packages.SETS:
        digest.update(packages.key(name).encode())
    for file in sources():
        digest.update(str(file.relative_to(HERE)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def sources() -> list[Path]:
    """Return the files of ours that get into images."""
    code = [file for folder in CODE for file in (HERE / folder).glob("*.py")]
    return sorted([*code, *(HERE / "files").iterdir()])


def ensure(names: Names, cache: Path, registry: Path) -> None:
    """Have every image in the registry's storage, building and pushing only when something in them has changed."""
    marker = registry / "filled-kfp"
    wanted = stamp(cache)
    if marker.exists() and marker.read_text() == wanted:
        return
    with locked(cache / "locks" / f"registry-{registry.name}.lock", "filling the registry"):
        if marker.exists() and marker.read_text() == wanted:
            return
        started = time.monotonic()
        say("building the stand-ins for the images of Kubeflow Pipelines")
        with tempfile.TemporaryDirectory(prefix="nb-kfp-") as work:
            tags = build(names, cache, Path(work))
        try:
            push(names, cache, registry, tags)
        finally:
            # Layers are in the registry now; in this machine's Docker they would only take room.
            engine.docker("rmi", *dict.fromkeys(tags.values()), check=False)
        marker.write_text(wanted)
        say(f"pushed {len(tags)} names of {len(IMAGES)} images in {time.monotonic() - started:.0f} s")


def build(names: Names, cache: Path, work: Path) -> dict[str, str]:
    """Build all images; return the local tag of every name."""
    bases = {"python": roots.image(ROOT, cache), "mysql": roots.image(MYSQL, cache)}
    for folder in CODE:
        target = work / "code" / Path(*PACKAGE.split(".")) / folder
        shutil.copytree(HERE / folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    for depth in range(1, 4):
        (work / "code" / Path(*PACKAGE.split(".")[:depth]) / "__init__.py").touch()
    (work / "bin").mkdir()
    for program, line in STARTERS.items():
        (work / "bin" / program).write_text(f"#!/bin/sh\n{line}\n")
        (work / "bin" / program).chmod(0o755)
    bases["shelf"] = _docker_build(work, f"{names.prefix}-kfp:shelf", SHELF.format(root=bases["python"]))
    tags: dict[str, str] = {}
    for number, image in enumerate(IMAGES):
        context = work / f"image-{number}"
        context.mkdir()
        lines = [f"FROM {bases[image.base]}"]
        for name, place in image.copy:
            shutil.copytree(packages.ensure(name, cache), context / name)
            lines.append(f"COPY {name}/ {place}/")
        for name, place in image.files:
            shutil.copy(HERE / "files" / name, context / name)
            (context / name).chmod(0o755 if (context / name).read_bytes().startswith(b"#!") else 0o644)
            lines.append(f"COPY {name} {place}")
        tag = _docker_build(context, f"{names.prefix}-kfp:{number}", "\n".join([*lines, *image.lines]) + "\n")
        tags |= dict.fromkeys(image.names, tag)
    engine.docker("rmi", bases["shelf"], check=False)
    return tags


def _docker_build(context: Path, tag: str, dockerfile: str) -> str:
    """Build one image and return its tag."""
    (context / "Dockerfile").write_text(dockerfile)
    engine.docker("build", "--quiet", "--network=none", f"--tag={tag}", str(context))
    return tag


def push(names: Names, cache: Path, registry: Path, tags: dict[str, str]) -> None:
    """Push images into a registry's storage, through a registry that lives as long as that takes."""
    helper = names.container("kfp-filler")
    engine.docker("rm", "-f", "-v", helper, check=False)
    engine.docker(
        "run", "--detach", "--name", helper, *names.labels(), "--publish=127.0.0.1::5000",
        f"--volume={registry}:/srv/mirror/registry", roots.image(roots.MIRROR, cache),
    )  # fmt: skip
    try:
        port = engine.docker("port", helper, "5000/tcp").splitlines()[0].rpartition(":")[2]
        wait_until(lambda: mirror.answers(f"http://127.0.0.1:{port}/v2/"), "An answer of the registry", seconds=30)
        for name, tag in tags.items():
            target = f"127.0.0.1:{port}/{name}"
            engine.docker("tag", tag, target)
            try:
                engine.docker("push", "--quiet", target)
            finally:
                engine.docker("rmi", target, check=False)
    finally:
        engine.docker("rm", "-f", "-v", helper, check=False)
