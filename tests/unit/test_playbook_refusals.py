"""The inventory is judged by the playbook without a connection: the address below belongs to no machine (RFC 5737)."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CASES = {
    "unknown variable": (
        ["-e", "neurodesktop_prot=1"],
        "unknown variable neurodesktop_prot; did you mean neurodesktop_port?",
    ),
    "wrong type": (
        ["-e", "neurodesktop_port=abc"],
        "neurodesktop_port is 'abc' (text), but must be a whole number, e.g. 8888",
    ),
    "wrong type of preflight's own": (
        ["-e", "preflight_min_free_gb=60"],
        "preflight_min_free_gb is '60' (text), but must be a map;",
    ),
    "unknown stack, in check mode": (["-C", "-e", "stack=kfp-2.0"], "unknown stack 'kfp-2.0'; did you mean kfp-2.0.0?"),
    "undefined": (
        ["-e", '{"artifact_mirror": "{{ nope }}"}'],
        "artifact_mirror cannot be evaluated: 'nope' is undefined",
    ),
    "a contradiction": (["-e", "port_forward_ui_port=8888"], "port 8888 is asked for by neurodesktop_port and port_"),
    "a mirror without its scheme": (
        ["-e", '{"registry_mirrors": {"gcr.io": "mirror.lab:5000"}}'],
        "registry_mirrors['gcr.io'] does not give the mirror's URL: write http:// or https:// and its host",
    ),
    "a mirror's folder that is none": (
        ["-e", "artifact_mirror=~/files"],
        "artifact_mirror is '~/files', but must be a URL (http:// or https://) or a directory of the server, from / on",
    ),
    "a stack without pins": (
        ["-e", '{"require_pins": true, "stack_fallback": ""}'],
        "require_pins is true, but the stack kfp-2.0.0 has no value for tools.minikube.sha256, tools.kubectl.sha256, "
        "tools.helm.sha256, kubeflow_pipelines.tree_sha256 and neurodesktop.base_image_digest; fill them with "
        "scripts/pin-stack, or set it to false",
    ),
    "an unknown fallback": (["-e", "stack_fallback=kfp-2.5"], "unknown stack 'kfp-2.5'; did you mean kfp-2.5.0?"),
    "a cluster that is there, without its kubeconfig": (
        ["-e", "cluster_kind=admin"],
        "cluster_kind is admin, but existing_cluster_kubeconfig is empty; write an absolute path on the controlling",
    ),
    "a kubeconfig that nobody has": (
        ["-e", "cluster_kind=admin existing_cluster_kubeconfig=/nowhere/kubeconfig"],
        "existing_cluster_kubeconfig cannot be read on this machine: ",
    ),
    "a kubeconfig that is none": (
        ["-e", f"cluster_kind=admin existing_cluster_kubeconfig={PROJECT}/site.yml"],
        f"existing_cluster_kubeconfig ({PROJECT}/site.yml) is no kubeconfig: it lists no clusters; write one with "
        "`kubectl config view --raw --flatten --minify`",
    ),
    "another namespace for a cluster of one's own": (
        ["-e", "existing_cluster_namespace=pipelines"],
        "existing_cluster_namespace is set, but cluster_kind is minikube, which installs into kubeflow; ",
    ),
    "claims where the account has no rights": (
        ["-e", '{"cluster_kind": "admin", "existing_cluster_kubeconfig": "/k", "cvmfs_csi_namespaces": ["lab"]}'],
        "cluster_kind is admin, and cvmfs_csi_namespaces is set, but the described account has no rights in other",
    ),
    "one role's tag": (["--tags", "docker", "-e", "docker_source=x"], "docker_source is 'x', but must be auto, "),
}


@pytest.mark.parametrize(("arguments", "sentence"), CASES.values(), ids=CASES)
def test_bad_input_is_refused_before_any_connection(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text("all: {hosts: {lab: {ansible_host: 192.0.2.1, my_own: 1}}}\n")
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", hosts, "site.yml", *arguments],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Nothing is waited for, so that this is the time it takes on a machine with nothing else to do.
    assert ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime < 10
    assert run.returncode == 2
    said = " ".join((run.stdout + run.stderr).split())
    assert sentence in said
    assert "unreachable=0" in said
