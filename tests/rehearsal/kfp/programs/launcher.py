"""Both ends of a step: fetch what it reads before it starts, store what it wrote after it ended.

Stands for KFP's launcher and Argo's executor. The real launcher is a static program that an init container
puts into the step's container, where it runs the step's command. Here the step's command runs as it was
written, and two containers of this image stand around it: ``fetch`` (init) and ``store`` (beside it, until it
ended). Steps therefore need neither Python nor a shell for our sake; paths, URIs, the Secret that the key is
read from (over the Kubernetes API, as the pod's service account) and the order of things are KFP 2.0.0's.

The plan of a step is in the environment variable STEP: ``{bucket keys and local paths, see pods.py}``.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.rehearsal.kfp.programs.kube import Kube, KubeError
from tests.rehearsal.kfp.programs.log import log
from tests.rehearsal.kfp.programs.s3 import S3, S3Error

SECRET = "mlpipeline-minio-artifact"  # noqa: S105  # the Secret's name, hard-wired in KFP (objectstore.go)
MESSAGE = Path("/dev/termination-log")
MESSAGE_LIMIT = 4096
"""Bytes that Kubernetes keeps of a container's last words."""

WORKSPACE = ("/minio", "/tmp/kfp", "/tmp/kfp_outputs")  # noqa: S108  # where KFP puts them


def store_of(kube: Kube) -> S3:
    """Return the object store with the key that the namespace's Secret has now."""
    data = kube.get("secrets", SECRET)["data"]
    key, secret = (base64.b64decode(data[name]).decode() for name in ("accesskey", "secretkey"))
    host = os.environ.get("MINIO_SERVICE_SERVICE_HOST", f"minio-service.{kube.namespace}")
    return S3(f"{host}:{os.environ.get('MINIO_SERVICE_SERVICE_PORT', '9000')}", key, secret)


def fetch(step: dict[str, Any], s3: S3) -> None:
    """Download the input artifacts (files, or folders of files) and make the folders of the outputs."""
    for item in step["inputs"]:
        _download(s3, item["bucket"], item["key"], Path(item["path"]))
    for each in [*step["outputs"], *step["parameters"].values()]:
        Path(each["path"]).parent.mkdir(parents=True, exist_ok=True)
    for root in WORKSPACE:
        for folder, _, files in os.walk(root):
            # A step may run as any user; the real launcher runs as the step's own.
            os.chmod(folder, 0o777)  # noqa: S103
            for name in files:
                os.chmod(os.path.join(folder, name), 0o666)  # noqa: S103


def _download(s3: S3, bucket: str, key: str, path: Path) -> None:
    """Download one artifact, which is an object or everything below it."""
    keys = [found for found in s3.list(bucket, key) if found == key or found.startswith(f"{key}/")]
    if not keys:
        raise S3Error(404, f"there is no artifact minio://{bucket}/{key}")
    for found in keys:
        target = path if found == key else path / found[len(key) + 1 :]
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            s3.get(bucket, found, out)


def main_exit_code(kube: Kube, pod: str) -> int:
    """Wait until the pod's container ``main`` has ended and return its exit code."""
    while True:
        try:
            statuses = kube.get("pods", pod)["status"].get("containerStatuses", [])
            for status in statuses:
                ended = status["state"].get("terminated")
                if status["name"] == "main" and ended:
                    return int(ended["exitCode"])
        except KubeError as error:
            if error.status not in (0, 429, 500, 503):
                raise
            log(str(error))
        time.sleep(1)


def typed(text: str, kind: str) -> Any:
    """Return an output parameter's file content as a value of its declared type.

    Raises:
        ValueError: it is not of that type.
    """
    try:
        if kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
            number = float(text)
            return int(number) if number.is_integer() else number
        if kind in ("BOOLEAN", "LIST", "STRUCT"):
            return json.loads(text.strip().lower() if kind == "BOOLEAN" else text)
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is not of type {kind}") from error
    return text


def store(step: dict[str, Any], s3: S3) -> str:
    """Upload the output artifacts and return the output parameters as JSON."""
    for item in step["outputs"]:
        path = Path(item["path"])
        if path.is_dir():
            for file in sorted(each for each in path.rglob("*") if each.is_file()):
                s3.put(item["bucket"], f"{item['key']}/{file.relative_to(path).as_posix()}", file)
        elif path.exists():
            s3.put(item["bucket"], item["key"], path)
        else:
            log(f"the step wrote no {path}; as in KFP 2.0.0, nothing is stored for it")
    said_path = Path(step["metadata"])
    # The SDK's executor_main puts return values here instead of into files.
    values = json.loads(said_path.read_text()).get("parameterValues", {}) if said_path.exists() else {}
    for name, parameter in step["parameters"].items():
        if name not in values:
            try:
                values[name] = typed(Path(parameter["path"]).read_text(), parameter["type"])
            except (OSError, ValueError) as error:
                raise S3Error(0, f"failed to read output parameter {name}: {error}") from None
    said = json.dumps(values)
    if len(said.encode()) > MESSAGE_LIMIT:
        raise S3Error(0, f"the output parameters are over {MESSAGE_LIMIT} bytes, which this rehearsal cannot carry")
    return said


def main() -> int:
    """Run ``fetch`` or ``store`` and say how it went in the container's termination message."""
    verb = sys.argv[1]
    step = json.loads(os.environ["STEP"])
    try:
        kube = Kube()
        if verb == "fetch":
            fetch(step, store_of(kube) if step["inputs"] else S3("", "", ""))
        else:
            code = main_exit_code(kube, os.environ["POD_NAME"])
            if code == 0:
                MESSAGE.write_text(store(step, store_of(kube)))
    except (S3Error, KubeError, OSError) as error:
        log(str(error))
        MESSAGE.write_text(str(error)[:MESSAGE_LIMIT])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
