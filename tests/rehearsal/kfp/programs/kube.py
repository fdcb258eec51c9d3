"""A minimal client of the Kubernetes API for a pod's own service account: JSON over HTTPS, nothing cached."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Json = dict[str, Any]


class KubeError(Exception):
    """The API server refused or does not answer.

    Attributes:
        status: HTTP status, 0 when there was no answer.
    """

    def __init__(self, status: int, text: str) -> None:
        """Keep the status beside the text."""
        super().__init__(text)
        self.status = status


class Kube:
    """One namespace of the cluster that this pod runs in."""

    def __init__(self, namespace: str | None = None) -> None:
        """Read the service account that Kubernetes mounts; the namespace is the pod's own unless given."""
        self.namespace = namespace or (ACCOUNT / "namespace").read_text().strip()
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        self._base = f"https://{host}:{port}"
        self._tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))

    def get(self, kind: str, name: str = "", **query: str) -> Json:
        """Return an object, or a list of a kind (``kind`` with its group, ``v1`` unless it has a slash)."""
        loaded: Json = json.loads(self.call("GET", kind, name, query=query))
        return loaded

    def create(self, kind: str, body: Json) -> Json:
        """Create an object and return it."""
        loaded: Json = json.loads(self.call("POST", kind, body=body))
        return loaded

    def patch(self, kind: str, name: str, body: Json) -> None:
        """Merge a patch into an object."""
        self.call("PATCH", kind, name, body=body, content="application/merge-patch+json")

    def delete(self, kind: str, name: str) -> None:
        """Delete an object; one that is gone already is fine."""
        try:
            self.call("DELETE", kind, name)
        except KubeError as error:
            if error.status != 404:
                raise

    def log(self, pod: str, container: str, lines: int) -> str:
        """Return the last lines of a container's log."""
        query = {"container": container, "tailLines": str(lines)}
        return self.call("GET", "pods", f"{pod}/log", query=query).decode(errors="replace")

    def call(
        self,
        method: str,
        kind: str,
        name: str = "",
        *,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        content: str = "application/json",
    ) -> bytes:
        """Send one request with the account's token, which Kubernetes may have renewed since the last.

        Raises:
            KubeError: refused, or no answer.
        """
        group, _, plural = kind.rpartition("/")
        root = f"apis/{group}" if group else "api/v1"
        url = f"{self._base}/{root}/namespaces/{self.namespace}/{plural}"
        if name:
            url += f"/{name}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
        request.add_header("Authorization", "Bearer " + (ACCOUNT / "token").read_text())
        request.add_header("Content-Type", content)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                text = json.loads(text)["message"]
            except (ValueError, KeyError):
                text = text.strip()
            raise KubeError(error.code, text) from error
        except OSError as error:
            raise KubeError(0, f"the Kubernetes API does not answer: {error}") from error
