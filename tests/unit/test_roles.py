"""Each role's specs, defaults, published facts and README say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from neurobatch import roledocs, specs

ROLES = specs.load()
EVERY = sorted(path.name for path in specs.ROLES_DIR.iterdir() if (path / "tasks").is_dir())


def test_every_role_has_argument_specs() -> None:
    assert sorted(ROLES) == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_defaults_are_those_of_the_specs(name: str) -> None:
    role = ROLES[name]
    path = role.directory / "defaults" / "main.yml"
    defaults = (yaml.safe_load(path.read_text()) or {}) if path.is_file() else {}
    options = {**role.options("main"), **role.options("shared")}
    assert defaults == {
        key: option.spec["default"] for key, option in options.items() if not option.spec.get("required")
    }


@pytest.mark.parametrize("name", EVERY)
def test_every_option_is_described_and_typed(name: str) -> None:
    for entry in ROLES[name].entries:
        for option in ROLES[name].options(entry).values():
            assert option.spec.get("description"), option.name
            assert option.spec.get("type"), option.name


@pytest.mark.parametrize("name", EVERY)
def test_facts_that_a_role_publishes_are_documented(name: str) -> None:
    tasks = "\n".join(path.read_text() for path in sorted((ROLES[name].directory / "tasks").glob("*.yml")))
    assert set(re.findall(r"^ +(neurobatch_\w+):", tasks, re.MULTILINE)) == set(ROLES[name].options("published"))


@pytest.mark.parametrize("name", EVERY)
def test_the_readme_is_what_the_specs_say(name: str) -> None:
    path = ROLES[name].directory / "README.md"
    assert path.is_file(), "run: neurobatch role-docs"
    assert path.read_text() == roledocs.render(ROLES[name]), "run: neurobatch role-docs"


def test_a_readme_shows_choices_required_ones_and_escapes_the_table(tmp_path: Path) -> None:
    role = specs.RoleSpec(
        "demo",
        tmp_path,
        {
            "main": {
                "short_description": "A demo",
                "description": ["One.", "Two."],
                "options": {
                    "demo_a": {"type": "list", "elements": "str", "required": True, "description": "a | b"},
                    "demo_b": {"choices": ["x", "y"], "default": "x", "description": "B."},
                },
            },
            "remove": {"description": "Undo it."},
        },
    )
    text = roledocs.render(role)
    assert "| `demo_a` | list of str | required | a \\| b |" in text
    assert "| `demo_b` | str | `x` | B. One of `x`, `y`. |" in text
    assert "## Entry point `remove`\n\nUndo it." in text
