"""Values that are well-formed, each for itself, and cannot be true together, or on no server."""

from __future__ import annotations

from typing import Any

import pytest
from neurobatch import inventory
from neurobatch.contradictions import contradictions
from neurobatch.pages.preflight import every_default

DEFAULTS = every_default()
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "one port twice": (
        {"port_forward_ui_port": 8888},
        "port 8888 is asked for by neurodesktop_port and port_forward_ui_port; give neurodesktop_port another port",
    ),
    "the object store's port": (
        {"neurodesktop_port": "9000"},
        "port 9000 is asked for by the object store (always) and neurodesktop_port; give neurodesktop_port",
    ),
    "a further forward": (
        {"port_forward_forwards": [{"name": "metrics", "port": 31380}]},
        "port 31380 is asked for by port_forward_ui_port and the forward metrics; give port_forward_ui_port another",
    ),
    "a bridge on the cluster's pods": (
        {"neurodesktop_subnet": "10.244.7.0/24"},
        "neurodesktop_subnet is 10.244.7.0/24, which overlaps the cluster's pods (10.244.0.0/16); take",
    ),
    "a bridge that is no network": (
        {"neurodesktop_subnet": "172.29.88.1/24"},
        "neurodesktop_subnet is '172.29.88.1/24', but must be a network, e.g. 172.29.88.0/24",
    ),
    "one CPU": ({"minikube_cpus": 1}, "minikube_cpus is 1, but must be 0 (automatic) or at least 2"),
    "little memory": (
        {"minikube_memory_mb": 4096},
        "minikube_memory_mb is 4096, but must be 0 (automatic) or at least 4506, which Kubernetes with Kubeflow",
    ),
    "no servers": ({"cvmfs_servers": []}, "cvmfs_servers is empty, but the tools come from there; leave it out"),
    "a server without a scheme": (
        {"cvmfs_servers": ["stratum.lab"]},
        "cvmfs_servers names 'stratum.lab', but must name base URLs, e.g. http://cvmfs.neurodesk.org",
    ),
    "a server with the repository": (
        {"cvmfs_servers": ["http://stratum.lab/cvmfs/neurodesk.ardc.edu.au"]},
        "cvmfs_servers names 'http://stratum.lab/cvmfs/neurodesk.ardc.edu.au', but must name base URLs",
    ),
    "a server twice": (
        {"cvmfs_servers": ["http://a.lab", "http://b.lab", "http://a.lab/"]},
        "cvmfs_servers names http://a.lab twice; remove one",
    ),
    "a path for a key": ({"cvmfs_public_key": "/etc/cvmfs/keys/lab.pub"}, "cvmfs_public_key is no RSA key in PEM;"),
    "room nowhere": ({"preflight_min_free_gb": {"docker": 60}}, "preflight_min_free_gb names 'docker', but must name"),
    "room in words": (
        {"preflight_min_free_gb": {"/": "60G"}},
        "preflight_min_free_gb asks for '60G' at /, but must ask",
    ),
}


@pytest.mark.parametrize(("values", "sentence"), CASES.values(), ids=CASES)
def test_a_contradiction_is_one_sentence_with_what_to_do(values: dict[str, Any], sentence: str) -> None:
    [problem] = contradictions({**DEFAULTS, **values})
    assert problem.message.startswith(sentence)


def test_the_defaults_contradict_nothing() -> None:
    assert contradictions(DEFAULTS) == []


@pytest.mark.parametrize(("old", "new"), inventory.REMOVED.items())
def test_a_variable_of_an_earlier_version_is_named_with_the_new_one(old: str, new: str) -> None:
    [problem] = inventory.unknown([old], DEFAULTS, ["cvmfs_csi"])
    assert problem.message == f"{old} has another name now; write {new} instead"
    assert new in DEFAULTS
