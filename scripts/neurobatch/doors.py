"""Where downloads come from: upstream, or a site's mirror of it; and which of them go past a proxy."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

#: What never goes through a proxy: this server, Docker's bridges, the cluster's node, services and pods.
#: The networks are Kubernetes' and Minikube's defaults: https://minikube.sigs.k8s.io/docs/handbook/vpn_and_proxy/
INSIDE = (
    "localhost", "127.0.0.1", "127.0.0.0/8", "::1", "172.16.0.0/12", "192.168.49.0/24", "10.96.0.0/12", "10.244.0.0/16",
    ".svc", ".cluster.local",
)  # fmt: skip


def through(url: str, artifact_mirror: str) -> str:
    """Return the address to download ``url`` from.

    A mirror keeps upstream's host as its top folder, so that nothing of two hosts can collide:
    https://dl.k8s.io/a/b becomes <artifact_mirror>/dl.k8s.io/a/b, or a file of the server where that is a directory.
    """
    if not artifact_mirror or not url:
        return url
    base = artifact_mirror.rstrip("/")
    rest = url.split("://", 1)[-1]
    return f"file://{quote(f'{base}/{rest}')}" if base.startswith("/") else f"{base}/{rest}"


def past_proxy(proxy_exceptions: Iterable[str]) -> list[str]:
    """Return every host, domain and network that is asked directly where there is a proxy, each once."""
    return list(dict.fromkeys([*INSIDE, *proxy_exceptions]))


def proxy_environment(proxy_url: str, exceptions: Iterable[str]) -> dict[str, str]:
    """Return what makes programs use a proxy, in both spellings that they read; empty without one."""
    if not proxy_url:
        return {}
    values = {"HTTP_PROXY": proxy_url, "HTTPS_PROXY": proxy_url, "NO_PROXY": ",".join(exceptions)}
    return {**values, **{name.lower(): value for name, value in values.items()}}


def wrong(artifact_mirror: str, proxy_url: str) -> list[tuple[str, str]]:
    """Return what is wrong with the two, as (variable, sentence)."""
    found = []
    if artifact_mirror and not artifact_mirror.startswith(("http://", "https://", "/")):
        found.append(
            (
                "artifact_mirror",
                f"artifact_mirror is {artifact_mirror!r}, but must be a URL (http:// or https://) or a directory of "
                "the server, from / on",
            )
        )
    if proxy_url and not proxy_url.startswith("http://"):
        found.append(("proxy_url", "proxy_url must begin with http://: that is how a proxy is spoken to, HTTPS inside"))
    return found
