"""The containers' images, made from Debian 12 packages alone by mmdebstrap and kept as tar files.

No public container registry is asked for anything. A recipe is a list of packages, a folder of files laid
over them and a few commands; its hash names the tar in the cache and the image's tag.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal import engine
from tests.rehearsal.common import Refusal, locked, run_logged, say

SUITE = "bookworm"
MAX_AGE_DAYS = 14
"""A root older than this is made anew: Debian's indices move on and old package versions disappear."""

FORGET_AFTER_DAYS = 30
"""Tars of recipes that nobody has used for this long are removed from the cache."""

FILES = Path(__file__).parent / "images"


@dataclass(frozen=True)
class Recipe:
    """How an image is made.

    Attributes:
        name: last part of the image's name and of the folder under images/ that is laid over the packages.
        packages: Debian packages beside the essential ones.
        commands: shell commands run in the root, by /bin/sh as root, after the files are in place.
        changes: Dockerfile instructions for `docker import --change`.
    """

    name: str
    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def overlay(self) -> bytes:
        """Return the recipe's files as a tar with fixed owners, dates and modes."""
        root = FILES / self.name
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(root.rglob("*")):
                relative = path.relative_to(root)
                if path.is_dir() or "__pycache__" in relative.parts:
                    continue
                data = path.read_bytes()
                info = tarfile.TarInfo(f"./{relative}")
                info.size = len(data)
                # By content, not by mode: a checkout's umask must not change the hash.
                info.mode = 0o755 if data.startswith(b"#!") else 0o440 if "sudoers.d" in relative.parts else 0o644
                tar.addfile(info, io.BytesIO(data))
        return out.getvalue()

    def key(self) -> str:
        """Return twelve hex digits over everything that goes into the root tar."""
        digest = hashlib.sha256(json.dumps([SUITE, self.packages, self.commands]).encode())
        digest.update(self.overlay())
        return digest.hexdigest()[:12]

    def tag(self) -> str:
        """Return the image's name in Docker, which also changes with its settings."""
        digest = hashlib.sha256(json.dumps([self.key(), self.changes]).encode()).hexdigest()[:12]
        return f"nb-rehearsal/{self.name}:{digest}"


SERVER = Recipe(
    name="server",
    packages=(
        "systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "sudo", "iproute2", "ca-certificates",
        "procps", "kmod",
    ),
    commands=(
        "useradd --create-home --shell /bin/bash engineer",
        # Not locked, which sshd would refuse, and no password matches it.
        "usermod --password '*' engineer",
        # Every server gets its own host key when it is made; a shipped one would be everybody's.
        "rm -f /etc/ssh/ssh_host_*",
        "systemctl enable ssh.service like-a-machine.service",
        "rm -f /etc/machine-id && : > /etc/machine-id",
    ),
    changes=("ENV container=docker", 'CMD ["/sbin/init"]'),
)  # fmt: skip

MIRROR = Recipe(
    name="mirror",
    packages=("docker-registry", "nginx-light", "python3", "iproute2", "ca-certificates", "procps"),
    commands=("rm -rf /etc/nginx/sites-enabled",),
    changes=('CMD ["/usr/local/sbin/serve-mirror"]',),
)

NOTEBOOK = Recipe(
    name="notebook",
    packages=(
        "python3", "python3-venv", "python3-pip", "tini", "sudo", "git", "curl", "openssh-server", "openssh-client",
        "tigervnc-tools", "acl", "ca-certificates", "procps", "iproute2",
    ),
    commands=(
        "useradd --no-log-init --create-home --shell /bin/bash --uid 1000 --no-user-group --gid 100 jovyan",
        "rm -f /etc/ssh/ssh_host_*",
        "mkdir -p /usr/local/bin/start-notebook.d /usr/local/bin/before-notebook.d",
        # The real image has conda here; a venv has the same programs in the same place.
        "python3 -m venv /opt/conda && chown -R 1000:100 /opt/conda",
    ),
    changes=(
        "ENV DEBIAN_FRONTEND=noninteractive CONDA_DIR=/opt/conda SHELL=/bin/bash NB_USER=jovyan NB_UID=1000 NB_GID=100",
        "ENV LC_ALL=C.UTF-8 LANG=C.UTF-8 LANGUAGE=C.UTF-8 HOME=/home/jovyan JUPYTER_PORT=8888",
        "ENV PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "USER 1000",
        "WORKDIR /home/jovyan",
        "EXPOSE 8888",
        'ENTRYPOINT ["tini", "-g", "--"]',
        'CMD ["start-notebook.sh"]',
        "HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD /etc/jupyter/docker_healthcheck.py",
    ),
)  # fmt: skip


def root_tar(recipe: Recipe, cache: Path) -> Path:
    """Return the recipe's root tar, making it when the cache has none or an old one.

    When it is old and cannot be made anew (no network), the old one is used and that is said.

    Raises:
        Refusal: there is none and mmdebstrap failed.
    """
    folder = cache / "roots"
    tar = folder / f"{recipe.name}-{recipe.key()}.tar"
    if _fresh(tar):
        return tar
    with locked(cache / "locks" / f"root-{recipe.name}.lock", f"making the {recipe.name} root"):
        if _fresh(tar):
            return tar
        try:
            _make(recipe, tar, cache)
        except Refusal as refusal:
            if not tar.exists():
                raise
            say(f"keeping the old {recipe.name} root, since no new one could be made: {str(refusal).splitlines()[0]}")
        _forget(folder)
    return tar


def prepare(cache: Path) -> None:
    """Make every root that is missing or old, two at a time: each keeps one core busy."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for made in [pool.submit(root_tar, recipe, cache) for recipe in (NOTEBOOK, SERVER, MIRROR)]:
            made.result()


def _fresh(tar: Path) -> bool:
    """Tell whether a tar is there and young enough; marks it as used."""
    try:
        stat = tar.stat()
    except OSError:
        return False
    os.utime(tar, (time.time(), stat.st_mtime))
    return time.time() - stat.st_mtime < MAX_AGE_DAYS * 86400


def _make(recipe: Recipe, tar: Path, cache: Path) -> None:
    """Run mmdebstrap into a temporary file beside the tar, then put it in place."""
    with locked(cache / "locks" / "apt.lock", "installing mmdebstrap"):
        engine.ensure_command("mmdebstrap", "mmdebstrap")
    say(f"making the {recipe.name} root from Debian {SUITE} packages")
    started = time.monotonic()
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=tar.parent) as work:
        overlay = Path(work) / "overlay.tar"
        overlay.write_bytes(recipe.overlay())
        out = Path(work) / "root.tar"
        hooks = [f"--customize-hook=tar-in {shlex.quote(str(overlay))} /"]
        hooks += [f'--customize-hook=chroot "$1" /bin/sh -c {shlex.quote(command)}' for command in recipe.commands]
        run_logged(
            [
                "mmdebstrap", "--variant=minbase", f"--include={','.join(recipe.packages)}",
                "--aptopt=Acquire::Retries \"3\"",
                # Documentation and translations are half of a small root.
                "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                *hooks, SUITE, str(out),
            ],
            cache / "run" / f"mmdebstrap-{recipe.name}.log",
            f"mmdebstrap ({recipe.name})",
            note=lambda: f"{out.stat().st_size / 1e6:.0f} MB" if out.exists() else "downloading and unpacking",
        )  # fmt: skip
        out.replace(tar)
    say(f"made {tar.name}: {tar.stat().st_size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s")


def _forget(folder: Path) -> None:
    """Remove root tars that nobody has used for a month (other clones may have other recipes), and debris."""
    for debris in folder.glob(".making-*"):
        if time.time() - debris.stat().st_mtime > 86400:
            shutil.rmtree(debris, ignore_errors=True)
    for tar in folder.glob("*.tar"):
        if time.time() - tar.stat().st_atime > FORGET_AFTER_DAYS * 86400:
            tar.unlink(missing_ok=True)


def image(recipe: Recipe, cache: Path) -> str:
    """Return the tag of the recipe's image in Docker, importing it when it is not there."""
    tag = recipe.tag()
    tar = root_tar(recipe, cache)
    stamp = f"{tar.stat().st_mtime:.0f}"
    known = engine.docker(
        "image", "inspect", "--format", '{{index .Config.Labels "neurobatch.root"}}', tag, check=False
    )
    if known != stamp:
        started = time.monotonic()
        changes = [f"--change={change}" for change in (*recipe.changes, f"LABEL neurobatch.root={stamp}")]
        engine.docker("import", *changes, str(tar), tag)
        say(f"imported {tag} in {time.monotonic() - started:.0f} s")
    return tag
