"""Off the server and on it again: nothing is left but what the documentation names, and what was kept is taken up."""

from __future__ import annotations

import re
from collections.abc import Callable

from neurobatch.remote.cluster.redact import shapes

from tests.cluster import left
from tests.cluster.conftest import Server
from tests.cluster.use import journal, kept, secrets
from tests.rehearsal.server import HOSTNAME
from tests.server import snapshot

Measured = Callable[[str], None]
#: What docs/reset.md says that stays, each with what a line of `left.differences` looks like.
STAYS = {
    "the secrets": r"files: \+ /etc/neurobatch(/secrets(/.*)?)?",
    "runs and artifacts": r"files: \+ /var/lib/neurobatch(/kept(/.*)?)?",
    "the home": r"volumes: \+ neurodesk-home",
    "the lab's storage folder": r"files: \+ /home/engineer/neurodesktop-storage(/.*)?",
    "packages": r"packages: \+ .*|units: \+ (containerd|docker|nftables)\.(service|socket)",
    "what packages make": (
        r"files: (\+ )?/(etc/(alternatives/|rc\d\.d/...docker$|cni|networks|docker/key\.json|ld\.so\.cache"
        r"|systemd/system/(multi-user|sockets)\.target\.wants(/(containerd|docker)\.|$))|var/lib/(dpkg/|apt/extended_states)).*"
    ),
    "Docker's group and its members": r"groups: \+ docker|files: /etc/g?(group|shadow)-?: .*|files: /etc/passwd-: .*",
    "Docker's own": (
        r"interfaces: \+ docker0|networks: \+ (bridge|host|none)|files: /var/lib/(docker|containerd): .*"
        r"|rules: \+ (iptables-save .*(DOCKER|docker0|172\.17\.0\.0| :[A-Z]+ ACCEPT).*|nft table ip (filter|nat))"
    ),
    "what images were built from": r"images: \+ (docker\.io/)?(python|jupyter/base-notebook):.*",
    "Ansible's folder": r"files: \+ /home/engineer/\.ansible(/tmp)?",
    "kubectl's and helm's caches": r"files: \+ /root/\.(kube|cache/helm|config/helm)(/.*)?",
    "an empty folder": r"files: \+ /usr/local/libexec",
}

#: Where an installation is killed, in this order, each run going on from what the one before has left.
PHASES = (
    "TASK [docker : Configure | Write daemon.json]",
    "== building Neurodesktop",
    "TASK [minikube : Install | Download",
    "== starting minikube.service",
    "TASK [kubeflow_pipelines : Configure | Write the overlay]",
    "== applied the credentials",
    "== helm installs",
    "TASK [port_forward : Configure | Start the forwards",
)


def test_it_asks_first(server: Server) -> None:
    refused = server.play("playbooks/reset.yml", "-e", "reset_confirm=other", ok=False)
    assert "Nothing was touched" in refused.text
    contrary = server.play(
        "playbooks/reset.yml", "-e", f"reset_confirm={HOSTNAME}", "-e", "reset_destroy=secrets", ok=False
    )
    assert "only together with pipelines" in contrary.text


def unexplained(lines: list[str], *more: str) -> list[str]:
    """Return the differences that the documentation does not name."""
    return [line for line in lines if not any(re.fullmatch(each, line) for each in (*STAYS.values(), *more))]


def test_a_look_removes_nothing(server: Server) -> None:
    before = left.whole(server.instance)
    assert server.play("playbooks/reset.yml", "--check").recap()["changed"] > 0
    assert snapshot.differences(before, left.whole(server.instance)) == []


def installed_again(server: Server, run: list[str], held: dict[str, str]) -> float:
    """Install, expect what was kept to be there and nothing secret to be said, and return the seconds."""
    installed = server.play("site.yml", "-vvv", timeout=3000)
    assert secrets(server) == held
    assert [shape for shape in shapes(held.values()) if shape in installed.output] == []
    assert journal(server) == []
    assert kept(server) == run
    after = server.play("site.yml")
    assert after.recap()["changed"] == 0, after.output[-3000:]
    return installed.seconds


def test_reset_leaves_what_is_documented_and_it_is_taken_up_again(server: Server, measured: Measured) -> None:
    before = kept(server, make=True), secrets(server)
    confirmed = ("-e", f"reset_confirm={HOSTNAME}")
    removed = server.play("playbooks/reset.yml", *confirmed)
    lines = left.differences(server.instance)
    assert unexplained(lines) == [], "\n".join(unexplained(lines))
    again = server.play("playbooks/reset.yml", *confirmed)
    assert again.recap()["changed"] == 0, again.output[-3000:]
    seconds = installed_again(server, *before)
    measured(
        f"reset {removed.seconds:.0f} s, nothing to do {again.seconds:.0f} s; {len(lines)} documented differences; "
        f"installed again {seconds:.0f} s"
    )


def test_an_installation_killed_in_every_phase_goes_on(server: Server, measured: Measured) -> None:
    before = kept(server, make=True), secrets(server)
    server.play("playbooks/reset.yml", "-e", f"reset_confirm={HOSTNAME}")
    for words in PHASES:
        server.killed(words)
    seconds = installed_again(server, *before)
    measured(f"killed {len(PHASES)} times, installed {seconds:.0f} s after the last")
