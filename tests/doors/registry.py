"""The real container registry, open, with a password, or with tokens; and images to put into it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.doors import programs
from tests.doors.certificates import Pair
from tests.doors.processes import free_port, running
from tests.doors.tokens import SERVICE

USER, PASSWORD = "lab", "a password"
#: bcrypt (2^5 rounds) of that password; the registry takes no other kind.
_HTPASSWD = "lab:$2b$05$abcdefghijklmnopqrstuu2sM.EEHj4jPcCa5rwqJGg1PNBllkZXy\n"
_KIND = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Registry:
    """A running registry: its URL and the folder of its images."""

    url: str
    store: Path


@contextmanager
def registry(
    folder: Path, store: Path, *, password: bool = False, realm: str = "", signer: Pair | None = None,
    tls: Pair | None = None,
) -> Iterator[Registry]:  # fmt: skip
    """Serve ``store``: open to all, with a password (USER, PASSWORD), or with tokens of ``realm``; TLS if wanted."""
    program, environment = programs.find("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings: dict[str, object] = {
        "version": "0.1",
        "log": {"accesslog": {"disabled": True}, "level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(store)}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            **({"tls": {"certificate": str(tls.certificate), "key": str(tls.key)}} if tls else {}),
        },
    }
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD, encoding="ascii")
        settings["auth"] = {"htpasswd": {"realm": "the lab's, mirror", "path": str(folder / "htpasswd")}}
    elif signer:
        settings["auth"] = {
            "token": {
                "realm": realm, "service": SERVICE, "issuer": "the lab", "rootcertbundle": str(signer.certificate)
            }
        }  # fmt: skip
    path = folder / f"registry-{port}.yml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    with running([program, "serve", path], port, folder / "registry.log", environment):
        yield Registry(f"{'https' if tls else 'http'}://127.0.0.1:{port}", store)


def push(to: Registry, repository: str, tag: str, ca: Path | None = None) -> str:
    """Put a small image into an open registry and return its digest."""
    parts = urllib.parse.urlsplit(to.url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=20, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    blob = config.encode()
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    connection.request("POST", f"/v2/{repository}/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    where = urllib.parse.urlsplit(answer.headers["Location"])
    connection.request("PUT", f"{where.path}?{where.query}&digest={urllib.parse.quote(digest)}", blob)
    connection.getresponse().read()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _KIND,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(blob), "digest": digest},
        "layers": [],
    }
    connection.request("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest), {"Content-Type": _KIND})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"the registry did not take {repository}:{tag}: HTTP {answer.status}")
    return str(answer.headers["Docker-Content-Digest"])


def basic() -> str:
    """Return the header of the right login."""
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
