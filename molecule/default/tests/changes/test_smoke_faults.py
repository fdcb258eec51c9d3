"""What the smoke pipeline needs is broken on purpose: it fails within its deadline, and names what is broken."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.rehearsal.instance import Instance
from tests.server import remote

Root = Callable[..., str]
KUBECTL = "kubectl --kubeconfig=/etc/neurobatch/kubeconfig -n kubeflow"
DEADLINE = 150

pytestmark = pytest.mark.unit("minikube.service", "neurobatch-forward@ui.service")


@pytest.fixture(scope="module", autouse=True)
def api(instance: Instance) -> None:
    """Wait for the pipeline API: an earlier test restarted Docker, and the cluster with it."""
    remote.await_pipelines(instance, 300)


def smoke(root: Root, *options: str) -> dict[str, Any]:
    """Run the smoke pipeline on the server and return its outcome."""
    argv = " ".join([f"neurobatch-smoke --json --grace=15 --deadline={DEADLINE}", *options])
    found: dict[str, Any] = json.loads(root(f"{argv} 2>/dev/null || true", timeout=DEADLINE + 60))
    return found


@contextlib.contextmanager
def wrong_key(root: Root) -> Iterator[None]:
    """Let the steps find another key of the object store than the one it takes."""
    name = "secret mlpipeline-minio-artifact"
    kept = json.loads(root(f"{KUBECTL} get {name} -o json"))["data"]["secretkey"]
    wrong = base64.b64encode(b"not-the-key-of-this-store").decode()

    def put(value: str) -> None:
        root(
            f"{KUBECTL} patch {name} --type=merge --patch-file=/dev/stdin <<'END'\n"
            + json.dumps({"data": {"secretkey": value}})
            + "\nEND"
        )

    put(wrong)
    try:
        yield
    finally:
        put(kept)


CASES = {
    "a claim that is not there": ("--claim cvmfs-neurodesk=nowhere", ("step tools", "nowhere")),
    "an image that does not exist": ("--image python:nowhere", ("python:nowhere",)),
    # The lab's data in the place of the tools: the step itself finds out and fails.
    "a failing step": ("--claim cvmfs-neurodesk=neurodesktop-storage", ("step tools", "lists nothing")),
}


@pytest.mark.parametrize(("option", "words"), CASES.values(), ids=CASES)
def test_the_smoke_pipeline_names_what_is_broken(
    root: Root, measured: Callable[[str], None], option: str, words: tuple[str, ...]
) -> None:
    found = smoke(root, option)
    measured(f"{found.get('seconds', 0):.0f} s: {found['verdict']}")
    assert found["succeeded"] is False
    assert [word for word in words if word not in found["verdict"]] == [], found["verdict"]
    assert found["seconds"] < DEADLINE


def test_a_wrong_key_of_the_object_store_is_named(root: Root, measured: Callable[[str], None]) -> None:
    with wrong_key(root):
        found = smoke(root)
    measured(f"{found.get('seconds', 0):.0f} s: {found['verdict']}")
    assert found["succeeded"] is False
    assert "object store" in found["verdict"].lower(), found["verdict"]
    assert found["seconds"] < DEADLINE


def test_it_succeeds_again(root: Root) -> None:
    assert smoke(root)["verdict"] == "smoke: SUCCEEDED (3 of 3 steps)"
