"""What can be said of a notebook before it runs: is it one, and which parameters does it take.

Parameters are papermill's: the names that the cell tagged ``parameters`` assigns. Values on the command line and in
tables are text; as in papermill they become True, False, None, integers and floats where they look like one, but a
number with leading zeros (``007``) stays text, since ids are written so.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurobatch.batch.inputs import content_of
from neurobatch.batch.refusal import RefusalError

TAG = "parameters"
_WORDS = {"True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Notebook:
    """A notebook file: where it is, its bytes, and the parameters it takes (None: it has no such cell)."""

    path: Path
    content: bytes
    parameters: tuple[str, ...] | None

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    def check(self, names: list[str], *, origin: str) -> None:
        """Refuse names that are no parameters of it.

        Raises:
            RefusalError: names the first wrong one and those that there are.
        """
        if names and self.parameters is None:
            raise RefusalError(
                f"{self.path} has no cell tagged {TAG!r}, so nothing can be set; tag the cell with the defaults "
                "(JupyterLab: property inspector, Cell Tags)."
            )
        for name in names:
            if name not in (self.parameters or ()):
                there = ", ".join(self.parameters or ()) or "none"
                raise RefusalError(f"{self.path} has no parameter {name!r} ({origin}); it has: {there}.")


def read(path: Path) -> Notebook:
    """Return the notebook.

    Raises:
        RefusalError: there is none, or it is no notebook of format 4.
    """
    content = content_of(path, "notebook")
    try:
        document = json.loads(content)
    except ValueError as error:
        raise RefusalError(f"{path} is no notebook: it is not JSON ({error}).") from error
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or document.get("nbformat") != 4:
        raise RefusalError(f"{path} is no notebook of format 4; open it in JupyterLab and save it.")
    if not any(isinstance(cell, dict) and cell.get("cell_type") == "code" for cell in cells):
        raise RefusalError(f"{path} has no code cell: there is nothing to run.")
    return Notebook(path, content, _parameters(cells))


def _parameters(cells: list[Any]) -> tuple[str, ...] | None:
    for cell in cells:
        if isinstance(cell, dict) and TAG in ((cell.get("metadata") or {}).get("tags") or []):
            source = cell.get("source", "")
            return _names("".join(source) if isinstance(source, list) else str(source))
    return None


def _names(source: str) -> tuple[str, ...]:
    """Return the names that a cell assigns: as Python has it, else line by line (R, Julia, cells with magics)."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return tuple(dict.fromkeys(re.findall(r"^([A-Za-z][\w.]*)\s*(?:<-|=(?!=))", source, re.MULTILINE)))
    names: list[str] = []
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return tuple(dict.fromkeys(names))


def value(text: str) -> Any:
    """Return what a text stands for as a parameter's value."""
    if text in _WORDS:
        return _WORDS[text]
    if re.fullmatch(r"[+-]?(0|[1-9]\d*)", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?", text) and not re.match(r"[+-]?0\d", text):
        return float(text)
    return text
