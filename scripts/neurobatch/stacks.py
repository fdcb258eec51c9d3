"""Stacks: sets of versions that were tested together, shipped or derived from a shipped one by a site.

A shipped stack is `stacks/<name>.yml`. A site's stack lives in a directory named by `stack_dirs` and holds `name`,
`derives: <shipped stack>` and a sparse map: maps merge, scalars and lists replace, a key that the parent lacks is
refused (except below `neurodesktop.constraints`, where a site may pin further packages), and only one level of
deriving is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

try:  # libyaml parses a stack in 5 ms instead of 20, and ansible-core's own dependencies bring it nearly everywhere
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

from neurobatch.wording import kind, listed, nearest, shown

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

#: Where the shipped stacks are: beside `scripts/` in the checkout that this package belongs to.
SHIPPED_DIR = Path(__file__).resolve().parents[2] / "stacks"
SCHEMA_FILE = Path(__file__).with_name("stack.schema.json")
DEFAULT = "kfp-2.0.0"

#: Maps below which a site's stack may add keys of its own.
OPEN_MAPS = frozenset({"neurodesktop.constraints"})
#: Keys of the file itself that are never merged.
_HEAD = frozenset({"name", "derives", "description"})


class StackError(ValueError):
    """A stack cannot be had; the text is one sentence with the remedy."""


@dataclass(frozen=True)
class Candidate:
    """A stack file that a name leads to."""

    name: str
    path: Path
    shipped: bool


def known(stack_dirs: Sequence[str | Path] = (), shipped_dir: Path = SHIPPED_DIR) -> dict[str, Candidate]:
    """Return every stack that can be named, by name; a file's name without `.yml` is the stack's name.

    Raises:
        StackError: a directory is missing, or two files claim one name.
    """
    found: dict[str, Candidate] = {}
    for directory, shipped in [(shipped_dir, True), *((Path(entry).expanduser(), False) for entry in stack_dirs)]:
        if not directory.is_dir():
            raise StackError(f"the stack directory {directory} does not exist: create it or take it out of stack_dirs")
        for path in sorted(directory.glob("*.yml")):
            if path.stem in found:
                other = found[path.stem].path
                raise StackError(f"{path} and {other} both define the stack {path.stem}: rename one of them")
            found[path.stem] = Candidate(path.stem, path, shipped)
    return found


def resolve(name: str, stack_dirs: Sequence[str | Path] = (), shipped_dir: Path = SHIPPED_DIR) -> dict[str, Any]:
    """Return the stack ``name``, merged with what it derives from, validated, with its `origin` in words.

    Args:
        name: the stack's name, e.g. "kfp-2.0.0".
        stack_dirs: directories with a site's own stack files.
        shipped_dir: the directory with the shipped ones.

    Raises:
        StackError: no such stack, or its file is not valid.
    """
    candidates = known(stack_dirs, shipped_dir)
    chosen = _pick(name, candidates)
    data = _read(chosen)
    if chosen.shipped:
        _validate(data, chosen.path)
        return {**data, "origin": "shipped"}
    parent_name = _derives(data, chosen, candidates)
    parent = _read(candidates[parent_name])
    _validate(parent, candidates[parent_name].path)
    body = {key: value for key, value in data.items() if key not in _HEAD}
    merged = _merge({key: value for key, value in parent.items() if key not in _HEAD}, body, chosen, parent_name)
    merged = {"name": name, "description": data.get("description", parent["description"]), **merged}
    _validate(merged, chosen.path)
    return {**merged, "derives": parent_name, "origin": f"site, derived from {parent_name}"}


def sdk_requirements(name: str) -> str:
    """Return requirements/<name>.in: what compiles pipelines for a shipped stack.

    Raises:
        StackError: no such stack, or its file is not valid.
    """
    pins = resolve(name)["kubeflow_pipelines"]["sdk"]
    lines = [f"# What compiles pipelines for the stack {name}: its kubeflow_pipelines.sdk, written by `make lock`."]
    return "\n".join([*lines, *(f"{package}=={pins[package]}" for package in sorted(pins)), ""])


def nearest_stack(hint: str, names: Iterable[str] = ()) -> str:
    """Return the stack whose name is most like ``hint`` ("elyra 3.15.0"), or the default when none is like it."""
    return nearest(hint, [*names] or [*known()], cutoff=0.5) or DEFAULT


def _pick(name: str, candidates: Mapping[str, Candidate]) -> Candidate:
    if name in candidates:
        return candidates[name]
    guess = nearest(str(name), candidates)
    hint = f"did you mean {guess}?" if guess else "add its directory to stack_dirs, or take a known one."
    raise StackError(f"unknown stack {shown(name)}; {hint} Known: {listed(sorted(candidates))}")


def _derives(data: Mapping[str, Any], chosen: Candidate, candidates: Mapping[str, Candidate]) -> str:
    parent = data.get("derives")
    shipped = sorted(candidate.name for candidate in candidates.values() if candidate.shipped)
    choice = listed(shipped, "or")
    if not isinstance(parent, str):
        raise StackError(f"{chosen.path} does not say what it derives from: add `derives:` with {choice}")
    if parent not in candidates:
        guess = nearest(parent, shipped)
        hint = f"did you mean {guess}?" if guess else f"take {choice}"
        raise StackError(f"{chosen.path} derives from the unknown stack {shown(parent)}; {hint}")
    if not candidates[parent].shipped:
        raise StackError(f"{chosen.path} derives from {parent}, a site's stack itself: derive from {choice}")
    return parent


def _merge(
    parent: Mapping[str, Any], child: Mapping[str, Any], chosen: Candidate, parent_name: str, at: str = ""
) -> dict[str, Any]:
    merged = dict(parent)
    for key, value in child.items():
        path = f"{at}.{key}" if at else str(key)
        if key not in parent and at not in OPEN_MAPS:
            guess = nearest(str(key), map(str, parent))
            prefix = f"{at}." if at else ""
            names = listed(f"{prefix}{name}" for name in parent)
            hint = f"did you mean {prefix}{guess}?" if guess else f"it has {names}"
            raise StackError(f"{chosen.path}: {parent_name} has no {path}; {hint}")
        old = parent.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge(old, value, chosen, parent_name, path)
        else:
            merged[key] = value
    return merged


class _Loader(SafeLoader):
    """YAML's safe loader, which here refuses a key that stands twice (the first would be lost in silence)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise StackError(f"line {node.value[index][0].start_mark.line + 1}: {key} stands twice")
        return super().construct_mapping(node, deep)


def _read(candidate: Candidate) -> dict[str, Any]:
    path = candidate.path
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise StackError(f"{path} cannot be read ({error.strerror}): correct its permissions") from error
    except StackError as error:
        raise StackError(f"{path}, {error}: remove one of the two") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise StackError(f"{path}{where} is not valid YAML ({problem}): correct it") from error
    if not isinstance(data, dict):
        raise StackError(f"{path} holds {kind(data)} instead of a map: take stacks/{DEFAULT}.yml as the pattern")
    if data.get("name") != candidate.name:
        named = shown(data.get("name"))
        raise StackError(f"{path} names itself {named}: its `name` must be {candidate.name}, as the file's")
    return data


@cache
def _validator() -> Draft202012Validator:
    # Imported late: jsonschema costs 0.1 s, and most commands never validate a stack.
    try:
        from jsonschema import Draft202012Validator  # noqa: PLC0415
    except ImportError as error:
        raise StackError("this Python has no jsonschema: run Ansible from the project's .venv/bin") from error

    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def _validate(data: Mapping[str, Any], path: Path) -> None:
    errors = sorted(_validator().iter_errors(data), key=lambda error: [str(part) for part in error.absolute_path])
    if errors:
        _explain(errors[0], path)
    for name, row in data["kubeflow_pipelines"]["images"].items():
        place = str(row["place"])
        if place.startswith("program ") and row["substitute"] is not None:
            raise StackError(
                f"{path}: kubeflow_pipelines.images.{name}.substitute would have no effect, since the {place} names "
                "the image itself: leave it null and serve the image with registry_mirrors"
            )


def _explain(error: ValidationError, path: Path) -> NoReturn:
    """Raise the first schema error as one sentence that names the key, what stands there and what should."""
    where = ".".join(str(part) for part in error.absolute_path) or "the file"
    value: Any = error.instance
    wanted: Any = error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        raise StackError(f"{path}: {where} names {shown(value)}: write package names in lower case, with hyphens only")
    if error.validator == "required":
        missing = [key for key in wanted if key not in value]
        raise StackError(f"{path}: {where} lacks {listed(missing)}: add it")
    if error.validator == "additionalProperties" and wanted is False:
        allowed: dict[str, Any] = dict(error.schema)["properties"]  # type: ignore[arg-type]
        extra = next(key for key in value if key not in allowed)
        guess = nearest(str(extra), allowed)
        hint = f"did you mean {guess}?" if guess else f"known: {listed(allowed)}"
        raise StackError(f"{path}: {where} has the unknown key {extra}; {hint}")
    if error.validator == "type":
        words = {"string": "text (put it in quotes)", "object": "a map", "null": "null"}
        names = wanted if isinstance(wanted, list) else [wanted]
        want = listed([words.get(name, name) for name in names], "or")
        raise StackError(f"{path}: {where} is {kind(value)} ({shown(value)}), but must be {want}")
    if error.validator == "pattern":
        raise StackError(f"{path}: {where} is {shown(value)}, but must match {wanted}")
    raise StackError(f"{path}: {where}: {error.message}")
