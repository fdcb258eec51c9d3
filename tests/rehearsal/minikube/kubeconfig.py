"""The kubeconfig file: our cluster's entries put into it or taken out, everything else left as it is.

Its YAML is the plain sort that kubectl writes (block maps and lists, one scalar a line); another sort is refused
rather than damaged.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any


class Unreadable(Exception):  # noqa: N818
    """The file is YAML of a sort that this reader does not know."""


def path() -> Path:
    """Return the file that Minikube writes: the first of $KUBECONFIG, or ~/.kube/config."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(named[0]) if named else Path.home() / ".kube" / "config"


def read(file: Path) -> dict[str, Any]:
    """Return the file's content, or an empty configuration when there is none.

    Raises:
        Unreadable: it is not kubectl's sort of YAML.
    """
    text = file.read_text() if file.exists() else ""
    loaded: dict[str, Any]
    if text.lstrip().startswith("{"):
        loaded = json.loads(text)
    else:
        lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        parsed = _parse([line for line in lines if line != "---"]) if lines else {}
        if not isinstance(parsed, dict):
            raise Unreadable(f"{file} is not a map")
        loaded = parsed
    for name in ("clusters", "contexts", "users"):
        loaded[name] = loaded.get(name) or []
    return {"apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": ""} | loaded


def write(file: Path, config: dict[str, Any]) -> None:
    """Put the configuration in place, readable by its owner only; an unchanged one is not touched."""
    text = "".join(_emit(dict(sorted(config.items()))))
    if file.exists() and file.read_text() == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    temporary = file.with_name(f"{file.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.chmod(0o600)
    temporary.replace(file)


def entry(config: dict[str, Any], kind: str, name: str) -> dict[str, Any] | None:
    """Return the named one of `clusters`, `contexts` or `users`."""
    return next((item for item in config[kind] if item.get("name") == name), None)


def put(config: dict[str, Any], kind: str, item: dict[str, Any]) -> None:
    """Put an entry in place of one of the same name, or at the end."""
    names = [each.get("name") for each in config[kind]]
    if item["name"] in names:
        config[kind][names.index(item["name"])] = item
    else:
        config[kind].append(item)


def drop(config: dict[str, Any], name: str) -> None:
    """Take a cluster's entries out."""
    for kind in ("clusters", "contexts", "users"):
        config[kind] = [item for item in config[kind] if item.get("name") != name]
    if config.get("current-context") == name:
        config["current-context"] = ""


def _emit(value: Any, indent: int = 0) -> list[str]:
    pad = "  " * indent
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{pad}{key}:\n", *_emit(item, indent + 1)]
        elif isinstance(item, list) and item:
            lines.append(f"{pad}{key}:\n")
            for each in item:
                if not isinstance(each, dict):
                    lines.append(f"{pad}- {_scalar(each)}\n")
                    continue
                inner = _emit(each, indent + 1)
                lines += [f"{pad}- {inner[0].lstrip()}", *inner[1:]]
        else:
            lines.append(f"{pad}{key}: {_scalar(item)}\n")
    return lines


def _scalar(value: Any) -> str:
    """Return a scalar as YAML; JSON's way of quoting is YAML's too."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/][A-Za-z0-9_./+=:-]*[A-Za-z0-9=]", value)
    if plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off"):
        return str(value)
    return json.dumps(value)


def _parse(lines: list[str]) -> Any:
    """Return what a block of lines with one indentation or more says; takes them off the list."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    if lines[0].lstrip().startswith("- "):
        return _parse_list(lines, indent)
    found: dict[str, Any] = {}
    while lines and len(lines[0]) - len(lines[0].lstrip()) == indent and not lines[0].lstrip().startswith("- "):
        line = lines.pop(0).strip()
        match = re.fullmatch(r"([A-Za-z0-9_./-]+|\"[^\"]+\"):(?:\s+(.*))?", line)
        if not match:
            raise Unreadable(f"cannot read the line `{line}`")
        key, value = match[1].strip('"'), match[2]
        if value:
            found[key] = _read_scalar(value)
        elif lines and _belongs(lines[0], indent):
            found[key] = _parse(lines)
        else:
            found[key] = None
    if lines and len(lines[0]) - len(lines[0].lstrip()) > indent:
        raise Unreadable(f"cannot read the line `{lines[0].strip()}`")
    return found


def _belongs(line: str, indent: int) -> bool:
    """Tell whether a line is below a key: deeper, or a list at the same depth."""
    depth = len(line) - len(line.lstrip())
    return depth > indent or (depth == indent and line.lstrip().startswith("- "))


def _parse_list(lines: list[str], indent: int) -> list[Any]:
    found: list[Any] = []
    while lines and lines[0].startswith(" " * indent + "- "):
        rest = lines[0][indent + 2 :]
        if re.match(r"[A-Za-z0-9_./-]+:(\s|$)", rest.lstrip()):
            # The item's first key stands on the dash's line; put it where the others are.
            lines[0] = " " * (indent + 2) + rest.lstrip()
            found.append(_parse(lines))
        else:
            lines.pop(0)
            found.append(_read_scalar(rest.strip()))
    return found


def _read_scalar(text: str) -> Any:
    if text[0] in '"[{':
        try:
            return json.loads(text)
        except ValueError:
            raise Unreadable(f"cannot read the value `{text}`") from None
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    if text[0] in "|>&*!%@`":
        raise Unreadable(f"cannot read the value `{text}`")
    return {"true": True, "false": False, "null": None, "~": None}.get(text, text)
