"""What an inventory may say: every slip is named with its remedy, and nobody else's variables are in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from neurobatch import inventory
from neurobatch.specs import Option

SPECS: dict[str, dict[str, Any]] = {
    "docker_source": {"type": "str", "choices": ["auto", "distribution", "docker"], "default": "auto"},
    "docker_users": {"type": "list", "elements": "str", "default": []},
    "docker_keep": {"type": "bool", "default": False},
    "neurodesktop_port": {"type": "int", "default": 8888},
    "neurodesktop_listen": {"type": "str", "default": "127.0.0.1"},
    "neurodesktop_token": {"type": "str", "no_log": True, "default": ""},
    "neurodesktop_share": {"type": "float"},
    "neurodesktop_box": {"type": "dict", "options": {"size": {"type": "int"}}},
    "registry_mirrors": {"type": "dict", "default": {}},
    "artifact_mirror": {"type": "str", "default": ""},
    "stack": {"type": "str", "default": "kfp-2.0.0"},
    "stack_dirs": {"type": "list", "elements": "path", "default": []},
}
OPTIONS = {name: Option(name, name.split("_", maxsplit=1)[0], "main", spec) for name, spec in SPECS.items()}
ROLES = ["docker", "neurodesktop", "preflight", "stack"]

UNKNOWN = {
    "neurodesktop_prot": "unknown variable neurodesktop_prot; did you mean neurodesktop_port?",
    "docker_sauce": "unknown variable docker_sauce; did you mean docker_source?",
    "neurodestkop_port": "unknown variable neurodestkop_port; did you mean neurodesktop_port?",
    "registry_mirror": "unknown variable registry_mirror; did you mean registry_mirrors?",
    "stack_dir": "unknown variable stack_dir; did you mean stack_dirs?",
    "preflight_xyzzy": "unknown variable preflight_xyzzy; see roles/preflight/README.md for the names there are",
    "elyra_version": "unknown variable elyra_version; versions come from the stack; take `stack: kfp-2.0.0` "
    "(the nearest) or derive a site's stack from it",
}


@pytest.mark.parametrize(("name", "sentence"), UNKNOWN.items(), ids=UNKNOWN)
def test_an_unknown_variable_is_named_with_the_right_one(name: str, sentence: str) -> None:
    problems = inventory.unknown([name, *SPECS], SPECS, ROLES)
    assert [problem.message for problem in problems] == [sentence]


@pytest.mark.parametrize(
    "name",
    ["ansible_user", "ansible_port", "inventory_hostname", "groups", "role_names", "omit", "my_lab_storage", "team",
     "__docker_probe", "_x", "neurobatch_stack", "python_version", "http_proxy"],
)  # fmt: skip
def test_other_variables_pass(name: str) -> None:
    assert inventory.unknown([name], SPECS, ROLES) == []


WRONG: dict[str, tuple[str, Any, str]] = {
    "text for a number": ("neurodesktop_port", "abc", "'abc' (text), but must be a whole number, e.g. 8888"),
    "fraction for a number": ("neurodesktop_port", 88.5, "88.5 (a number), but must be a whole number, e.g. 8888"),
    "bool for a number": ("neurodesktop_port", True, "True (true/false), but must be a whole number, e.g. 8888"),
    "no such port": ("neurodesktop_port", 70000, "70000, but must be a port number from 1 to 65535, e.g. 8888"),
    "no address": ("neurodesktop_listen", "localhost", "'localhost', but must be an IP address, e.g. 127.0.0.1"),
    "choice": ("docker_source", "dokcer", "'dokcer', but must be auto, distribution or docker; did you mean docker?"),
    "text for a bool": ("docker_keep", "perhaps", "'perhaps' (text), but must be true or false, e.g. False"),
    "list for text": ("artifact_mirror", ["a"], "['a'] (a list), but must be text"),
    "bool for text": ("artifact_mirror", False, "False (true/false), but must be text"),
    "nothing for text": ("artifact_mirror", None, "None (empty), but must be text"),
    "text for a list": (
        "docker_users",
        "ann,bob",
        """'ann,bob' (text), but must be a list; on the command line write -e '{"docker_users": ["a", "b"]}'""",
    ),
    "text for a map": (
        "registry_mirrors",
        "docker.io=x",
        """'docker.io=x' (text), but must be a map; on the command line write -e '{"registry_mirrors": {"a": "b"}}'""",
    ),
    "a secret is not shown": ("neurodesktop_token", ["hush"], "a secret (a list), but must be text"),
}


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused(name: str, value: object, sentence: str) -> None:
    assert [problem.message for problem in inventory.wrong({name: value}, OPTIONS)] == [f"{name} is {sentence}"]


def test_a_wrong_value_inside_a_map_is_refused() -> None:
    [problem] = inventory.wrong({"neurodesktop_box": {"size": "big"}}, OPTIONS)
    assert problem.message.startswith("neurodesktop_box is not as documented: argument 'size' is of type str")
    assert "convert to int" in problem.message


def test_a_map_in_a_list_of_text_is_refused() -> None:
    [problem] = inventory.wrong({"docker_users": [{"name": "ann"}]}, OPTIONS)
    assert problem.message == ("docker_users is not as documented: {'name': 'ann'} in it is a map, but must be text")


@pytest.mark.parametrize(
    ("name", "value"),
    [("neurodesktop_port", 8889), ("neurodesktop_port", "8889"), ("docker_source", "docker"), ("docker_users", ["ann"]),
     ("docker_keep", "yes"), ("neurodesktop_share", 1), ("neurodesktop_share", None), ("stack_dirs", ["/srv/stacks"]),
     ("registry_mirrors", {"docker.io": "http://10.0.0.1:5000"}), ("neurodesktop_listen", "::1"),
     ("my_own_variable", object())],
)  # fmt: skip
def test_a_right_value_passes(name: str, value: object) -> None:
    assert inventory.wrong({name: value}, OPTIONS) == []


def test_all_problems_are_listed_and_the_first_is_the_headline() -> None:
    problems = [inventory.Problem(name, f"{name} is wrong") for name in "abc"]
    assert inventory.report(problems, "lab").splitlines() == [
        "a is wrong", "2 more in the inventory for lab:", "(2) b is wrong", "(3) c is wrong"
    ]  # fmt: skip
    assert inventory.report(problems[:1], "lab") == "a is wrong"


def test_the_nearest_stack_is_named_for_a_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ["kfp-2.0.0", "kfp-2.5.0"]
    monkeypatch.setattr("neurobatch.stacks.known", lambda: dict.fromkeys(names))
    [problem] = inventory.unknown(["kfp_version"], SPECS, ROLES, {"kfp_version": "2.5.1"})
    assert "take `stack: kfp-2.5.0` (the nearest)" in problem.message
