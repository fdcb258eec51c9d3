"""daemon.json is shared property: what somebody else wrote stays, what we wrote and no longer want goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from neurobatch import daemon_json

MIRROR = "http://10.1.2.3:5000"
OURS = daemon_json.wanted({"docker.io": MIRROR}, "50m", 3)
LOGS = {"log-driver": "json-file", "log-opts": {"max-size": "50m", "max-file": "3"}}


def run(existing: Any, record: Any, ours: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plan and the settings it would write."""
    text = None if existing is None else json.dumps(existing)
    plan = daemon_json.plan(text, record and json.dumps(record), ours)
    return plan, json.loads(plan["content"])


def test_what_we_want() -> None:
    assert OURS == {**LOGS, "registry-mirrors": [MIRROR]}
    assert daemon_json.wanted({}, "50m", 3) == LOGS


def test_other_registries_are_pulled_by_name_and_plain_http_has_to_be_allowed() -> None:
    mirrors = {"quay.io": "http://mirror.lab:5000/", "ghcr.io": "https://safe.lab", "docker.io": MIRROR}
    assert daemon_json.wanted(mirrors, "1m", 1)["insecure-registries"] == ["mirror.lab:5000"]


def test_an_empty_server_gets_ours() -> None:
    for nothing in (None, "", "  \n", "{}"):
        plan = daemon_json.plan(nothing, None, OURS)
        assert json.loads(plan["content"]) == OURS
        assert json.loads(plan["record"]) == {"written": OURS}
        assert (plan["differs"], plan["action"]) == (True, "restart")


def test_foreign_keys_are_kept() -> None:
    foreign = {"labels": ["lab=imaging"], "data-root": "/big/docker", "shutdown-timeout": 25}
    plan, settings = run(foreign, None, OURS)
    assert settings == {**foreign, **OURS}
    assert json.loads(plan["record"]) == {"written": OURS}


def test_a_foreign_log_driver_wins_together_with_its_options() -> None:
    for foreign in ({"log-driver": "journald"}, {"log-opts": {"max-size": "1g"}}):
        plan, settings = run(foreign, None, LOGS)
        assert settings == foreign
        assert (plan["differs"], plan["action"]) == (False, "none")


def test_foreign_mirrors_come_after_ours_and_stay_when_ours_goes() -> None:
    theirs = "https://mirror.university"
    plan, settings = run({"registry-mirrors": [theirs]}, None, OURS)
    assert settings["registry-mirrors"] == [MIRROR, theirs]
    assert json.loads(plan["record"])["written"]["registry-mirrors"] == [MIRROR]
    _, without = run(settings, json.loads(plan["record"]), LOGS)
    assert without["registry-mirrors"] == [theirs]


def test_a_mirror_that_both_name_is_not_ours_to_remove() -> None:
    plan, settings = run({"registry-mirrors": [MIRROR]}, None, OURS)
    _, without = run(settings, json.loads(plan["record"]), LOGS)
    assert without["registry-mirrors"] == [MIRROR]


def test_a_mirror_that_is_no_longer_wanted_is_taken_out_again() -> None:
    first, settings = run(None, None, OURS)
    second, without = run(settings, json.loads(first["record"]), LOGS)
    assert without == LOGS
    assert (second["differs"], second["action"]) == (True, "reload")
    assert json.loads(second["record"]) == {"written": LOGS}


def test_nothing_of_ours_is_left_when_we_want_nothing() -> None:
    foreign = {"labels": ["x=y"], "registry-mirrors": ["https://theirs"]}
    first, settings = run(foreign, None, OURS)
    assert daemon_json.strip(settings, json.loads(first["record"])["written"]) == foreign


def test_what_was_changed_by_hand_since_stays() -> None:
    first, settings = run(None, None, LOGS)
    settings["log-opts"] = {"max-size": "1g"}
    _, kept = run(settings, json.loads(first["record"]), LOGS)
    assert kept["log-opts"] == {"max-size": "1g"}


def test_a_second_run_differs_in_nothing() -> None:
    first, settings = run({"labels": ["x=y"], "registry-mirrors": ["https://theirs"]}, None, OURS)
    second, _ = run(settings, json.loads(first["record"]), OURS)
    assert (second["differs"], second["action"]) == (False, "none")
    assert second["record"] == first["record"]
    assert second["content"] == first["content"]


def test_order_and_white_space_are_no_difference() -> None:
    _, settings = run(None, None, OURS)
    shuffled = json.dumps(dict(reversed(settings.items())))
    assert daemon_json.plan(shuffled, json.dumps({"written": OURS}), OURS)["action"] == "none"


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({"registry-mirrors": ["https://other"]}, "reload"),
        ({"log-opts": {"max-size": "1m", "max-file": "3"}}, "restart"),
    ],
)
def test_only_what_dockerd_takes_over_while_it_runs_is_reloaded(change: dict[str, Any], action: str) -> None:
    first, settings = run(None, None, OURS)
    assert run(settings, json.loads(first["record"]), {**OURS, **change})[0]["action"] == action


@pytest.mark.parametrize(("text", "said"), [('{"a": 1,}', "line 1"), ("[]", "does not hold a JSON object")])
def test_a_broken_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(daemon_json.DaemonJsonError, match=said):
        daemon_json.plan(text, None, OURS)
