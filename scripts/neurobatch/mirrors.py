"""Mirrors of registries as `registry_mirrors` names them, and the files by which Docker and containerd use them.

An entry is the mirror's URL, or a map: url, username, password, ca (an authority's certificate as PEM text).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from neurobatch.doors import past_proxy, proxy_environment
from neurobatch.remote.docker_probe import AUTHORITY_MARK
from neurobatch.wording import kind, listed, nearest

#: Docker Hub's registry has another name than its images.
UPSTREAM = {"docker.io": "https://registry-1.docker.io"}
#: What Docker's clients on the server are configured by (root's DOCKER_CONFIG), and the environment of services.
CLIENT = "/etc/neurobatch/docker/config.json"
ENVIRONMENT = "/etc/neurobatch/proxy.env"
DROP_IN = "/etc/systemd/system/docker.service.d/neurobatch-proxy.conf"
_KEYS = ("url", "username", "password", "ca")


class MirrorError(ValueError):
    """An entry of `registry_mirrors` is not as documented; the text is one sentence with the remedy."""


@dataclass(frozen=True)
class Mirror:
    """What stands in for a registry.

    Attributes:
        url: its base URL without a slash at the end; a path in it comes before every image's name.
        username: for its login, empty for none.
        password: for its login.
        ca: PEM text of the authority that signed its certificate, empty for those that the system trusts.
    """

    url: str
    username: str = ""
    password: str = ""
    ca: str = ""

    def __repr__(self) -> str:
        """Show the address alone."""
        return f"Mirror({self.url!r})"

    @classmethod
    def of(cls, entry: str | Mapping[str, Any], registry: str = "a registry") -> Mirror:
        """Return the mirror that an entry of `registry_mirrors` describes.

        Raises:
            MirrorError: the entry cannot be used.
        """
        name = f"registry_mirrors[{registry!r}]"
        if isinstance(entry, str):
            entry = {"url": entry}
        if not isinstance(entry, Mapping):
            raise MirrorError(f"{name} is {kind(entry)}, but must be the mirror's URL, or a map with {listed(_KEYS)}")
        for key, value in entry.items():
            if key not in _KEYS:
                guess = nearest(str(key), _KEYS)
                hint = f"did you mean {guess}?" if guess else f"it may have {listed(_KEYS)}"
                raise MirrorError(f"{name} has the unknown key {key}; {hint}")
            if not isinstance(value, str):
                raise MirrorError(f"{name}.{key} is {kind(value)}, but must be text (put it in quotes)")
        url = entry.get("url", "").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise MirrorError(f"{name} does not give the mirror's URL: write http:// or https:// and its host")
        if parts.username is not None or parts.query or parts.fragment:
            raise MirrorError(
                f"{name} has more than an address in its URL: give username and password as keys of a map"
            )
        if bool(entry.get("username")) != bool(entry.get("password")):
            raise MirrorError(f"{name} has only one of username and password: give both, or none")
        ca = entry.get("ca", "")
        if ca and "-----BEGIN CERTIFICATE-----" not in ca:
            raise MirrorError(f"{name}.ca holds no certificate: give its PEM text, e.g. by lookup('file', 'ca.pem')")
        return cls(url, entry.get("username", ""), entry.get("password", ""), ca)

    @property
    def plain(self) -> bool:
        """Whether it speaks HTTP without TLS."""
        return self.url.startswith("http://")

    @property
    def host(self) -> str:
        """Host and port, as Docker names a registry."""
        return urlsplit(self.url).netloc

    @property
    def name(self) -> str:
        """Host, port and path: what comes before an image's name where it is pulled by the mirror's name."""
        return self.url.split("://", 1)[1]

    @property
    def by_name(self) -> bool:
        """Whether even Docker Hub's images must be pulled by this mirror's name.

        dockerd takes no path in `registry-mirrors` and sends no login there.
        """
        return bool(urlsplit(self.url).path or self.username)

    @property
    def basic(self) -> str:
        """The login as HTTP wants it (RFC 7617), empty without one."""
        if not self.username:
            return ""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def read(registry_mirrors: Mapping[str, Any]) -> dict[str, Mirror]:
    """Return the mirrors by the registry that they stand for.

    Raises:
        MirrorError: an entry cannot be used.
    """
    return {registry: Mirror.of(entry, registry) for registry, entry in registry_mirrors.items()}


def docker_files(
    registry_mirrors: Mapping[str, Any], proxy_url: str = "", proxy_exceptions: Iterable[str] = ()
) -> list[dict[str, str]]:
    """Return the files (path, content, mode) that lead Docker to the mirrors and through the proxy.

    Authorities that it has to trust (https://docs.docker.com/engine/security/certificates/), what its clients need
    (logins, and the proxy for builds), and the engine's own environment.
    """
    files = {
        f"/etc/docker/certs.d/{mirror.host}/ca.crt": ("0644", AUTHORITY_MARK + mirror.ca)
        for mirror in read(registry_mirrors).values()
        if mirror.ca
    }
    environment = proxy_environment(proxy_url, past_proxy(proxy_exceptions))
    if client := docker_client(registry_mirrors, environment):
        files[CLIENT] = ("0600", json.dumps(client, indent=2, sort_keys=True) + "\n")
    if environment:
        lines = [f"{name}={json.dumps(value)}\n" for name, value in sorted(environment.items())]
        files[ENVIRONMENT] = ("0600", "".join(lines))
        files[DROP_IN] = ("0644", f"[Service]\nEnvironmentFile={ENVIRONMENT}\n")
    return [{"path": path, "mode": mode, "content": content} for path, (mode, content) in sorted(files.items())]


def docker_client(registry_mirrors: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the config.json of a Docker client: a secret; empty where it needs none.

    https://docs.docker.com/engine/cli/proxy/
    """
    logins = {mirror.host: {"auth": mirror.basic} for mirror in read(registry_mirrors).values() if mirror.basic}
    config: dict[str, Any] = {"auths": logins} if logins else {}
    if environment:
        names = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "noProxy": "NO_PROXY"}
        config["proxies"] = {"default": {key: environment[name] for key, name in names.items()}}
    return config


def containerd_files(registry_mirrors: Mapping[str, Any], folder: str) -> list[dict[str, str]]:
    """Return containerd's files (path, content, mode) that put the mirrors in front of their registries.

    Args:
        registry_mirrors: the variable.
        folder: what stands for / of the node, such as Minikube's folder of files to sync.

    Pulls by digest go to the mirror, too. Where a mirror has a login, its file holds it: ``folder`` must be closed to
    others than root and the one who syncs it. https://github.com/containerd/containerd/blob/main/docs/hosts.md
    """
    files = []
    for registry, mirror in sorted(read(registry_mirrors).items()):
        place = f"/etc/containerd/certs.d/{registry}"
        parts = urlsplit(mirror.url)
        # containerd puts /v2 behind a path; a registry below a path wants it in front.
        address = f"{parts.scheme}://{parts.netloc}/v2{parts.path}" if parts.path else mirror.url
        lines = [f'server = "{UPSTREAM.get(registry, "https://" + registry)}"', "", f'[host."{address}"]']
        lines += ['  capabilities = ["pull", "resolve"]']
        lines += ["  override_path = true"] if parts.path else []
        lines += [f'  ca = "{place}/ca.crt"'] if mirror.ca else []
        lines += [f'[host."{address}".header]', f'  authorization = "Basic {mirror.basic}"'] if mirror.basic else []
        files.append({"path": f"{folder}{place}/hosts.toml", "mode": "0644", "content": "\n".join(lines) + "\n"})
        if mirror.ca:
            files.append({"path": f"{folder}{place}/ca.crt", "mode": "0644", "content": mirror.ca})
    return files
