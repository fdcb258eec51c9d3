"""Off the server and on it again: nothing is left but what the documentation names, and what was kept is taken up."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.cluster.conftest import Server
from tests.cluster.test_1_application import artifacts, runs
from tests.server import snapshot

Measured = Callable[[str], None]
#: What docs/reset.md says that stays, beside packages and what they bring.
STAYS = re.compile(
    r"^/(etc/neurobatch(/secrets.*)?|var/lib/neurobatch(/kept.*)?|usr/local/libexec|etc/docker/daemon\.json\..*~)$"
)
LEFT = """
find /etc /usr/local /var/lib /opt /var/log -path /var/lib/docker -prune -o -print | grep -i neuro
docker ps -aq; docker network ls -q -f name=minikube -f name=neurobatch
docker images --format '{{.Repository}}' | grep -E 'neuro|kicbase'
"""


def test_it_asks_first(server: Server) -> None:
    refused = server.play("playbooks/reset.yml", "-e", "reset_confirm=other", ok=False)
    assert "Nothing was touched" in refused.text
    contrary = server.play(
        "playbooks/reset.yml", "-e", f"reset_confirm={host(server)}", "-e", "reset_destroy=secrets", ok=False
    )
    assert "only together with pipelines" in contrary.text


def host(server: Server) -> str:
    """Return the server's name in the inventory."""
    return next(iter(server.play("playbooks/inventory.yml").recap_hosts()))


def test_reset_and_install_again(server: Server, measured: Measured) -> None:
    known, kept = runs(server), artifacts(server)
    name = host(server)
    before = snapshot.take(server.instance)
    assert server.play("playbooks/reset.yml", "--check").recap()["changed"] > 0
    assert snapshot.differences(before, snapshot.take(server.instance)) == []
    removed = server.play("playbooks/reset.yml", "-e", f"reset_confirm={name}")
    again = server.play("playbooks/reset.yml", "-e", f"reset_confirm={name}")
    assert again.recap()["changed"] == 0, again.output[-3000:]
    left = server.root(LEFT, check=False)
    assert [line for line in left.splitlines() if not STAYS.match(line)] == []
    assert server.root("docker volume ls -q") == "neurodesk-home"
    assert (
        server.root(
            "getent passwd neurobatch; grep -c minio-service /etc/hosts; nft list tables | grep -i neuro", check=False
        )
        == "0"
    )
    installed = server.play("site.yml", timeout=3000)
    assert set(runs(server)) >= set(known)
    assert set(artifacts(server)) >= set(kept)
    assert server.play("site.yml").recap()["changed"] == 0
    measured(
        f"reset {removed.seconds:.0f} s, nothing to do {again.seconds:.0f} s, installed again {installed.seconds:.0f} s"
    )
