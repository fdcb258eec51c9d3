"""Which stack a server gets, and with which sentence: wanted, fallen back, kept or refused (S0-34, D1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from neurobatch import choice, needs, stacks
from neurobatch.needs import Doors

SITE = Path(__file__).resolve().parents[1] / "rehearsal" / "stacks"
MIRRORED = Doors(registry_mirrors={"gcr.io": "http://mirror:5000"})
PARTS = ("api-server", "driver", "launcher")
NODE = "Minikube's node, api-server, driver and launcher"
GONE = {"ml-pipeline": "absent"}


def resolve(name: str) -> dict[str, Any]:
    """Return a stack with three images; "newer" is a shipped one whose images are on another registry."""
    stack = stacks.resolve("kfp-2.0.0" if name == "newer" else name, [SITE])
    place = "ghcr.io/kubeflow" if name == "newer" else "gcr.io/ml-pipeline"
    rows = {part: {"image": f"{place}/{part}:2", "substitute": None, "needed": ["v2"]} for part in PARTS}
    rows["unused"] = {"image": f"{place}/unused:2", "substitute": None, "needed": []}
    stack["kubeflow_pipelines"]["images"] = rows
    return {**stack, "name": name}


def answers(doors: Doors, states: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Answer "there" to everything but what has one of the words in its address."""
    found: dict[str, dict[str, Any]] = {}
    for stack in ("kfp-2.0.0", "newer", "rehearsal-2.0.0"):
        for need in needs.of(resolve(stack), doors):
            state = next((state for word, state in states.items() if word in need.address), "there")
            found[need.address] = {"state": state, "detail": "HTTP 404" if state == "absent" else "no answer"}
    return found


def choose(
    states: Mapping[str, str], wanted: str = "kfp-2.0.0", fallback: str = "newer", doors: Doors | None = None,
    record: Mapping[str, str] | None = None,
) -> choice.Choice:  # fmt: skip
    wish = choice.Wish(wanted, fallback, doors or Doors(), resolve)
    return choice.choose(wish, record, answers(wish.doors, states))


def refusals(chosen: choice.Choice) -> list[str]:
    return [finding.sentence() for finding in chosen.findings if finding.severity == "refuse"]


def test_what_can_be_had_is_taken_and_recorded() -> None:
    chosen = choose({})
    said = "The stack is kfp-2.0.0 (shipped)."
    assert chosen.record == {"stack": "kfp-2.0.0", "wanted": "kfp-2.0.0", "origin": "shipped", "why": said}
    count = len(needs.of(resolve("kfp-2.0.0"), Doors()))
    assert [row.message for row in chosen.findings] == [f"all {count} files and images of kfp-2.0.0 can be had"]


def test_images_that_are_gone_lead_to_the_fallback_and_it_is_said_and_recorded() -> None:
    chosen = choose(GONE)
    said = (
        "kfp-2.0.0 cannot be had here (3 of its images are not on gcr.io); this first installation takes newer "
        "instead, as stack_fallback says, and the server stays with it"
    )
    assert chosen.stack["name"] == "newer"
    assert (chosen.findings[0].severity, chosen.findings[0].message) == ("warn", said)
    assert chosen.record
    assert (chosen.record["stack"], chosen.record["wanted"], chosen.record["why"]) == ("newer", "kfp-2.0.0", f"{said}.")
    kept = choose({}, record=chosen.record)
    assert (kept.stack["name"], kept.record) == ("newer", None)
    assert kept.why == f"The server keeps its stack newer: {said}."


@pytest.mark.parametrize("state", ["denied", "login"])
def test_a_public_registry_that_wants_a_login_has_taken_its_images_away(state: str) -> None:
    assert choose({"ml-pipeline": state}).stack["name"] == "newer"


def test_without_a_fallback_it_is_refused() -> None:
    chosen = choose(GONE, fallback="")
    assert refusals(chosen) == [
        "gcr.io does not have api-server, driver and launcher of kfp-2.0.0: serve them from a registry of your own, "
        "named in registry_mirrors, or name a stack_fallback"
    ]
    assert chosen.record is None


def test_a_site_stack_never_falls_back() -> None:
    chosen = choose({"kicbase": "absent"}, wanted="rehearsal-2.0.0")
    assert refusals(chosen) == [
        "gcr.io does not have Minikube's node of rehearsal-2.0.0: serve it from a registry of your own, named in "
        "registry_mirrors"
    ]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            "silent",
            f"gcr.io gives no answer, needed for {NODE}: open the way there, or set proxy_url or registry_mirrors",
        ),
        (
            "unresolved",
            f"The server cannot resolve the name gcr.io, needed for {NODE}: correct its name servers, or set "
            "registry_mirrors",
        ),
        (
            "limited",
            f"gcr.io limits how often this server may ask; {NODE} could not be looked for: wait, or give a mirror or a "
            "login in registry_mirrors['gcr.io']",
        ),
        (
            "untrusted",
            f"The certificate of gcr.io is not trusted (no answer), needed for {NODE}: add its authority to those that "
            "the server trusts (update-ca-certificates)",
        ),
    ],
)
def test_a_network_in_trouble_is_refused_and_never_a_reason_to_fall_back(state: str, sentence: str) -> None:
    # The fallback's own images would be there.
    chosen = choose({"gcr.io/k8s": state, "gcr.io/ml": state})
    assert refusals(chosen) == [sentence]
    assert chosen.record is None


def test_a_server_that_reaches_nothing_is_told_once() -> None:
    wish = choice.Wish("kfp-2.0.0", "", Doors(), resolve)
    found = {need.address: {"state": "unresolved"} for need in needs.of(resolve("kfp-2.0.0"), Doors())}
    (said,) = refusals(choice.choose(wish, None, found))
    assert said.startswith(
        "The server cannot resolve the name dl.k8s.io, docker.io, gcr.io and 5 more hosts, needed for "
        f"{len(found)} downloads ("
    )
    assert said.endswith("): correct its name servers, or set artifact_mirror, neurodesktop_repo or registry_mirrors")


LACKING = "http://mirror:5000 does not have api-server, driver and launcher of kfp-2.0.0: put them there, or name a"


@pytest.mark.parametrize(
    ("state", "login", "sentence"),
    [
        ("absent", {}, f"{LACKING} stack_fallback"),
        ("login", {}, "wants a login for api-server, driver and launcher: give username and password in"),
        ("denied", {}, "does not let everybody have api-server, driver and launcher: give username and password in"),
        ("denied", {"username": "a", "password": "b"}, "does not accept the login for api-server, driver and launcher"),
        (
            "silent",
            {},
            "gives no answer, needed for api-server, driver and launcher: look whether it runs, and correct",
        ),
        ("untrusted", {}, "give its authority's certificate as ca in registry_mirrors['gcr.io']"),
    ],
)
def test_a_mirror_s_own_trouble(state: str, login: dict[str, str], sentence: str) -> None:
    doors = Doors(registry_mirrors={"gcr.io": {"url": "http://mirror:5000", **login}})
    (said,) = refusals(choose({"ml-pipeline": state}, doors=doors, fallback=""))
    assert sentence in said
    assert state == "absent" or "registry_mirrors['gcr.io']" in said


def test_neither_of_the_two() -> None:
    said = refusals(choose({**GONE, "ghcr.io": "absent"}))
    assert said[0] == (
        "Neither kfp-2.0.0 (3 of its images are not on gcr.io) nor its fallback newer can be had here: remove what "
        "stands in the way of one of the two, named below"
    )
    assert len(said) == 3


def test_a_provisioned_server_keeps_its_stack() -> None:
    record = {"stack": "kfp-2.0.0", "wanted": "kfp-2.0.0", "origin": "shipped", "why": "x"}
    kept = choose(GONE, record=record)
    assert kept.stack["name"] == "kfp-2.0.0"
    assert [row.severity for row in kept.findings] == ["warn"]
    assert refusals(choose({}, wanted="newer", record=record)) == [
        "This server was installed with the stack kfp-2.0.0, and the inventory now asks for newer: set "
        "`stack: kfp-2.0.0`; or, to change it, back up the home and the lab's data, reset the server "
        "(playbooks/reset.yml), and install again"
    ]


def test_without_a_probe_the_wanted_stack_is_taken() -> None:
    chosen = choice.choose(choice.Wish("kfp-2.0.0", "newer", Doors(), resolve), None, None)
    assert (chosen.stack["name"], chosen.findings) == ("kfp-2.0.0", ())


def test_a_damaged_record_is_no_first_installation() -> None:
    assert refusals(choose({}, record={})) == [
        '/etc/neurobatch/stack.json is damaged: write the server\'s stack: {"stack": "kfp-2.0.0"}'
    ]


def test_a_mirror_whose_login_the_node_cannot_do_is_a_warning() -> None:
    doors = Doors(registry_mirrors={"gcr.io": {"url": "http://mirror:5000", "username": "a", "password": "b"}})
    found = {key: {**answer, "auth": "token"} for key, answer in answers(doors, {}).items()}
    chosen = choice.choose(choice.Wish("kfp-2.0.0", "", doors, resolve), None, found)
    assert [row.sentence() for row in chosen.findings if row.severity == "warn"] == [
        "http://mirror:5000 wants tokens for its login, and the cluster's node logs in by HTTP Basic only: let the "
        "node pull api-server, driver and launcher there without a login, or by HTTP Basic"
    ]


def test_what_lies_past_a_mirror_is_a_warning() -> None:
    found = answers(MIRRORED, {})
    for address in found:
        if "ml-pipeline/driver" in address:
            found[address] = {"state": "there", "mirror": {"state": "absent"}}
    chosen = choice.choose(choice.Wish("kfp-2.0.0", "newer", MIRRORED, resolve), None, found)
    assert next((row.severity, row.sentence()) for row in chosen.findings) == (
        "warn",
        "http://mirror:5000 does not have driver, which the server will pull past it: put them there if the server is "
        "to work without the Internet",
    )
