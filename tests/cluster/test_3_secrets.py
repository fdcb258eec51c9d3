"""No password that everybody knows, none in what leaves the server; new ones reach every consumer (S0-63, S0-67)."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import yaml
from neurobatch.remote.cluster.redact import shapes

from tests.cluster import use
from tests.cluster.conftest import Server, first_log
from tests.rehearsal.names import CHECKOUT
from tests.rehearsal.server import HOSTNAME

Measured = Callable[[str], None]
#: What upstream ships: the object store's key and secret, jovyan's and VNC's password, the database's root.
KNOWN = ("minio", "minio123", "password", "root", "")
#: Every object of the cluster as text, and what its Secrets hold decoded, one value a line.
CLUSTER = """
k="kubectl --kubeconfig=/etc/neurobatch/kubeconfig"
$k get secrets,configmaps,deployments,pods -A -o yaml
$k get secrets -A -o go-template='{{range .items}}{{range $k,$v := .data}}{{$v | base64decode}}{{"\\n"}}{{end}}{{end}}'
"""
#: Files of the server that could hold a secret, and what its containers were started with.
FILES = """
cd /var/lib/neurobatch
grep -rhsI . /etc/neurobatch /etc/systemd/system /usr/local/libexec /var/log/neurobatch elyra port_forward \
  kubeflow_pipelines/overlay /var/lib/docker/volumes/neurodesk-home/_data/.local || true
docker ps -aq | xargs docker inspect
"""
#: The login that the node's containerd has for a mirror.
HELD = "grep -ho 'Basic [^\"]*' /var/lib/neurobatch/minikube/.minikube/files/etc/containerd/certs.d/quay.io/hosts.toml"


def test_no_password_that_everybody_knows_opens_anything(server: Server) -> None:
    held = use.secrets(server)
    pipelines = {name.partition("/")[2]: value for name, value in held.items() if name.startswith("kubeflow")}
    assert use.store(server, pipelines["minio_access_key"], pipelines["minio_secret_key"]) == 200
    assert use.store(server, "minio", "minio123") == 403
    assert use.store(server, pipelines["minio_access_key"], "minio123") == 403
    assert use.database(server, pipelines["mysql_password"])
    assert [word for word in KNOWN if use.database(server, word)] == []
    assert use.desktop(server, held["neurodesktop/desktop_password"])
    assert [word for word in KNOWN if use.desktop(server, word)] == []
    assert use.jupyter(server, held["neurodesktop/jupyter_token"]) == 200
    assert [word for word in KNOWN if use.jupyter(server, word) == 200] == []


def test_no_password_that_everybody_knows_is_written_anywhere(server: Server) -> None:
    texts = server.root(CLUSTER) + server.root(FILES)
    assert "MYSQL_ROOT_PASSWORD" in texts, "the database's Deployment is among what was read"
    assert "minio123" not in texts
    assert "bWluaW8xMjM=" not in texts, "minio123 in base64"
    assert "MYSQL_ALLOW_EMPTY_PASSWORD" not in texts
    assert set(use.in_cluster(server, "mlpipeline-minio-artifact").values()) & set(KNOWN) == set()
    assert use.in_cluster(server, "mysql-secret")["password"] not in KNOWN


def test_new_secrets_reach_everything_and_lose_nothing(server: Server, measured: Measured) -> None:
    kept = use.kept(server, make=True)
    assert kept[0].endswith("=SUCCEEDED")
    assert len(kept) > 1, "the run has left artifacts"
    old = use.secrets(server)
    result = server.play("playbooks/rotate.yml", "-vvv")
    new = use.secrets(server)
    assert new.keys() == old.keys()
    assert set(new.values()) & set(old.values()) == set()
    assert [shape for shape in shapes([*new.values(), *old.values()]) if shape in result.output] == []
    assert use.journal(server) == []
    key, secret = (new[f"kubeflow_pipelines/minio_{name}_key"] for name in ("access", "secret"))
    # Every consumer has the new ones: Kubernetes' Secrets, Elyra, the programs, Neurodesktop.
    assert use.in_cluster(server, "mlpipeline-minio-artifact") == {"accesskey": key, "secretkey": secret}
    steps = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    assert use.in_cluster(server, "neurobatch-object-store") == steps
    assert use.in_cluster(server, "mysql-secret")["password"] == new["kubeflow_pipelines/mysql_password"]
    runtime = use.elyra(server)
    assert (runtime["cos_username"], runtime["cos_password"]) == (key, secret)
    for held, opens in ((new, True), (old, False)):
        keys = [held[f"kubeflow_pipelines/minio_{name}_key"] for name in ("access", "secret")]
        assert (use.store(server, *keys) == 200) is opens
        assert use.database(server, held["kubeflow_pipelines/mysql_password"]) is opens
        assert (use.jupyter(server, held["neurodesktop/jupyter_token"]) == 200) is opens
        assert use.desktop(server, held["neurodesktop/desktop_password"]) is opens
    assert use.kept(server) == kept
    after = server.play("site.yml")
    assert after.recap()["changed"] == 0, after.output[-3000:]
    everywhere = server.root(CLUSTER) + server.root(FILES)
    assert [name for name, value in old.items() if value in everywhere] == []
    measured(f"rotation with its proof {result.seconds:.0f} s, then changed=0 in {after.seconds:.0f} s")


PLANTED = "Pl4nted-s3cret-of-nobody-0123456789"
#: What the inventory sets: the login of a mirror, which reaches Docker's and the node's files.
LOGIN = "Pl4nted-l0gin-of-nobody-9876543210"


def planted(server: Server) -> list[str]:
    """Put secrets where a bundle takes its text from."""
    for folder in ("neurodesktop", "kubeflow_pipelines"):
        server.root(f"umask 077; printf %s {PLANTED} > /etc/neurobatch/secrets/{folder}/planted")
    server.kubectl(f"create secret generic planted --from-literal=a={PLANTED}")
    server.root(f"echo said {PLANTED} > /var/log/neurobatch/planted.log")
    image = server.kubectl("get deployment mysql -o jsonpath='{.spec.template.spec.containers[0].image}'")
    server.kubectl(f"run planted --image={image} --restart=Never --command -- echo said {PLANTED}")
    return [PLANTED, LOGIN, f"nobody:{LOGIN}", *use.secrets(server).values()]


def test_planted_secrets_are_in_no_log_and_not_in_the_bundle(
    server: Server, measured: Measured, tmp_path: Path
) -> None:
    mirrors = yaml.safe_load(Path(server.instance.state["inventory"]).read_text())["all"]["hosts"][HOSTNAME]
    mirrors = mirrors["registry_mirrors"]
    login = {"url": mirrors["quay.io"], "username": "nobody", "password": LOGIN}
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({"registry_mirrors": {**mirrors, "quay.io": login}}))
    try:
        hidden = shapes(planted(server))
        logs = [server.play("site.yml", "-vvv", "-e", f"@{chosen}").output]
        assert LOGIN in base64.b64decode(server.root(f"{HELD} | cut -d' ' -f2")).decode(), "the login is in use"
        logs.append(server.play("playbooks/diagnose.yml", "-vvv").output)
    finally:
        server.kubectl("delete secret,pod planted --ignore-not-found")
        server.root("rm -f /etc/neurobatch/secrets/*/planted /var/log/neurobatch/planted.log")
    server.play("site.yml")
    with tarfile.open(CHECKOUT / "reports" / HOSTNAME / "diagnosis.tar.gz") as tar:
        streams = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        bundle = {name: stream.read().decode() for name, stream in streams.items() if stream}
    wanted = {"cluster/events.txt", "docker/version.txt", "server/disk.txt"}
    assert {f"diagnosis/{name}" for name in wanted} <= set(bundle)
    assert any(name.endswith("overlay/kustomization.yaml") for name in bundle)
    for name in ("files/var/log/neurobatch/planted.log", "cluster/kubeflow/logs/planted.txt"):
        assert "said [removed]" in bundle[f"diagnosis/{name}"]
    logs.append(first_log(server.instance).read_text())
    text = "\n".join([*bundle.values(), *logs])
    assert [shape for shape in hidden if shape in text] == []
    measured(
        f"0 hits of {len(hidden)} shapes of secrets in {sum(map(len, bundle.values()))} characters of {len(bundle)} "
        f"files and in {sum(map(len, logs))} of {len(logs)} verbose logs, the first installation's among them"
    )
