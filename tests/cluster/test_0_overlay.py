"""What the overlay makes of each release: each object in and out by kind, name and hash, differences with their reason.

The tables in overlays/ hold no manifests, hashes alone. After a wanted change: python -m tests.cluster.test_0_overlay
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit import test_stack_images as tables

HERE = Path(__file__).parent / "overlays"
#: How many objects env/platform-agnostic of each release makes.
COUNT = {"kfp-2.0.0": 67, "kfp-2.5.0": 66}
#: Why an object is another one than the release's, or is none of its. Images: see the stack's table.
REASONS = {
    "- Deployment cache-deployer-deployment": "serves the cache of V1 pipelines alone",
    "- Deployment cache-server": "serves the cache of V1 pipelines alone",
    "- Deployment metadata-writer": "passes over the pods of V2 pipelines",
    "- Deployment ml-pipeline-viewer-crd": "serves TensorBoard viewers alone",
    "- Deployment ml-pipeline-visualizationserver": "serves V1 visualisations alone",
    "- Secret mlpipeline-minio-artifact": "made on the server, of generated keys instead of known ones",
    "- Secret mysql-secret": "made on the server, with a generated password instead of none",
    "+ PersistentVolume neurodesktop-storage": "the lab's storage folder, for steps",
    "+ PersistentVolumeClaim neurodesktop-storage": "the lab's storage folder, for steps",
    "~ Deployment mysql": "a password for root instead of an empty one; an image that can be had",
    "~ Deployment ml-pipeline-ui": "does not ask Google's metadata server",
    "~ Deployment minio": "an image that can be had",
    "~ Deployment metadata-grpc-deployment": "an image that can be had",
    "~ ConfigMap pipeline-install-config": "an image that can be had, which the cache of V1 pipelines names",
    "~ Deployment workflow-controller": "images that can be had, the executor's in an argument",
}


def digests(objects: list[dict[str, Any]]) -> dict[str, str]:
    """Return the beginning of each object's SHA-256, by kind and name."""
    found = {}
    for each in objects:
        content = json.dumps(each, sort_keys=True).encode()
        found[f"{each['kind']} {each['metadata']['name']}"] = hashlib.sha256(content).hexdigest()[:16]
    assert len(found) == len(objects), "kind and name tell objects apart"
    return dict(sorted(found.items()))


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what is gone (-), new (+) and changed (~)."""
    gone = [f"- {key}" for key in before if key not in after]
    new = [f"+ {key}" for key in after if key not in before]
    return sorted(gone + new + [f"~ {key}" for key in before if after.get(key, before[key]) != before[key]])


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Return the table of a stack, as it is now."""
    base = tables.upstream(name)
    before = digests(tables.rendered(base / "env" / "platform-agnostic"))
    after = digests(tables.overlay(tables.STACKS[name]["kubeflow_pipelines"], base, folder))
    reasons = {key: REASONS.get(key) for key in differences(before, after)}
    return {"release": before, "overlay": after, "differences": reasons}


@pytest.mark.usefixtures("kubectl")
@pytest.mark.parametrize("name", sorted(COUNT))
def test_every_object_is_the_one_that_is_expected(name: str, tmp_path: Path) -> None:
    found = measure(name, tmp_path)
    assert len(found["release"]) == COUNT[name]
    noted = json.loads((HERE / f"{name}.json").read_text())
    assert found["release"] == noted["release"], "the release's manifests are others than before"
    assert [key for key, reason in found["differences"].items() if not reason] == []
    assert found == noted


@pytest.mark.parametrize("name", sorted(COUNT))
def test_no_reason_is_given_for_what_is_no_difference(name: str) -> None:
    noted = json.loads((HERE / f"{name}.json").read_text())
    assert list(noted["differences"]) == differences(noted["release"], noted["overlay"])
    assert set(noted["differences"]) <= set(REASONS)


if __name__ == "__main__":
    for stack in COUNT:
        with tempfile.TemporaryDirectory() as scratch:
            (HERE / f"{stack}.json").write_text(json.dumps(measure(stack, Path(scratch)), indent=1) + "\n")
