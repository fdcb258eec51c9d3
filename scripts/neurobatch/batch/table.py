"""The table of subjects: a header, one row each, the first column names the subject (as in BIDS' participants.tsv)."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from neurobatch.batch.refusal import RefusalError

LARGEST = 10_000
#: A subject is a folder's name and part of a run's name.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = frozenset({"failed"})


@dataclass(frozen=True)
class Table:
    """The columns in their order, and the rows by subject."""

    columns: tuple[str, ...]
    rows: dict[str, dict[str, str]]


def read(path: Path) -> Table:
    """Return the table in a .tsv or .csv file (UTF-8).

    Raises:
        RefusalError: no such file, no rows, ragged rows, ids that are empty, double or no folder's name; with the line.
    """
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, delimiter=delimiter))
    except FileNotFoundError:
        raise RefusalError(f"There is no table {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RefusalError(f"The table {path} cannot be read: {error}.") from error
    kind = "commas" if delimiter == "," else "tabs"
    if not lines or not any(cell.strip() for cell in lines[0]):
        raise RefusalError(f"The table {path} is empty; its first line names the columns, separated by {kind}.")
    columns = tuple(cell.strip() for cell in lines[0])
    if "" in columns or len(set(columns)) < len(columns):
        raise RefusalError(f"{path}, line 1: a column has no name or the name of another one: {', '.join(columns)}.")
    rows: dict[str, dict[str, str]] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        if len(line) != len(columns):
            raise RefusalError(
                f"{path}, line {number}: {len(line)} cells where the header has {len(columns)}, separated by {kind}."
            )
        subject = line[0].strip()
        where = f"{path}, line {number}"
        if not subject:
            raise RefusalError(f"{where}: the subject in column {columns[0]} is empty.")
        # Folders on some file systems do not tell capitals apart.
        if subject.lower() in seen:
            raise RefusalError(f"{where}: the subject {subject} is there already, in line {seen[subject.lower()]}.")
        if not ID.fullmatch(subject) or subject.lower() in RESERVED:
            raise RefusalError(
                f"{where}: {subject!r} cannot name a folder; use letters, digits, dots, hyphens, underscores."
            )
        seen[subject.lower()] = number
        rows[subject] = dict(zip(columns, (cell.strip() for cell in line), strict=True))
    if not rows:
        raise RefusalError(f"The table {path} has a header and no subject.")
    if len(rows) > LARGEST:
        raise RefusalError(f"The table {path} has {len(rows)} subjects; {LARGEST} is the most, split it.")
    return Table(columns, rows)
