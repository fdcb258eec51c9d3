"""The releases' own manifests, kept in the cache: ``python -m tests.rehearsal.kfp.download``."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

from neurobatch import stacks
from neurobatch.remote import fetch

from tests.rehearsal.common import Refusal, say
from tests.rehearsal.kfp import archive
from tests.rehearsal.names import cache_root


def pipelines(version: str) -> dict[str, Any]:
    """Return the part of the shipped stack of a release that tells where its source is and what it is pinned to."""
    return dict(stacks.resolve(f"kfp-{version}")["kubeflow_pipelines"])


def ensure() -> None:
    """Download what is neither here nor kept, as the role does.

    Raises:
        Refusal: a release's source cannot be had from here; says why, and what to do.
    """
    kept = cache_root() / "upstream"
    for version in archive.VERSIONS:
        if archive.upstream(version):
            continue
        stack = pipelines(version)
        say(f"downloading the manifests of {stack['url']}")
        dest = kept / f"kfp-{version}" / "manifests" / "kustomize"
        item = {"name": f"kfp-{version}", "url": stack["url"], "sum_url": None, "sha256": stack["tree_sha256"],
                "tree": "manifests/kustomize", "dest": str(dest)}  # fmt: skip
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                fetch.main({"directory": str(kept), "downloads": [item]})
        except SystemExit as end:
            reason = str(end).rstrip(".")
            raise Refusal(
                f"The manifests of Kubeflow Pipelines {version} are not here: {reason}; put them into "
                f"{kept}/kfp-{version}/manifests/kustomize, or have NEUROBATCH_KFP_UPSTREAM name a folder like {kept}."
            ) from None


if __name__ == "__main__":
    try:
        ensure()
    except Refusal as refusal:
        sys.exit(str(refusal))
