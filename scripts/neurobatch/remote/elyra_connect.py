"""Runs inside the container as the notebook user: use the runtime as Elyra will, and name the first broken thing.

Asks the pipeline API how it is, and the object store for the bucket with the keys of the runtime, through the client
library that Elyra itself uses.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def main(params: dict[str, Any]) -> None:
    """Print "ok", or end with what is broken. Parameters: runtime, a path."""
    settings = json.loads(Path(params["runtime"]).read_text(encoding="utf-8"))["metadata"]
    health = f"{settings['api_endpoint']}/apis/v2beta1/healthz"
    try:
        with urllib.request.urlopen(health, timeout=10) as response:
            answer = json.loads(response.read())
    except (OSError, ValueError) as error:
        sys.exit(
            f"The pipeline API does not answer inside JupyterLab ({health}: {error}). "
            "Likely cause: the forward is down or does not listen on the container's network. "
            "Run site.yml --tags port_forward."
        )
    if not answer.get("apiServerReady", True):
        sys.exit("The pipeline UI answers, but the API behind it does not. Look at `kubectl -n kubeflow get pods`.")

    from minio import Minio  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - the image's own

    store = urlsplit(settings["cos_endpoint"])
    client = Minio(
        store.netloc,
        access_key=settings["cos_username"],
        secret_key=settings["cos_password"],
        secure=store.scheme == "https",
    )
    try:
        found = client.bucket_exists(settings["cos_bucket"])
    except Exception as error:  # whatever the library raises ends in one sentence
        code = getattr(error, "code", "") or type(error).__name__
        sys.exit(
            f"The object store refuses Elyra's key or does not answer ({settings['cos_endpoint']}: {code}). "
            "Likely cause: its keys changed, or the forward is down. "
            "Run site.yml, which brings both together."
        )
    if not found:
        sys.exit(
            f"The object store has no bucket {settings['cos_bucket']}. Likely cause: the pipeline API, which makes it, "
            "never became ready. Run site.yml, which waits for it."
        )
    print("ok")
