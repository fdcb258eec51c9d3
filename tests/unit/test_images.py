"""Names of images, and where they are pulled from."""

from __future__ import annotations

import pytest
from neurobatch.images import pull_reference, registry_of

DIGEST = "sha256:" + "0" * 64
MIRRORS = {"docker.io": "http://10.1.2.3:5000", "quay.io": "https://mirror.lab/quay/", "localhost:5000": "http://m:1"}


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("debian", "docker.io"),
        ("debian:12", "docker.io"),
        ("jupyter/base-notebook:2023-10-20", "docker.io"),
        ("docker.io/library/debian", "docker.io"),
        ("quay.io/jupyter/base-notebook", "quay.io"),
        ("localhost/x", "localhost"),
        ("registry:5000/x@" + DIGEST, "registry:5000"),
    ],
)
def test_registry(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


@pytest.mark.parametrize(
    ("reference", "pulled"),
    [
        # Docker asks its own mirror for these.
        ("jupyter/base-notebook:2023-10-20", "jupyter/base-notebook:2023-10-20"),
        (f"docker.io/vnmd/neurodesktop@{DIGEST}", f"docker.io/vnmd/neurodesktop@{DIGEST}"),
        # Nobody mirrors this one.
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        (f"quay.io/a/b@{DIGEST}", f"mirror.lab/quay/a/b@{DIGEST}"),
        ("localhost:5000/a:1", "m:1/a:1"),
    ],
)
def test_pull_reference(reference: str, pulled: str) -> None:
    assert pull_reference(reference, MIRRORS) == pulled
