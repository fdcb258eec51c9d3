"""The cluster as seen from outside of the node: its API asked with the profile's certificate."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import home

WAITS = ("apiserver", "system_pods", "default_sa", "apps_running", "node_ready", "kubelet", "extra")
DEFAULT_WAITS = ("apiserver", "system_pods")


class Cluster:
    """A profile's API."""

    def __init__(self, profile: str, ip: str) -> None:
        """Read the certificates that `start` put beside the profile."""
        folder = home.profile_folder(profile)
        self.profile, self.url = profile, f"https://{ip}:8443"
        context = ssl.create_default_context(cafile=str(home.folder() / "ca.crt"))
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
        # A proxy for the outside has no business between the server and its own node.
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str) -> Any:
        """Return an answer of the API, text or decoded JSON, or None when it does not give one."""
        try:
            with self.opener.open(self.url + path, timeout=5) as response:
                text = response.read().decode()
        except (urllib.error.URLError, OSError):
            return None
        return json.loads(text) if text.startswith("{") else text

    def ready(self) -> bool:
        """Tell whether the API server says that it is ready."""
        return bool(self.get("/readyz") == "ok")

    def wait(self, parts: tuple[str, ...], seconds: float) -> str:
        """Wait for parts of the cluster; return the first that did not come in time, or ''."""
        probes: dict[str, Callable[[], bool]] = {
            "apiserver": self.ready,
            "default_sa": lambda: self.get("/api/v1/namespaces/default/serviceaccounts/default") is not None,
            "system_pods": self._addons,
            "apps_running": self._addons,
            "kubelet": lambda: self.get(f"/api/v1/nodes/{self.profile}") is not None,
            "node_ready": self._node_ready,
            "extra": self._addons,
        }
        end = time.monotonic() + seconds
        for part in parts:
            while not probes[part]():
                if time.monotonic() > end:
                    return part
                time.sleep(0.2)
        return ""

    def _addons(self) -> bool:
        """Tell whether the cluster has its DNS and its StorageClass."""
        return (
            self.get("/api/v1/namespaces/kube-system/endpoints/kube-dns") is not None
            and self.get("/apis/storage.k8s.io/v1/storageclasses/standard") is not None
        )

    def _node_ready(self) -> bool:
        node = self.get(f"/api/v1/nodes/{self.profile}") or {}
        conditions = (node.get("status") or {}).get("conditions") or []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def certificates(name: str) -> tuple[Path, Path, Path]:
    """Return where a profile's authority, certificate and key are."""
    folder = home.profile_folder(name)
    return home.folder() / "ca.crt", folder / "client.crt", folder / "client.key"
