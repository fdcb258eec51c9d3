"""The rehearsal's Neurodesktop repository: a bare git repository with one commit, the same everywhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.rehearsal.common import Refusal, run

SOURCE = Path(__file__).parent / "neurodesktop"
NAME = "neurodesktop.git"
BRANCH = "main"

# Everything that enters a commit's hash beside the files.
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Neurobatch rehearsal",
    "GIT_AUTHOR_EMAIL": "rehearsal@neurobatch.invalid",
    "GIT_AUTHOR_DATE": "2024-10-18T00:00:00+0000",
    "GIT_COMMITTER_NAME": "Neurobatch rehearsal",
    "GIT_COMMITTER_EMAIL": "rehearsal@neurobatch.invalid",
    "GIT_COMMITTER_DATE": "2024-10-18T00:00:00+0000",
}
_MESSAGE = b"A stand-in for Neurodesktop with JupyterLab and Elyra on Debian 12\n"


def build(target: Path, source: Path = SOURCE) -> str:
    """Make (or remake) a bare repository that a plain web server can serve, and return its commit.

    Args:
        target: folder to hold ``neurodesktop.git``; it may be mounted in a running mirror, so it stays.
        source: the files; those that begin with ``#!`` become executable, whatever the checkout's umask.

    Raises:
        Refusal: git failed, or there are no files.
    """
    repository = target / NAME
    making = target / f".making-{NAME}"
    shutil.rmtree(making, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull} | _IDENTITY

    def git(*args: str, stdin: bytes | None = None) -> str:
        return run(["git", f"--git-dir={making}", *args], env=env, stdin=stdin).stdout.strip()

    run(
        ["git", "init", "--quiet", "--bare", "--object-format=sha1", f"--initial-branch={BRANCH}", str(making)],
        env=env,
    )
    entries = []
    for path in sorted(source.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        data = path.read_bytes()
        blob = git("hash-object", "-w", "--no-filters", "--stdin", stdin=data)
        mode = "100755" if data.startswith(b"#!") else "100644"
        entries.append(f"{mode} {blob}\t{path.relative_to(source).as_posix()}\n")
    if not entries:
        raise Refusal(f"There are no files in {source}.")
    git("update-index", "--index-info", stdin="".join(entries).encode())
    commit = git("commit-tree", git("write-tree"), stdin=_MESSAGE)
    git("update-ref", f"refs/heads/{BRANCH}", commit)
    # Loose objects, refs listed in a file: what `git clone http://…` reads from a server without git.
    git("update-server-info")
    shutil.rmtree(repository, ignore_errors=True)
    making.rename(repository)
    return commit
