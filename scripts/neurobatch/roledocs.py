"""Render each role's README from its argument specs, so that what an operator reads is what is checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from neurobatch import specs
from neurobatch.specs import Option, RoleSpec

#: The playbook that says which roles belong to the finished part.
SITE = Path(__file__).resolve().parents[2] / "playbooks" / "site.yml"

#: Entry points whose options get a table, with the heading above it.
TABLES = {"main": "Variables", "shared": "Variables that all roles share"}

#: Roles that take facts from earlier roles of the same run, and refuse to run without them.
NEEDS = {
    "minikube": ("neurodesktop",),
    "elyra": ("neurodesktop", "minikube", "kubeflow_pipelines", "cvmfs_csi", "port_forward"),
    "smoke_pipeline": (
        "preflight",
        "neurodesktop",
        "minikube",
        "kubeflow_pipelines",
        "cvmfs_csi",
        "port_forward",
        "elyra",
    ),
}


def render(role: RoleSpec) -> str:
    """Return the README of ``role`` as Markdown."""
    main = role.entries.get("main", {})
    blocks = [
        f"# {role.name}",
        f"{main.get('short_description', '').rstrip('.')}.",
        *_paragraphs(main.get("description")),
    ]
    for entry, heading in TABLES.items():
        options = role.options(entry)
        if options:
            blocks += [f"## {heading}", _variables(options.values())]
        elif entry == "main":
            blocks += [f"## {heading}", "None."]
    published = role.options("published")
    facts = [f"- `{option.name}`: {_prose(option.spec.get('description'))}" for option in published.values()]
    blocks += ["## Published facts", "\n".join(facts) if facts else "None."]
    for entry in sorted(role.entries.keys() - {"main", "shared", "published"}):
        blocks += [f"## Entry point `{entry}`", *_paragraphs(role.entries[entry].get("description"))]
        if options := role.options(entry):
            blocks.append(_variables(options.values()))
    blocks += ["## Run it alone", _usage(role)]
    return "\n\n".join([*blocks, _footer()]) + "\n"


def outdated(roles_dir: Path = specs.ROLES_DIR) -> dict[Path, str]:
    """Return the READMEs that differ from what the specs say, by path, with the text they should have."""
    stale = {}
    for role in specs.load(roles_dir).values():
        path, text = role.directory / "README.md", render(role)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale[path] = text
    return stale


def _variables(options: Iterable[Option]) -> str:
    rows = [["Variable", "Type", "Default", "Meaning"], ["---", "---", "---", "---"]]
    for option in options:
        spec = option.spec
        kind = spec.get("type", "str") + (f" of {spec['elements']}" if "elements" in spec else "")
        default = "required" if spec.get("required") else f"`{_value(spec.get('default'))}`"
        meaning = _prose(spec.get("description"))
        if choices := spec.get("choices"):
            meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        rows.append([f"`{option.name}`", kind, default, meaning])
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def _usage(role: RoleSpec) -> str:
    tags = ",".join([*NEEDS.get(role.name, ()), role.name])
    lines = [f"`ansible-playbook -i inventories/mylab site.yml --tags {tags}`"]
    if role.name in NEEDS:
        lines.append("The others publish what it works with; where they are done, they change nothing.")
    others = sorted(_tags(role.directory) - {role.name})
    if "always" in others:
        lines.append("Parts of it are tagged `always`: they run whatever tag is asked for.")
    if phases := [tag for tag in others if tag not in {"always", "never"}]:
        lines.append(f"Further tags: {', '.join(f'`{tag}`' for tag in phases)}.")
    return "\n\n".join(lines)


def _tags(role_dir: Path) -> set[str]:
    """Return every tag that a task file of the role names."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, Mapping):
            tags = node.get("tags", [])
            found.update([tags] if isinstance(tags, str) else tags)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for path in sorted((role_dir / "tasks").glob("*.yml")):
        walk(yaml.safe_load(path.read_text(encoding="utf-8")))
    return found


def _paragraphs(description: str | list[str] | None) -> list[str]:
    if description is None:
        return []
    return [_line(text) for text in ([description] if isinstance(description, str) else description)]


def _prose(description: str | list[str] | None) -> str:
    return " ".join(_paragraphs(description))


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _value(value: object) -> str:
    return (
        "" if value is None else json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value or '""'
    )


def _footer() -> str:
    return "*Generated from `meta/argument_specs.yml` by `neurobatch role-docs`; change it there.*"
