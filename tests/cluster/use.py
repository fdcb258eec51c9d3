"""What somebody can do with a secret, tried on the server."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.cluster.conftest import KUBECTL, Server
from tests.server import remote

SECRETS = "/etc/neurobatch/secrets"
#: As Neurobatch asks it, in the pod and over TCP; the password comes by standard input and may be empty.
SQL = (
    "exec -i deployment/mysql -c mysql -- sh -c "
    "'read -r MYSQL_PWD; export MYSQL_PWD; "
    'exec mysql --protocol=TCP --host=127.0.0.1 --user=root --batch -e "SELECT 1"\''
)
#: Run by the server's own command line's Python: the object store's answer to keys.
STORE = """
import json, sys
from neurobatch.remote.cluster.objectstore import Keys, ask
print(ask("127.0.0.1:9000", Keys({access!r}, {secret!r}), "GET", "/mlpipeline")[0])
"""


def secrets(server: Server) -> dict[str, str]:
    """Return the secrets in the server's files, by folder and name."""
    listed = server.root(f"cd {SECRETS} && for f in */*; do printf '%s=%s\\n' $f $(cat $f); done")
    return dict(line.split("=", 1) for line in listed.splitlines())


def journal(server: Server) -> list[str]:
    """Return the secrets that stand in the server's journal, by folder and name; modules of Ansible write there."""
    return server.root(
        f"cd {SECRETS} && journalctl --no-pager > /run/journal-of-test; trap 'rm /run/journal-of-test' EXIT;"
        "for f in */*; do if grep -qFf $f /run/journal-of-test; then echo $f; fi; done"
    ).split()


def database(server: Server, password: str) -> bool:
    """Tell whether the database lets root in."""
    # printf is a builtin: the password is in no process list.
    said = server.root(f"printf '%s\\n' '{password}' | {KUBECTL} {SQL} 2>&1 || true")
    assert said.endswith("\n1") or "Access denied" in said, said
    return said.endswith("\n1")


def store(server: Server, access: str, secret: str) -> int:
    """Return the HTTP status of a list of the pipelines' bucket."""
    return int(server.root(f"/opt/neurobatch/bin/python - <<'END'\n{STORE.format(access=access, secret=secret)}END"))


def jupyter(server: Server, token: str) -> int:
    """Return the HTTP status of JupyterLab's answer to a token."""
    headers = {"Authorization": f"token {token}"}
    return int(remote.call(server.instance, remote.http, "127.0.0.1", 8888, "/api/contents", headers)[0])


def desktop(server: Server, password: str) -> bool:
    """Return whether the desktop's gateway takes a password of jovyan's.

    JupyterLab 4 does not read the file by which the rehearsed image starts the gateway: there, what the gateway would
    read is looked at.
    """
    if server.instance.stack != "rehearsal-2.0.0":
        return f'password="{password}"' in server.root("docker exec neurodesktop cat /etc/guacamole/user-mapping.xml")
    basic = base64.b64encode(f"jovyan:{password}".encode()).decode()
    address = server.root("docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' neurodesktop")
    header = {"Authorization": f"Basic {basic}"}
    return bool(remote.call(server.instance, remote.http, address, 8080, "/", header)[0] == 200)


def elyra(server: Server) -> dict[str, Any]:
    """Return the settings of Elyra's runtime as the scientist's Elyra reads them."""
    said = server.root(
        "docker exec --user jovyan neurodesktop sh -c 'cat ~/.local/share/jupyter/metadata/runtimes/*.json'"
    )
    return dict(json.loads(said)["metadata"])


def in_cluster(server: Server, name: str) -> dict[str, str]:
    """Return a Secret of the pipelines' namespace, decoded."""
    data = json.loads(server.kubectl(f"get secret {name} -o json"))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


#: Run by the server's own command line's Python: the objects of the store, by the keys that hold now.
ARTIFACTS = """
import re
from pathlib import Path
from neurobatch.remote.cluster.objectstore import Keys, ask

folder = Path("/etc/neurobatch/secrets/kubeflow_pipelines")
keys = Keys(*((folder / name).read_text() for name in ("minio_access_key", "minio_secret_key")))
status, said = ask("127.0.0.1:9000", keys, "GET", "/mlpipeline")
print(*re.findall("<Key>([^<]*)</Key>", said.decode()))
"""
#: Somebody's own run of what the proof runs: of the proof's own runs, only the newest are kept.
OWN = """
import json, sys, time, urllib.request

def ask(path, body=None):
    url = "http://127.0.0.1:31380/pipeline/apis/v2beta1" + path
    data = None if body is None else json.dumps(body).encode()
    question = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(question, timeout=30))

def own():
    return [run for run in ask("/runs?page_size=100").get("runs", []) if run["display_name"] == "own"]

if not own() and sys.argv[1:] == ["make"]:
    proof = ask("/runs/" + ask("/runs?page_size=1")["runs"][0]["run_id"])
    experiment = ask("/experiments", {"display_name": "own"})["experiment_id"]
    wanted = {name: proof[name] for name in ("pipeline_spec", "runtime_config") if name in proof}
    ask("/runs", {"display_name": "own", "experiment_id": experiment, **wanted})
    while own()[0].get("state") in (None, "RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING"):
        time.sleep(2)
print(*(run["run_id"] + "=" + run["state"] for run in own()))
"""


def kept(server: Server, *, make: bool = False) -> list[str]:
    """Return somebody's own run with its state, and its artifacts; where there is none, make one if asked to."""
    argument = "make" if make else ""
    found = server.root(f"/opt/neurobatch/bin/python - {argument} <<'END'\n{OWN}END", timeout=400).split()
    names = [run.partition("=")[0] for run in found]
    listed = server.root(f"/opt/neurobatch/bin/python - <<'END'\n{ARTIFACTS}END").split()
    return found + sorted(key for key in listed if any(name in key for name in names))
