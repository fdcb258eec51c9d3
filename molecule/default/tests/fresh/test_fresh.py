"""Check mode and refused input: said in one sentence, within seconds, and nothing on the server is touched.

What needs no server (unknown variables, wrong types) is in tests/unit/test_playbook_refusals.py; architecture, CPUs and
memory are in tests/unit/test_preflight.py, from recorded facts.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.rehearsal.instance import Instance
from tests.server import playbook, snapshot

Root = Callable[..., str]
BAR = 10.0
"""Seconds within which a refusal has to be there, on a machine where Ansible needs `START` to start."""
START = 0.6
"""Seconds: ``ansible-playbook --version`` on two idle cores of 2026."""


@pytest.fixture(scope="session")
def bar(instance: Instance) -> float:
    """`BAR`, for this machine as it is now."""
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([playbook.command(instance)[0], "--version"], capture_output=True, check=True)
        seconds.append(time.monotonic() - began)
    return BAR * max(1.0, min(seconds) / START)


@contextlib.contextmanager
def nothing(_: Root) -> Iterator[None]:
    """Leave the server as it is."""
    yield


@contextlib.contextmanager
def stranger_on_8888(root: Root) -> Iterator[None]:
    """Let somebody else's service listen where JupyterLab is to be."""
    root("systemd-run --quiet --unit=labwiki python3 -m http.server --bind 127.0.0.1 8888")
    root("for try in $(seq 50); do ss -Htln 'sport = :8888' | grep -q . && exit 0; sleep 0.1; done; exit 1")
    try:
        yield
    finally:
        root("systemctl stop labwiki")


@contextlib.contextmanager
def other_system(root: Root) -> Iterator[None]:
    """Let the server call itself a system that no role has variables for."""
    name = r's/^PRETTY_NAME=.*/PRETTY_NAME="Debian GNU\/Linux 10 (buster)"/'
    version = r's/^VERSION_ID=.*/VERSION_ID="10"/'
    root(f"sed -e '{name}' -e '{version}' /usr/lib/os-release > /run/other-os-release")
    root("mount --bind /run/other-os-release /usr/lib/os-release")
    try:
        yield
    finally:
        root("umount /usr/lib/os-release; rm /run/other-os-release")


CASES = {
    "unknown variable": (
        nothing,
        {"neurodesktop_prot": 1},
        "unknown variable neurodesktop_prot; did you mean neurodesktop_port?",
    ),
    "wrong type": (nothing, {"neurodesktop_port": "abc"}, "must be a whole number"),
    "too little disk": (
        nothing,
        {"preflight_min_free_gb": {"/var/lib/docker": 100000}},
        "100000 GB are needed: free or add space, or lower preflight_min_free_gb",
    ),
    "port held by a stranger": (
        stranger_on_8888,
        {},
        "Port 8888 (JupyterLab) is held by python3 (process ",
    ),
    "no sudo": (nothing, {"ansible_user": "guest"}, "guest cannot use sudo without a password"),
    "unsupported system": (
        other_system,
        {},
        "This server runs Debian GNU/Linux 10 (buster), which is not supported: install Debian 12,",
    ),
}


def test_check_mode_has_changed_nothing(instance: Instance) -> None:
    # molecule's check step was the only one since the snapshot.
    assert snapshot.differences(snapshot.recorded(instance), snapshot.take(instance)) == []


def test_the_server_is_bare(root: Root) -> None:
    assert root("command -v docker dockerd podman kubectl || echo none") == "none"
    assert root("ls /var/lib/docker") == ""


def test_check_mode_says_what_a_run_would_do(instance: Instance) -> None:
    result = playbook.run(instance, "--check", "--diff")
    assert result.code == 0, result.output
    reports = (
        "write /etc/neurobatch/stack.json",
        "install docker.io",
        "make the image neurodesktop:",
        "create a cluster with",
        "install Kubeflow Pipelines 2.0.0",
        "install the chart cvmfs-csi 2.5.2",
        "start neurobatch-forward@ui.service",
        "write into the home:",
        "run the smoke pipeline",
    )
    assert [words for words in reports if words not in result.text] == []
    assert result.recap()["changed"] == len(reports)  # one for each role that has something to do


def test_a_healthy_server_passes(instance: Instance) -> None:
    result = playbook.run(instance, playbook="playbooks/preflight.yml")
    assert result.code == 0, result.output
    assert result.recap()["changed"] == 0


@pytest.mark.parametrize(("around", "extra", "sentence"), CASES.values(), ids=CASES)
def test_bad_input_is_refused(
    instance: Instance,
    root: Root,
    measured: Callable[[str], None],
    around: Callable[[Root], Any],
    extra: dict[str, Any],
    sentence: str,
    bar: float,
) -> None:
    with around(root):
        runs = [playbook.run(instance, "-e", json.dumps(extra))]
        while runs[-1].seconds >= bar and len(runs) < 4:  # this machine may have been busy with something else
            runs.append(playbook.run(instance, "-e", json.dumps(extra)))
    result = min(runs, key=lambda run: run.seconds)
    assert result.code == 2, result.output
    assert sentence in result.text
    assert result.recap()["changed"] == 0
    measured(f"refused in {result.seconds:.1f} s: {sentence}")
    assert result.seconds < bar


def test_a_port_held_by_a_stranger_is_refused_with_its_remedy(instance: Instance, root: Root) -> None:
    with stranger_on_8888(root):
        result = playbook.run(instance, playbook="playbooks/preflight.yml")
    assert (
        "labwiki.service): stop it (`sudo systemctl stop labwiki.service`) or set neurodesktop_port to a free port"
        in result.text
    )


def test_refusals_have_touched_nothing(instance: Instance) -> None:
    assert snapshot.differences(snapshot.recorded(instance), snapshot.take(instance)) == []
