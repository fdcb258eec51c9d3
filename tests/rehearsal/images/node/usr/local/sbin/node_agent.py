#!/usr/bin/python3
"""What Minikube's addons do in a real node: the cluster's DNS names, and volumes of the StorageClass `standard`.

Runs in the node with an administrator's certificate, watches the API and brings two things up to date:

- ``/run/node/services.hosts``, from which dnsmasq answers: a Service's name with its cluster address, a headless
  Service's with those of its ready pods, and ``HOSTNAME.SERVICE`` for pods that have a host name there.
- a PersistentVolume for every claim of a class whose provisioner is ``k8s.io/minikube-hostpath``, and its end.

It also makes once what a new cluster has from the start: the class, the Service kube-dns, the node's role.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

CERTS = Path("/var/lib/minikube/certs")
HOSTS = Path("/run/node/services.hosts")
DNSMASQ_PID = Path("/run/node/dnsmasq.pid")
VOLUMES = Path("/tmp/hostpath-provisioner")  # noqa: S108  # Minikube's own path; a mount of /var/hostpath-provisioner
PROVISIONER = "k8s.io/minikube-hostpath"
DOMAIN = "svc.cluster.local"
DNS_ADDRESS = "10.96.0.10"
POD_NETWORK = "10.244.0.0/24"

Object = dict[str, Any]


class Gone(Exception):  # noqa: N818  # the API's own word
    """The API answered with an error status, given as ``args[0]``."""


class Api:
    """The API server, spoken to over one short connection for each call."""

    def __init__(self) -> None:
        """Read the certificates."""
        self.context = ssl.create_default_context(cafile=str(CERTS / "ca.crt"))
        self.context.load_cert_chain(CERTS / "node-agent.crt", CERTS / "node-agent.key")

    def _send(self, method: str, path: str, body: Object | None, timeout: float) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", 8443, context=self.context, timeout=timeout)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind})
        response = connection.getresponse()
        if response.status >= 300:
            raise Gone(response.status, response.read().decode(errors="replace"))
        return response

    def call(self, method: str, path: str, body: Object | None = None) -> Object:
        """Return the answer to one request.

        Raises:
            Gone: the API refused.
            OSError: it does not answer.
        """
        answer: Object = json.loads(self._send(method, path, body, 30).read())
        return answer

    def ensure(self, collection: str, wanted: Object) -> None:
        """Create an object, or lay the wanted fields over the existing one."""
        try:
            self.call("POST", collection, wanted)
        except Gone as gone:
            if gone.args[0] != 409:
                raise
            self.call("PATCH", f"{collection}/{wanted['metadata']['name']}", wanted)

    def ready(self) -> bool:
        """Tell whether the API says that it is ready."""
        try:
            return self._send("GET", "/readyz", None, 5).status == 200
        except (OSError, Gone, http.client.HTTPException):
            return False

    def watch(self, path: str, version: str) -> Any:
        """Yield (type, object) of changes since a resource version, until the server ends the stream."""
        query = f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=240&allowWatchBookmarks=true"
        response = self._send("GET", query, None, 300)
        while line := response.readline():
            event = json.loads(line)
            yield event["type"], event["object"]


class Cache(threading.Thread):
    """All objects of a kind, kept up to date by a watch; sets an event at each change."""

    def __init__(self, api: Api, path: str, changed: threading.Event) -> None:
        """Begin to watch."""
        super().__init__(daemon=True)
        self.api, self.path, self.changed = api, path, changed
        self.objects: dict[str, Object] = {}
        self.filled = threading.Event()
        self.start()

    def run(self) -> None:
        """List, watch, and begin again whenever the stream ends."""
        while True:
            try:
                listed = self.api.call("GET", self.path)
                self.objects = {item["metadata"]["uid"]: item for item in listed["items"]}
                self.filled.set()
                self.changed.set()
                self._follow(listed["metadata"]["resourceVersion"])
            except (OSError, ValueError, Gone, http.client.HTTPException) as error:
                print(f"watching {self.path}: {error!r}", file=sys.stderr, flush=True)
                time.sleep(1)

    def _follow(self, version: str) -> None:
        for kind, item in self.api.watch(self.path, version):
            if kind == "ERROR":
                raise Gone(item.get("code"), item.get("message"))
            if kind == "BOOKMARK":
                continue
            objects = dict(self.objects)
            objects.pop(item["metadata"]["uid"], None)
            if kind != "DELETED":
                objects[item["metadata"]["uid"]] = item
            self.objects = objects
            self.changed.set()


def host_lines(services: list[Object], endpoints: list[Object], gateway: str) -> list[str]:
    """Return the lines of the hosts file, sorted, one address and one name each."""
    lines = {f"{gateway} host.minikube.internal"}
    headless = set()
    for service in services:
        name = f"{service['metadata']['name']}.{service['metadata']['namespace']}.{DOMAIN}"
        address = service["spec"].get("clusterIP", "")
        if re.fullmatch(r"[0-9.]+", address):
            lines.add(f"{address} {name}")
        elif address == "None":
            headless.add(name)
    for endpoint in endpoints:
        name = f"{endpoint['metadata']['name']}.{endpoint['metadata']['namespace']}.{DOMAIN}"
        for subset in endpoint.get("subsets") or []:
            for address in subset.get("addresses") or []:
                if name in headless:
                    lines.add(f"{address['ip']} {name}")
                if address.get("hostname"):
                    lines.add(f"{address['ip']} {address['hostname']}.{name}")
    return sorted(lines)


def write_hosts(lines: list[str]) -> None:
    """Put the hosts file in place and have dnsmasq read it, if anything changed."""
    text = "".join(f"{line}\n" for line in lines)
    if HOSTS.exists() and HOSTS.read_text() == text:
        return
    # In place, since dnsmasq holds no handle on it and a rename could race with its start.
    HOSTS.write_text(text)
    with contextlib.suppress(OSError, ValueError):  # not started yet: then it reads the file when it starts
        os.kill(int(DNSMASQ_PID.read_text()), signal.SIGHUP)


def volume_for(claim: Object, storage_class: Object) -> Object:
    """Return the PersistentVolume for a claim, as Minikube's provisioner makes it."""
    meta, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"pvc-{meta['uid']}",
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"],
                "namespace": meta["namespace"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
            },
            "hostPath": {"path": str(VOLUMES / meta["namespace"] / meta["name"]), "type": ""},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": "Filesystem",
        },
    }  # fmt: skip


def provision(api: Api, claims: list[Object], classes: list[Object], volumes: list[Object]) -> None:
    """Make a volume for each claim that waits for one of ours, and remove released ones."""
    ours = {item["metadata"]["name"]: item for item in classes if item["provisioner"] == PROVISIONER}
    known = {item["metadata"]["name"] for item in volumes}
    for claim in claims:
        chosen = claim["spec"].get("storageClassName")
        if (
            chosen not in ours
            or claim["spec"].get("volumeName")
            or claim["spec"].get("selector")
            or claim["metadata"].get("deletionTimestamp")
            or f"pvc-{claim['metadata']['uid']}" in known
        ):
            continue
        volume = volume_for(claim, ours[chosen])
        folder = Path(volume["spec"]["hostPath"]["path"])
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        api.ensure("/api/v1/persistentvolumes", volume)
        print(f"made {folder}", flush=True)
    for volume in volumes:
        meta, spec = volume["metadata"], volume["spec"]
        if (
            (meta.get("annotations") or {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
            and volume.get("status", {}).get("phase") == "Released"
            and spec.get("persistentVolumeReclaimPolicy") == "Delete"
            and not meta.get("deletionTimestamp")
        ):
            folder = Path(spec["hostPath"]["path"])
            shutil.rmtree(folder, ignore_errors=True)
            api.call("DELETE", f"/api/v1/persistentvolumes/{meta['name']}")
            print(f"removed {folder}", flush=True)


def prepare(api: Api, node_ip: str, name: str) -> None:
    """Make what a new cluster of Minikube has from the start."""
    api.ensure(
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER, "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
        },
    )  # fmt: skip
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    meta = {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    api.ensure(
        "/api/v1/namespaces/kube-system/services",
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"clusterIP": DNS_ADDRESS, "ports": ports}},
    )
    api.ensure(
        "/api/v1/namespaces/kube-system/endpoints",
        {
            "apiVersion": "v1", "kind": "Endpoints", "metadata": meta,
            "subsets": [{"addresses": [{"ip": node_ip}], "ports": ports}],
        },
    )  # fmt: skip
    labels = {
        "minikube.k8s.io/name": name, "minikube.k8s.io/primary": "true", "node-role.kubernetes.io/control-plane": "",
        "node-role.kubernetes.io/master": "",
    }  # fmt: skip
    pods = {"podCIDR": POD_NETWORK, "podCIDRs": [POD_NETWORK]}
    while True:
        try:
            api.call("PATCH", f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}, "spec": pods})
            return
        except Gone as gone:
            if gone.args[0] != 404:
                raise
            time.sleep(0.3)  # The kubelet has not registered it yet.


def main() -> None:
    """Watch and reconcile for ever; systemd starts us again if the API goes away."""
    api = Api()
    if sys.argv[1:] == ["--wait-for-api"]:
        while not api.ready():
            time.sleep(0.2)
        return
    changed = threading.Event()
    services, endpoints, claims, volumes, classes = (
        Cache(api, path, changed)
        for path in (
            "/api/v1/services",
            "/api/v1/endpoints",
            "/api/v1/persistentvolumeclaims",
            "/api/v1/persistentvolumes",
            "/apis/storage.k8s.io/v1/storageclasses",
        )
    )
    threading.Thread(target=_prepare_for_good, args=(api,), daemon=True).start()
    for cache in (services, endpoints, claims, volumes, classes):
        cache.filled.wait()
    while True:
        changed.wait(60)
        changed.clear()
        write_hosts(
            host_lines(list(services.objects.values()), list(endpoints.objects.values()), os.environ["GATEWAY"])
        )
        try:
            provision(
                api, list(claims.objects.values()), list(classes.objects.values()), list(volumes.objects.values())
            )
        except (OSError, ValueError, Gone, http.client.HTTPException) as error:
            print(f"provisioning: {error!r}", file=sys.stderr, flush=True)
            changed.set()
            time.sleep(1)


def _prepare_for_good(api: Api) -> None:
    """Call `prepare` until the API takes it."""
    while True:
        try:
            prepare(api, os.environ["NODE_IP"], os.environ["NODE_NAME"])
        except (OSError, Gone, http.client.HTTPException) as error:
            print(f"preparing the cluster: {error!r}", file=sys.stderr, flush=True)
            time.sleep(0.5)
        else:
            return


if __name__ == "__main__":
    main()
