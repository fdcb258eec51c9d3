"""The cluster and Kubeflow Pipelines as an operator finds them: answers, claims, secrets, sizes (S0-29..S0-83)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from testinfra.host import Host

from tests.rehearsal.instance import Instance
from tests.server import remote

Root = Callable[..., str]
KUBECTL = "kubectl --kubeconfig=/etc/neurobatch/kubeconfig"
SECRETS = "/etc/neurobatch/secrets/kubeflow_pipelines"

pytestmark = pytest.mark.unit(
    "minikube.service", "neurobatch-forward@ui.service", "neurobatch-forward@object-store.service"
)


def objects(root: Root, what: str) -> list[dict[str, Any]]:
    """Return what the cluster has of a kind, in all namespaces."""
    found: list[dict[str, Any]] = json.loads(root(f"{KUBECTL} get {what} --all-namespaces -o json"))["items"]
    return found


def test_the_api_answers_through_the_forward(instance: Instance) -> None:
    path = "/apis/v2beta1/healthz"
    status, body = remote.call(instance, remote.http, "127.0.0.1", 31380, path, {})  # S0-57
    assert status == 200, body
    assert json.loads(body)["apiServerReady"] is True


def test_both_clients_ask_the_servers_in_the_order_that_was_measured(instance: Instance, root: Root) -> None:  # S0-46
    measured = json.loads(root("cat /etc/neurobatch/stack.json"))["cvmfs_servers"]
    assert measured["wanted"] == list(instance.state["doors"]["cvmfs_servers"])
    assert sorted(measured["order"]) == sorted(measured["wanted"])
    line = 'CVMFS_SERVER_URL="' + ";".join(f"{server}/cvmfs/@fqrn@" for server in measured["order"]) + '"'
    values = yaml.safe_load(root("cat /var/lib/neurobatch/cvmfs_csi/values.yml"))["extraConfigMaps"]
    assert line in values["cvmfs-csi-config-d"]["neurodesk.ardc.edu.au.conf"]
    assert line in root("docker exec neurodesktop cat /etc/cvmfs/config.d/neurodesk.ardc.edu.au.local")


def test_the_object_store_answers_and_refuses_what_everybody_knows(instance: Instance, root: Root) -> None:
    status, _ = remote.call(instance, remote.http, "127.0.0.1", 9000, "/minio/health/live", {})  # S0-58
    assert status == 200
    keys = {name: root(f"cat {SECRETS}/minio_{name}") for name in ("access_key", "secret_key")}
    assert remote.call(instance, bucket_status, keys["access_key"], keys["secret_key"]) == 200
    assert remote.call(instance, bucket_status, "minio", "minio123") == 403


def bucket_status(access: str, secret: str) -> int:
    """Return the status of a signed HEAD of the bucket mlpipeline. Runs on the server."""
    import datetime
    import hashlib
    import hmac
    import urllib.error
    import urllib.request

    now = datetime.datetime.now(datetime.UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": "127.0.0.1:9000", "x-amz-content-sha256": empty, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"HEAD\n/mlpipeline\n\n{lines}\n{names}\n{empty}"
    scope = f"{day}/us-east-1/s3/aws4_request"
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    question = urllib.request.Request("http://127.0.0.1:9000/mlpipeline", headers=headers, method="HEAD")
    try:
        with urllib.request.urlopen(question, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_object_stores_name_means_the_forward(host: Host) -> None:
    lines = [line for line in host.file("/etc/hosts").content_string.splitlines() if "minio-service.kubeflow" in line]
    assert len(lines) == 1  # S0-60
    assert lines[0].startswith("127.0.0.1")
    inside = host.check_output("docker exec neurodesktop getent hosts minio-service.kubeflow.svc.cluster.local")
    assert inside.startswith("172.29.88.1 ")  # S0-61


def test_every_deployment_is_ready(root: Root) -> None:
    found = {
        each["metadata"]["name"]: each["status"].get("availableReplicas", 0) for each in objects(root, "deployments")
    }
    assert {"ml-pipeline", "ml-pipeline-ui", "minio", "mysql", "workflow-controller"} <= found.keys()
    assert {name for name, ready in found.items() if ready < 1} == set()


def test_the_claims_are_bound(root: Root) -> None:
    found = {each["metadata"]["name"]: each["status"]["phase"] for each in objects(root, "persistentvolumeclaims")}
    wanted = {"cvmfs", "cvmfs-neurodesk", "neurodesktop-storage", "minio-pvc", "mysql-pv-claim"}
    assert {name: found.get(name) for name in wanted} == dict.fromkeys(wanted, "Bound")


def test_nothing_in_the_cluster_has_a_password_that_everybody_knows(root: Root) -> None:
    known = {"minio", "minio123", "password", "root", ""}
    for secret in objects(root, "secrets"):
        name, data = secret["metadata"]["name"], secret.get("data") or {}
        if name == "mlpipeline-minio-artifact":
            values = {key: root(f"printf %s {data[key]} | base64 -d") for key in ("accesskey", "secretkey")}
            assert not known & set(values.values())
            assert values["secretkey"] == root(f"cat {SECRETS}/minio_secret_key")
        if name == "mysql-secret":
            assert root(f"printf %s {data['password']} | base64 -d") not in known


def test_the_node_is_a_container_of_a_plain_user_with_the_computed_size(root: Root, host: Host) -> None:
    created = json.loads(root("cat /etc/neurobatch/minikube-created.json"))
    limits = json.loads(root("docker inspect minikube --format '{{json .HostConfig}}'"))
    assert limits["Memory"] == created["memory_mib"] * 2**20
    assert limits["NanoCpus"] == created["cpus"] * 10**9
    assert host.user("neurobatch").uid != 0
    assert host.check_output("systemctl show minikube.service -p User --value") == "neurobatch"


def test_the_kubeconfig_is_roots_alone(host: Host) -> None:
    with host.sudo():
        found = host.file("/etc/neurobatch/kubeconfig")
        assert (found.user, found.mode) == ("root", 0o600)


def test_elyra_knows_where_to_submit(root: Root) -> None:
    shown = root("docker exec --user jovyan neurodesktop elyra-metadata list runtimes --json")
    runtimes = {each["name"]: each for each in json.loads(shown)}
    found = runtimes["neurodesktop_kfp"]["metadata"]  # S0-62 to S0-69
    assert found["api_endpoint"] == "http://ml-pipeline-ui.kubeflow.svc.cluster.local:31380/pipeline"
    assert found["cos_endpoint"] == "http://minio-service.kubeflow.svc.cluster.local:9000"
    assert found["cos_bucket"] == "mlpipeline"
    template = "/home/jovyan/batch-template/batch-template.pipeline"
    said = root(
        "docker exec --user jovyan --workdir /home/jovyan/batch-template neurodesktop "
        f"elyra-pipeline validate {template} --runtime-config neurodesktop_kfp"
    )
    assert "error" not in said.lower()


def test_the_playbook_ran_the_smoke_pipeline(root: Root) -> None:
    lines = root("cat /var/log/neurobatch/smoke-pipeline.log").splitlines()
    assert lines[-1] == "smoke: SUCCEEDED (3 of 3 steps)"
    # Each step's own output: it ran as a pod.
    assert any("neurodesk-modules lists" in line for line in lines)
    assert any("took" in line and "the artifact of step produce" in line for line in lines)
