"""Apply, ready, apply again; hands on it (S0-31 to S0-41)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.cluster.conftest import Server

Measured = Callable[[str], None]


def test_a_second_application_changes_nothing_and_restarts_no_pod(server: Server, measured: Measured) -> None:
    before = server.pods()
    again = server.apply()
    assert again.recap()["changed"] == 0, again.output[-3000:]
    assert server.pods() == before
    # Also when all of it is sent to the cluster again.
    server.root("rm /var/lib/neurobatch/kubeflow_pipelines/applied")
    result = server.apply()
    assert server.pods() == before
    measured(
        f"nothing to do {again.seconds:.0f} s; all sent again {result.seconds:.0f} s; {len(before)} pods untouched"
    )


HANDS = {
    "scaled": "scale deployment ml-pipeline-ui --replicas=0",
    "an image": "set image deployment/ml-pipeline-ui ml-pipeline-ui=registry.invalid/nobody/ui:none",
    "a variable more": "set env deployment/ml-pipeline-ui ADDED_BY_HAND=1",
    "removed": "delete service ml-pipeline-ui",
    "a Secret": """patch secret mysql-secret --type=merge -p '{"data": {"password": "d3Jvbmc="}}'""",
}


@pytest.mark.parametrize("command", HANDS.values(), ids=HANDS)
def test_what_hands_changed_is_seen_and_brought_back(server: Server, measured: Measured, command: str) -> None:
    wanted = json.loads(server.kubectl("get deployment ml-pipeline-ui -o json"))["spec"]["template"]["spec"]
    server.kubectl(command)
    repaired = server.apply()
    assert repaired.recap()["changed"] > 0
    found = json.loads(server.kubectl("get deployment ml-pipeline-ui -o json"))
    assert found["spec"]["template"]["spec"] == wanted
    assert found["spec"]["replicas"] == 1
    again = server.apply()
    assert again.recap()["changed"] == 0, again.output[-3000:]
    measured(f"{repaired.seconds:.0f} s")
