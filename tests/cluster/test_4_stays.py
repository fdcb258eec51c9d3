"""After a reboot and after a restart of Docker all of it answers again within a bound, by itself (S0-33)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster import use
from tests.cluster.conftest import Server
from tests.server import remote

Measured = Callable[[str], None]
#: Seconds from the order until everything answers.
BOUND = {"reboot": 300, "docker": 240}
DOORS = {
    "the user interface": (31380, "/"),
    "the pipelines' API": (31380, "/apis/v2beta1/healthz"),
    "the object store": (9000, "/minio/health/live"),
    "JupyterLab": (8888, "/api"),
}


def answers(server: Server, bound: float) -> dict[str, int]:
    """Return the seconds that each door took to answer, until all do."""
    began = time.monotonic()
    found: dict[str, int] = {}
    while waiting := DOORS.keys() - found:
        assert time.monotonic() - began < bound, f"no answer within {bound:.0f} s of {', '.join(sorted(waiting))}"
        for name in waiting:
            port, path = DOORS[name]
            status, said = remote.call(server.instance, remote.http, "127.0.0.1", port, path, {})
            if status == 200 and '"apiServerReady":false' not in said.replace(" ", ""):
                found[name] = round(time.monotonic() - began)
        time.sleep(1)
    return found


@pytest.mark.parametrize("what", BOUND)
def test_it_comes_back_by_itself(server: Server, measured: Measured, what: str) -> None:
    kept = use.kept(server, make=True)
    restarts = server.root("docker inspect -f '{{.State.StartedAt}}' minikube")
    began = time.monotonic()
    if what == "reboot":
        server.instance.reboot()
    else:
        server.root("systemctl restart docker", timeout=300)
    ordered = time.monotonic() - began
    taken = answers(server, BOUND[what] - ordered)
    assert server.root("docker inspect -f '{{.State.StartedAt}}' minikube") != restarts, "nothing was restarted"
    assert use.kept(server) == kept
    again = server.play("site.yml")
    assert again.recap()["changed"] == 0, again.output[-3000:]
    said = server.root("neurobatch-smoke --deadline 300 2>/dev/null | tail -n1", timeout=400)
    assert said.startswith("smoke: SUCCEEDED")
    each = ", ".join(f"{name} {ordered + seconds:.0f} s" for name, seconds in taken.items())
    measured(f"{each} (bound {BOUND[what]} s)")
