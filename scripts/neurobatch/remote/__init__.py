"""Programs that roles run on a server: one SSH round trip, standard library only, nothing left behind.

Each module here with a function ``main(params)`` prints an answer. `program` joins it with the modules of this package
that it imports (`neurobatch.remote.common`, `neurobatch.remote.host.size`, ...) and its parameters into one text, which
a role hands to ``python3 -`` as standard input: so parameters, secrets among them, appear in no process list. The text
makes real modules of its parts: names do not meet, imports and line numbers are those of this checkout. They run under
the server's own Python, 3.9 at the oldest.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_PACKAGE = "neurobatch.remote"
#: Valid under any Python 3, so that an old one says what it lacks instead of a syntax error.
_LOADER = """\
import json
import sys
import types

if sys.version_info < (3, 9):
    sys.exit("Python on this server is %d.%d, but 3.9 or newer is needed" % sys.version_info[:2])


def part(name, source):
    module = sys.modules[name] = types.ModuleType(name)
    package, _, attribute = name.rpartition(".")
    if package:
        setattr(sys.modules[package], attribute, module)
    exec(compile(source, name, "exec"), module.__dict__)

"""


def program(name: str, params: Mapping[str, Any] | None = None) -> str:
    """Return the text of the program ``name`` with ``params`` (JSON values) filled in.

    Raises:
        FileNotFoundError: there is no such program.
    """
    # JSON text inside a JSON string: every JSON string is a Python string literal, too.
    arguments = json.dumps(json.dumps(dict(params or {})))
    call = f"sys.modules[{f'{_PACKAGE}.{name}'!r}].main(json.loads({arguments}))\n"
    return "".join([_LOADER, *(_part(module, source) for module, source in parts(name).items()), call])


def parts(name: str) -> dict[str, str]:
    """Return the modules that the program ``name`` consists of by name, each after those that it needs; packages empty.

    Raises:
        FileNotFoundError: there is no such program.
    """
    return dict(_parts(_HERE, f"{_PACKAGE}.{name}"))


@cache
def _parts(here: Path, entry: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}

    def add(module: str) -> None:
        if module in found:
            return
        package = module.rpartition(".")[0]
        while package:
            found.setdefault(package, "")
            package = package.rpartition(".")[0]
        source = _file(here, module).read_text(encoding="utf-8")
        for needed in _own_imports(here, source):
            add(needed)
        found[module] = source

    add(entry)
    order = sorted((name for name, source in found.items() if not source), key=lambda name: name.count("."))
    return tuple((name, found[name]) for name in [*order, *(name for name in found if found[name])])


def _file(here: Path, module: str) -> Path:
    return here.joinpath(*module.removeprefix(f"{_PACKAGE}.").split(".")).with_suffix(".py")


def _own_imports(here: Path, source: str) -> list[str]:
    """Return the modules of this package that ``source`` imports, as `from PACKAGE import MODULE` or from a module."""
    named = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{_PACKAGE}."):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            named += [name if _file(here, name).is_file() else str(node.module) for name in inside]
    return list(dict.fromkeys(named))


def _part(module: str, source: str) -> str:
    """Return the call that makes a module; its source stays readable where it holds no quotes of its own like these."""
    literal = repr(source) if "'''" in source or source.endswith("\\") else f"r'''{source}'''"
    return f"part({module!r}, {literal})\n"
