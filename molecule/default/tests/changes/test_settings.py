"""Other settings, other images, other people's containers, and a run that was killed in the middle of a build."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.rehearsal import server
from tests.rehearsal.instance import Instance
from tests.rehearsal.mirror import BASE_IMAGE
from tests.rehearsal.names import CHECKOUT
from tests.rehearsal.stackfiles import stack_file
from tests.server import playbook, remote

Root = Callable[..., str]
BUILD = "neurobatch-neurodesktop-build"
ONLY = ("--tags", "neurodesktop")

pytestmark = pytest.mark.unit("neurodesktop.service", BUILD)


@pytest.fixture(scope="module")
def base_digest(instance: Instance) -> str:
    """The digest under which the mirror has the base image, which holds no Elyra."""
    repository, tag = BASE_IMAGE.split(":")
    session = requests.Session()
    session.trust_env = False  # the mirror is on this machine: no proxy in between
    answer = session.head(
        f"{instance.state['doors']['registry']}/v2/{repository}/manifests/{tag}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        timeout=10,
    )
    digest: str = answer.headers["Docker-Content-Digest"]
    return digest


@pytest.fixture(scope="module")
def somebody_elses(root: Root) -> Iterator[Callable[[], str]]:
    """A running container named as Neurodesk's own application names its own; yields what identifies this run of it."""
    image = root("docker inspect --format '{{.Image}}' neurodesktop")
    root(f"docker run --detach --name neurodeskapp --entrypoint sleep {image} 900")
    yield lambda: root("docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Running}}' neurodeskapp")
    root("docker rm --force neurodeskapp")


def run_of(root: Root) -> str:
    """Return what tells one start of our container from another."""
    return root("docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Running}}' neurodesktop")


def test_an_image_without_elyra_is_refused_and_the_old_container_keeps_running(
    instance: Instance, root: Root, token: str, base_digest: str
) -> None:
    before = run_of(root)
    image = f"{BASE_IMAGE.split(':')[0]}@{base_digest}"
    result = playbook.run(instance, *ONLY, "-e", f"neurodesktop_image={image}")
    assert result.code == 2, result.output
    assert (
        "the image holds no Elyra, but the stack rehearsal-2.0.0 needs Elyra 3.15.0; use an image with that version, "
        "or another stack"
    ) in result.text
    assert run_of(root) == before
    remote.await_jupyter(instance, token, 5)


def test_an_image_without_a_digest_is_refused(instance: Instance, root: Root) -> None:
    before = run_of(root)
    result = playbook.run(instance, *ONLY, "-e", f"neurodesktop_image={BASE_IMAGE}")
    assert result.code == 2, result.output
    assert f"neurodesktop_image={BASE_IMAGE} names no digest" in result.text
    assert run_of(root) == before


def start(instance: Instance, log: Path, extra: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a run whose output goes to a file."""
    argv = playbook.command(instance, *ONLY, "--diff", "-e", json.dumps(extra))
    with log.open("wb") as stream:
        return subprocess.Popen(
            argv, cwd=CHECKOUT, env=playbook.environment(), stdin=subprocess.DEVNULL,
            stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def hold_build(instance: Instance) -> subprocess.Popen[bytes]:
    """Have the server itself stop the build as soon as it runs.

    With everything in Docker's cache a build is over within a second: sooner than a look over SSH can be followed by a
    signal over SSH.
    """
    ssh = server.ssh_command(instance.names.state_dir, instance.state["server_ip"])
    watch = (
        f"timeout 300 sh -c 'until systemctl is-active --quiet {BUILD} && systemctl kill --signal=STOP {BUILD}; "
        "do sleep 0.01; done'"
    )
    return subprocess.Popen([*ssh, f"sudo -n {watch}"], stdin=subprocess.DEVNULL)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 300) -> None:
    """Wait until something is seen while a run goes on."""
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_a_killed_run_is_taken_up_and_other_settings_keep_home_and_token(
    instance: Instance, root: Root, token: str, base_digest: str, somebody_elses: Callable[[], str], tmp_path: Path
) -> None:
    # A pin in the site's stack file means another image, and a build; more shared memory means another container.
    own = stack_file()
    own["neurodesktop"]["base_image_digest"] = base_digest
    (tmp_path / f"{own['name']}.yml").write_text(yaml.safe_dump(own))
    extra = {"stack_dirs": [str(tmp_path)], "neurodesktop_shm_size": "2gb"}
    before = json.loads(root("docker inspect neurodesktop"))[0]
    foreign = somebody_elses()
    root("docker exec --user jovyan neurodesktop sh -c 'echo mine > ~/kept.txt'")

    # The build is held while it runs, so that neither run can miss the other.
    log = tmp_path / "killed.log"
    holder = hold_build(instance)
    killed = start(instance, log, extra)
    wait_for(lambda: holder.poll() is not None, killed, log)
    assert holder.returncode == 0, log.read_text()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    invocation = root(f"systemctl show {BUILD} --property=InvocationID,MainPID")

    log = tmp_path / "second.log"
    second = start(instance, log, extra)
    wait_for(lambda: "log on the server" in log.read_text(), second, log)
    assert root(f"systemctl show {BUILD} --property=InvocationID,MainPID") == invocation
    root(f"systemctl kill --signal=CONT {BUILD}")
    assert second.wait(timeout=300) == 0, log.read_text()
    assert "neurodesktop-container" in log.read_text()  # --diff shows files, but no secret
    assert token not in log.read_text()
    assert root("grep -c '^== pulling' /var/log/neurobatch/neurodesktop-build.log") == "1"

    after = json.loads(root("docker inspect neurodesktop"))[0]
    assert after["Id"] != before["Id"]
    assert after["Config"]["Image"] != before["Config"]["Image"]
    assert after["Config"]["Labels"]["org.neurobatch.stack"] == own["name"]
    assert after["HostConfig"]["ShmSize"] == 2 * 2**30
    remote.await_jupyter(instance, token, 30)
    assert remote.token(instance) == token
    assert root("docker exec --user jovyan neurodesktop cat /home/jovyan/kept.txt") == "mine"
    assert somebody_elses() == foreign
    assert foreign.endswith(" true")
    names = root("docker ps --all --format '{{.Names}}'").split()
    assert sorted(names) == ["minikube", "neurodeskapp", "neurodesktop"]
