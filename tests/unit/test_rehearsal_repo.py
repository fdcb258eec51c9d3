"""The rehearsal's Neurodesktop repository: its commit is the one that the rehearsal's stack names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rehearsal import gitrepo, mirror
from tests.rehearsal.common import Refusal
from tests.rehearsal.instance import Instance
from tests.rehearsal.stackfiles import known_stacks, stack_file

PIN = "after a change in tests/rehearsal/neurodesktop run `python -m tests.rehearsal pin`"


@pytest.mark.parametrize("stack", known_stacks())
def test_the_stack_names_the_commit_that_the_files_make(stack: str, tmp_path: Path) -> None:
    assert gitrepo.build(tmp_path) == stack_file(stack)["neurodesktop"]["commit"], PIN


def test_a_server_keeps_its_stack(tmp_path: Path) -> None:
    assert Instance("demo", tmp_path).stack == "rehearsal-2.0.0"
    wanted = Instance("demo", tmp_path, "rehearsal-2.5.0")
    assert wanted.stack == "rehearsal-2.5.0"
    wanted.names.state_dir.mkdir(parents=True)
    (wanted.names.state_dir / "state.json").write_text('{"stack": "rehearsal-2.0.0"}')
    assert Instance("demo", tmp_path).stack == "rehearsal-2.0.0"
    with pytest.raises(Refusal, match=r"is up with rehearsal-2\.0\.0.*then start it with rehearsal-2\.5\.0"):
        _ = wanted.stack
    with pytest.raises(Refusal, match=r"no stack rehearsal-9: take rehearsal-2\.0\.0 or rehearsal-2\.5\.0\."):
        Instance("demo", tmp_path, "rehearsal-9")


def test_modes_and_dates_of_the_checkout_do_not_matter(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(gitrepo.SOURCE, copy, copy_function=shutil.copyfile)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert gitrepo.build(tmp_path / "out", copy) == gitrepo.build(tmp_path / "again")


def test_a_changed_file_changes_the_commit_and_a_rebuild_keeps_the_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "start.sh").write_text("#!/bin/sh\n")
    first = gitrepo.build(tmp_path / "out", source)
    folder = (tmp_path / "out").stat().st_ino
    (source / "start.sh").write_text("#!/bin/sh\nexit 0\n")
    assert gitrepo.build(tmp_path / "out", source) != first
    assert (tmp_path / "out").stat().st_ino == folder, "a mirror that runs has this folder mounted"


def test_it_can_be_cloned_and_what_runs_is_executable(tmp_path: Path) -> None:
    commit = gitrepo.build(tmp_path / "served")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(tmp_path / "served" / gitrepo.NAME), str(clone)], check=True)
    head = subprocess.run(["git", "-C", str(clone), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert head.stdout.strip() == commit
    assert (clone / "config" / "desktop" / "desktop_services.sh").stat().st_mode & 0o111
    assert not (clone / "Dockerfile").stat().st_mode & 0o111
    # What a plain web server needs to serve a clone.
    assert commit in (tmp_path / "served" / gitrepo.NAME / "info" / "refs").read_text()


def test_the_dockerfile_is_as_upstreams_where_provisioning_could_tell() -> None:
    text = (gitrepo.SOURCE / "Dockerfile").read_text()
    assert text.startswith(f"FROM {mirror.BASE_IMAGE}\n")
    words = text.split()
    assert "ARG" not in words, "no argument of ours"
    assert "elyra" in words and "jupyterlab" in words, "installed without a version"
    assert "==" not in text
