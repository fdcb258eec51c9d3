"""After a reboot everything answers again without a human: JupyterLab with token and home, the cluster, its runs."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.rehearsal.instance import Instance
from tests.server import playbook, reboot, remote

BAR = 120.0
"""Seconds from the order to reboot until JupyterLab has to answer."""
CLUSTER_BAR = 300.0
"""The same for what lives in the cluster."""
PIPELINES = {
    "the user interface": (31380, "/"),
    "the pipeline API": (31380, "/apis/v2beta1/healthz"),
    "the object store": (9000, "/minio/health/live"),
}

pytestmark = pytest.mark.unit("docker.service", "neurodesktop.service", "minikube.service")


def test_jupyterlab_comes_back_by_itself(instance: Instance, measured: Callable[[str], None]) -> None:
    before = reboot.recorded(instance)
    assert reboot.init_started(instance) != before["pid1"], "the server was not restarted"
    remote.await_jupyter(instance, before["token"], 30)
    measured(f"JupyterLab answered {before['jupyter']:.0f} s after the order to reboot")
    assert before["jupyter"] < BAR


def test_the_pipelines_come_back_by_themselves(instance: Instance, measured: Callable[[str], None]) -> None:
    started = reboot.recorded(instance)["at"]
    waiting = dict(PIPELINES)
    while waiting and time.time() - started < CLUSTER_BAR:
        for name, (port, path) in list(waiting.items()):
            status, _ = remote.call(instance, remote.http, "127.0.0.1", port, path, {})
            if status == 200:
                measured(f"{name} answered {time.time() - started:.0f} s after the order to reboot")
                del waiting[name]
        time.sleep(1)
    assert waiting == {}


def test_a_run_after_the_reboot_finds_nothing_to_do(instance: Instance) -> None:
    result = playbook.run(instance)
    assert result.code == 0, result.output
    assert result.recap()["changed"] == 0, result.output


def test_a_pipeline_runs_after_the_reboot(root: Callable[..., str]) -> None:
    # Tools, object store and steps; the claim is mounted anew by the driver.
    said = root("neurobatch-smoke --deadline=240", timeout=300)
    assert said.splitlines()[-1] == "smoke: SUCCEEDED (3 of 3 steps)"


def test_token_and_home_are_kept(instance: Instance, root: Callable[..., str], token: str) -> None:
    before = reboot.recorded(instance)
    assert token == before["token"]
    assert root(f"docker exec --user jovyan neurodesktop cat /home/jovyan/{reboot.HOME_FILE}") == before["home_file"]
