"""What the tests of access do on the server: run Elyra as a scientist does, follow runs, look into the bucket."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from tests.rehearsal.common import Refusal
from tests.rehearsal.instance import Instance
from tests.server import remote

RUNTIME = "neurodesktop_kfp"
TEMPLATE = "/home/jovyan/batch-template/batch-template.pipeline"
KUBECTL = "kubectl --kubeconfig=/etc/neurobatch/kubeconfig --namespace=kubeflow"
SECRETS = "/etc/neurobatch/secrets/kubeflow_pipelines"
FINAL = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}


def inside(instance: Instance, command: str, *, check: bool = True, timeout: float = 300, user: str = "jovyan") -> str:
    """Return what a shell command prints in the container, errors included."""
    quoted = shlex.quote(f"cd; {command} 2>&1")
    return remote.root(
        instance, f"docker exec --user {user} neurodesktop bash -c {quoted}", check=check, timeout=timeout
    )


def elyra_submit(instance: Instance, pipeline: str = TEMPLATE, runtime: str = RUNTIME) -> dict[str, Any]:
    """Submit a pipeline with Elyra's command line and return what it says of the run.

    Raises:
        Refusal: it was refused; carries Elyra's words.
    """
    said = inside(instance, f"elyra-pipeline submit {pipeline} --runtime-config={runtime} --json", check=False)
    at = said.find("\n{")
    if at < 0:
        raise Refusal(f"Elyra did not submit {pipeline}: {said[-1500:]}")
    loaded: dict[str, Any] = json.JSONDecoder().raw_decode(said[at + 1 :])[0]
    return loaded


def api(instance: Instance, path: str) -> Any:
    """Return the pipeline API's answer to a GET, through the forward."""
    status, body = remote.call(instance, remote.http, "127.0.0.1", 31380, f"/pipeline/apis/v2beta1/{path}", {})
    if status != 200:
        raise Refusal(f"GET {path} is answered with {status}: {body[:300]}")
    return json.loads(body)


def follow(instance: Instance, run_id: str, seconds: float = 240) -> dict[str, Any]:
    """Return a run when it has ended.

    Raises:
        Refusal: it has not after so many seconds; carries its state.
    """
    deadline = time.monotonic() + seconds
    while True:
        run: dict[str, Any] = api(instance, f"runs/{run_id}")
        if run["state"] in FINAL:
            return run
        if time.monotonic() > deadline:
            raise Refusal(f"The run {run_id} is {run['state']} after {seconds:.0f} s: {run['run_details']}")
        time.sleep(1)


BUCKET = """
import json, pathlib, sys
from urllib.parse import urlsplit
from minio import Minio
runtime = "/home/jovyan/.local/share/jupyter/metadata/runtimes/neurodesktop_kfp.json"
settings = json.loads(pathlib.Path(runtime).read_text())["metadata"]
store = urlsplit(settings["cos_endpoint"])
keys = {"access_key": settings["cos_username"], "secret_key": settings["cos_password"]}
client = Minio(store.netloc, secure=False, **keys)
names = [each.object_name for each in client.list_objects(settings["cos_bucket"], prefix=sys.argv[1], recursive=True)]
text = {name: client.get_object(settings["cos_bucket"], name).read().decode(errors="replace") for name in names}
print(json.dumps(text))
"""


def bucket(instance: Instance, prefix: str) -> dict[str, str]:
    """Return the objects below a prefix, by name, as JupyterLab reaches the object store."""
    program = f"python3 -c {shlex.quote(BUCKET)} {shlex.quote(prefix)}"
    found: dict[str, str] = json.loads(inside(instance, program))
    return found


def secrets(instance: Instance) -> dict[str, str]:
    """Return every secret that was made for this server, by file."""
    names = remote.root(instance, "find /etc/neurobatch/secrets -type f").split()
    return {name: remote.root(instance, f"cat {name}") for name in names}
