"""Judge what an inventory says before any host is touched: unknown variables and wrong values.

Everything here is pure: names and values in, sentences out. Types and choices are judged by ansible's own validator;
it also accepts text that it could convert ("a,b" for a list), which the role would then use unconverted, so such
values are refused here.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from neurobatch import doors, mirrors, needs, stacks
from neurobatch.specs import Option
from neurobatch.wording import kind, listed, nearest, sentences, shown

#: How like a known name an unprefixed one must be to count as a slip of the pen (difflib ratio, 0 to 1).
SLIP = 0.85
#: Names that others own: ansible's variables and magic ones, and internals of roles.
_FOREIGN = re.compile(r"^(ansible_|_)")
_MAGIC = frozenset(
    {"environment", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
     "inventory_hostname_short", "omit", "play_hosts", "playbook_dir", "role_name", "role_names", "role_path", "vars"}
)  # fmt: skip
#: Things that a stack fixes the version of; a variable for one of them would undo that the set was tested together.
_VERSIONED = (
    "argo", "cvmfs_csi", "elyra", "helm", "jupyterlab", "kfp", "kubeflow", "kubeflow_pipelines", "kubectl",
    "kubernetes", "minikube", "minio", "mysql", "neurodesktop",
)  # fmt: skip
_VERSION_NAME = re.compile(rf"^({'|'.join(_VERSIONED)})_(?:[a-z]+_)*version$")

#: Variables of earlier versions, and what to write instead.
REMOVED = {
    "cvmfs_csi_cache_mb": "cvmfs_cache_mb",
    "cvmfs_csi_http_proxy": "cvmfs_http_proxy",
    "cvmfs_csi_servers": "cvmfs_servers",
}

_WORDS = {
    "bool": "true or false",
    "dict": "a map",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "text",
    "str": "text",
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the inventory: the variable, and a sentence with the remedy."""

    variable: str
    message: str


def unknown(
    names: Iterable[str], known: Iterable[str], roles: Iterable[str], values: Mapping[str, Any] | None = None
) -> list[Problem]:
    """Return a problem for each name that looks like a variable of ours and is none.

    Args:
        names: all variable names in scope.
        known: the variables that the roles document.
        roles: the roles' names; `<role>_` is their variables' prefix.
        values: values of the names, where they help to word a remedy.
    """
    documented = set(known)
    prefixes = tuple(f"{role}_" for role in roles)
    problems = []
    for name in sorted(set(names) - documented - _MAGIC):
        if _FOREIGN.match(name):
            continue
        if name in REMOVED:
            problems.append(Problem(name, f"{name} has another name now; write {REMOVED[name]} instead"))
        elif match := _VERSION_NAME.match(name):
            stack = stacks.nearest_stack(f"{match[1]}-{(values or {}).get(name, '')}")
            remedy = (
                f"versions come from the stack; take `stack: {stack}` (the nearest) or derive a site's stack from it"
            )
            problems.append(Problem(name, f"unknown variable {name}; {remedy}"))
        elif name.startswith(prefixes):
            guess = nearest(name, documented)
            role = next(prefix for prefix in prefixes if name.startswith(prefix))[:-1]
            remedy = f"did you mean {guess}?" if guess else f"see roles/{role}/README.md for the names there are"
            problems.append(Problem(name, f"unknown variable {name}; {remedy}"))
        elif guess := nearest(name, documented, SLIP):
            problems.append(Problem(name, f"unknown variable {name}; did you mean {guess}?"))
    return problems


def wrong(values: Mapping[str, Any], options: Mapping[str, Option]) -> list[Problem]:
    """Return a problem for each value in ``values`` (already templated) that its option does not allow."""
    problems = []
    for name in sorted(values.keys() & options.keys()):
        if message := _judge(name, values[name], options[name].spec):
            problems.append(Problem(name, message))
    return problems


def wrong_doors(values: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each door to downloads that is not as documented; of the right types already."""
    problems = [
        Problem(*row) for row in doors.wrong(values.get("artifact_mirror") or "", values.get("proxy_url") or "")
    ]
    for registry, entry in (values.get("registry_mirrors") or {}).items():
        try:
            mirrors.Mirror.of(entry, registry)
        except mirrors.MirrorError as error:
            problems.append(Problem("registry_mirrors", str(error)))
    return problems


def unpinned(candidates: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Return a problem for each stack that names no hash for something, where `require_pins` forbids that."""
    problems = []
    for stack in candidates:
        if keys := needs.unpinned(stack):
            message = f"require_pins is true, but the stack {stack['name']} has no value for {listed(keys)}"
            problems.append(Problem("require_pins", f"{message}; fill them with scripts/pin-stack, or set it to false"))
    return problems


def report(problems: Iterable[Problem], host: str = "") -> str:
    """Return one message with all problems, the first as its headline."""
    where = f" for {host}" if host else ""
    return sentences([problem.message for problem in problems], f"in the inventory{where}")


def _judge(name: str, value: object, spec: Mapping[str, Any]) -> str:
    """Return what is wrong with ``value``, or an empty string."""
    wanted = spec.get("type", "str")
    choices = spec.get("choices") or []
    seen = f"{name} is {'a secret' if spec.get('no_log') else shown(value)}"
    if value is None and spec.get("default") is None:
        return ""  # the same as not set
    if _converts_in_silence(value, wanted) or not _fits(name, value, {"type": wanted}):
        hint = _as_extra_var(name, spec) if wanted in {"list", "dict"} else _example(spec)
        return f"{seen} ({kind(value)}), but must be {_WORDS.get(wanted, wanted)}{hint}"
    if form := _form(name, value, wanted):
        return f"{seen}, but must be {form}{_example(spec)}"
    if choices and wanted != "list" and not _fits(name, value, {"type": wanted, "choices": choices}):
        guess = nearest(str(value), map(str, choices))
        return f"{seen}, but must be {listed(choices, 'or')}" + (f"; did you mean {guess}?" if guess else "")
    rules = {key: rule for key, rule in spec.items() if key not in {"default", "required"}}
    if error := _elements(value, spec.get("elements", "raw")) or _complaint(name, value, rules):
        detail = "its documented form is in the role's README" if spec.get("no_log") else error
        return f"{name} is not as documented: {detail}"
    return ""


def _converts_in_silence(value: object, wanted: str) -> bool:
    """Tell whether ansible's validator would pass ``value`` by converting it to something that the role never sees."""
    if wanted in {"list", "dict"}:
        return isinstance(value, str | int | float) or value is None
    if wanted in {"str", "path"}:
        return isinstance(value, dict | list | bool) or value is None
    return wanted in {"int", "float"} and isinstance(value, bool)


def _complaint(name: str, value: object, rules: Mapping[str, Any]) -> str:
    """Return the first error of ansible's validator on one line, or an empty string."""
    result = ArgumentSpecValidator({name: dict(rules)}).validate({name: value}, validate_role_argument_spec=True)
    return " ".join(result.error_messages[0].split()).rstrip(".") if result.error_messages else ""


def _fits(name: str, value: object, rules: Mapping[str, Any]) -> bool:
    return not _complaint(name, value, rules)


def _example(spec: Mapping[str, Any]) -> str:
    default = spec.get("default")
    return "" if default in (None, "", [], {}) or "{{" in str(default) else f", e.g. {default}"


def _as_extra_var(name: str, spec: Mapping[str, Any]) -> str:
    sample = spec.get("default") or (["a", "b"] if spec["type"] == "list" else {"a": "b"})
    return f"; on the command line write -e '{json.dumps({name: sample})}'"


def _elements(value: object, wanted: str) -> str:
    """Return which element of a list would be converted in silence, and to what; empty when none would."""
    for item in value if isinstance(value, list) else []:
        if _converts_in_silence(item, wanted):
            return f"{shown(item)} in it is {kind(item)}, but must be {_WORDS[wanted]}"
    return ""


def _form(name: str, value: object, wanted: str) -> str:
    """Return what a value must be by its name's ending, which no spec can say; empty when it is."""
    if wanted == "int" and name.endswith("_port") and not 1 <= int(str(value)) <= 65535:
        return "a port number from 1 to 65535"
    if name.endswith("_listen") and not _is_address(value):
        return "an IP address"
    return ""


def _is_address(value: object) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True
