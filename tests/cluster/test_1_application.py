"""Apply, ready, apply again; hands on it; new secrets (S0-31 to S0-41)."""

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


#: Run by the server's own command line's Python: what the store and the API hold, by the secrets that hold now.
ARTIFACTS = """
import re
from pathlib import Path
from neurobatch.remote.cluster.objectstore import Keys, ask

folder = Path("/etc/neurobatch/secrets/kubeflow_pipelines")
keys = Keys(*((folder / name).read_text() for name in ("minio_access_key", "minio_secret_key")))
status, said = ask("127.0.0.1:9000", keys, "GET", "/mlpipeline")
print(status, *sorted(re.findall("<Key>([^<]*)</Key>", said.decode())))
"""
RUNS = """
import json, urllib.request

url = "http://127.0.0.1:31380/pipeline/apis/v2beta1/runs?page_size=100"
print(*sorted(run["run_id"] for run in json.load(urllib.request.urlopen(url)).get("runs", [])))
"""


def artifacts(server: Server) -> list[str]:
    """Return the store's answer to the keys in the files, and its objects."""
    return server.root(f"/opt/neurobatch/bin/python - <<'END'\n{ARTIFACTS}END").split()


def runs(server: Server) -> list[str]:
    """Return the runs that the API knows."""
    return server.root(f"/opt/neurobatch/bin/python - <<'END'\n{RUNS}END").split()


def test_new_secrets_reach_everything_and_lose_nothing(server: Server, measured: Measured) -> None:
    known, kept = runs(server), artifacts(server)
    assert known
    assert kept[0] == "200"
    assert len(kept) > 1
    old = server.root("cd /etc/neurobatch/secrets; for f in */*; do echo $f=$(cat $f); done").split()
    result = server.play("playbooks/rotate.yml")
    new = server.root("cd /etc/neurobatch/secrets; for f in */*; do echo $f=$(cat $f); done").split()
    assert sorted(each.split("=")[0] for each in new) == sorted(each.split("=")[0] for each in old)
    assert set(new) & set(old) == set()
    assert set(runs(server)) > set(known), "the proof adds a run"
    assert set(artifacts(server)) >= set(kept)
    after = server.play("site.yml")
    assert after.recap()["changed"] == 0, after.output[-3000:]
    values = [each.split("=", 1)[1] for each in old]
    everywhere = server.root(
        "kubectl --kubeconfig=/etc/neurobatch/kubeconfig get secrets,configmaps,deployments,pods -A -o yaml;"
        "kubectl --kubeconfig=/etc/neurobatch/kubeconfig get secrets -A "
        """-o go-template='{{range .items}}{{range $k,$v := .data}}{{$v | base64decode}}{{"\\n"}}{{end}}{{end}}';"""
        "grep -rhs . /etc/neurobatch /var/lib/docker/volumes/neurodesk-home/_data/.local || true"
    )
    assert [value for value in values if value in everywhere] == []
    measured(f"rotation with its proof {result.seconds:.0f} s, then changed=0 in {after.seconds:.0f} s")
