"""Where downloads come from: upstream, or a site's mirror of it."""

from __future__ import annotations


def through(url: str, artifact_mirror: str) -> str:
    """Return the address to download ``url`` from.

    A mirror keeps upstream's host as its top folder, so that nothing of two hosts can collide:
    https://dl.k8s.io/a/b becomes <artifact_mirror>/dl.k8s.io/a/b.
    """
    if not artifact_mirror or not url:
        return url
    return f"{artifact_mirror.rstrip('/')}/{url.split('://', 1)[-1]}"
