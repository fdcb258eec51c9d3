"""What a scientist changed, and a home in trouble: nothing is lost, and the message says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.access import use
from tests.rehearsal.instance import Instance
from tests.server import playbook, remote

Root = Callable[..., str]
HOME = "/home/jovyan"
RUNTIMES = f"{HOME}/.local/share/jupyter/metadata/runtimes"
RUNTIME = f"{RUNTIMES}/{use.RUNTIME}.json"
ROLES = "preflight,stack,neurodesktop,minikube,kubeflow_pipelines,cvmfs_csi,port_forward,elyra"
#: What earlier roles publish is read again; unchanged ones cost little.
ONLY = ("--tags", ROLES)


def sums(instance: Instance) -> str:
    """Return a digest of every file in the home that Elyra and the template consist of."""
    return use.inside(
        instance,
        f"find {HOME}/batch-template {HOME}/.local/share/jupyter/metadata -type f -exec sha256sum {{}} + | sort -k2",
    )


def test_a_changed_runtime_is_put_aside_and_brought_back(instance: Instance) -> None:
    was = use.inside(instance, f"cat {RUNTIME}")
    use.inside(instance, f"sed -i 's/Neurodesktop Kubeflow Runtime/My own/' {RUNTIME}")
    mine = use.inside(instance, f"cat {RUNTIME}")
    result = playbook.run(instance, *ONLY)
    assert result.code == 0, result.output
    assert json.loads(use.inside(instance, f"cat {RUNTIME}")) == json.loads(was)
    kept = use.inside(instance, f"ls -d {HOME}/.local/share/neurobatch/kept/{use.RUNTIME}-*")
    assert use.inside(instance, f"cat {kept}") == mine
    assert use.inside(instance, f"stat -c '%a %U' {kept}") == "600 jovyan"
    assert f".local/share/neurobatch/kept/{kept.rpartition('/')[2]}" in result.text
    use.inside(instance, f"rm {kept}")


def test_a_changed_template_stays_changed(instance: Instance) -> None:
    path = f"{HOME}/batch-template/tools.ipynb"
    was = use.inside(instance, f"cat {path}")
    try:
        use.inside(instance, f"sed -i 's/Replace the cells/MINE. Replace the cells/' {path}")
        mine = sums(instance)
        result = playbook.run(instance, *ONLY)
        assert (result.code, result.recap()["changed"]) == (0, 0), result.output
        assert sums(instance) == mine
        assert "MINE" in use.inside(instance, f"cat {path}")
    finally:
        remote.root(instance, f"docker exec -i -u jovyan neurodesktop sh -c 'cat > {path}' <<'END'\n{was}\nEND")


@pytest.fixture(params=["full", "read-only"])
def trouble(request: pytest.FixtureRequest, root: Root) -> Iterator[str]:
    """A home whose folder of runtimes is on a full disk, or a home that is mounted read-only, for real."""
    inside = "docker exec --user root neurodesktop sh -ec"
    if request.param == "full":
        root(
            f"{inside} 'cp -a {RUNTIMES} /tmp/runtimes && mount -t tmpfs -o size=32k,mode=0700 none {RUNTIMES} "
            f"&& cp -a /tmp/runtimes/. {RUNTIMES}/ && chown --reference=/tmp/runtimes {RUNTIMES} "
            f"&& dd if=/dev/zero of={RUNTIMES}/big bs=1k 2>/dev/null || true'"
        )
    else:
        # A mount of its own on top: what JupyterLab has open for writing keeps the one below from becoming read-only.
        root(f"{inside} 'mount --bind {HOME} {HOME} && mount -o remount,bind,ro {HOME}'")
    try:
        yield str(request.param)
    finally:
        if request.param == "full":
            root(f"{inside} 'umount {RUNTIMES}; rm -rf /tmp/runtimes'")
        else:
            root(f"{inside} 'umount --lazy {HOME}'")


def test_a_home_in_trouble_loses_nothing_and_is_named(instance: Instance, trouble: str) -> None:
    before = sums(instance)
    result = playbook.run(instance, *ONLY, "-e", '{"elyra_runtime_name": "Another name"}')
    assert result.code == 2, result.output
    assert {"full": "The home is full", "read-only": "The home is mounted read-only"}[trouble] in result.text
    assert sums(instance) == before


def test_after_the_trouble_all_is_well(instance: Instance) -> None:
    result = playbook.run(instance)
    assert result.code == 0, result.output
    assert "Neurodesktop Kubeflow Runtime" in use.inside(instance, f"cat {RUNTIME}")


def test_a_container_that_was_stopped_by_hand_comes_back_with_its_home(
    instance: Instance, root: Root, token: str, measured: Callable[[str], None]
) -> None:
    before = sums(instance)
    root("docker stop --time 10 neurodesktop")
    measured(f"docker stop neurodesktop: JupyterLab again after {remote.await_jupyter(instance, token, 60):.1f} s")
    assert sums(instance) == before
    root("systemctl stop neurodesktop.service")
    result = playbook.run(instance)
    assert result.code == 0, result.output
    remote.await_jupyter(instance, token, 60)
    assert sums(instance) == before
    assert remote.token(instance) == token
