"""docs/requirements.md names every requirement once and in order, and only files that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "requirements.md"
#: How many there are of each kind; numbers run from 1 without a gap.
COUNTS = {"D": 6, "S0": 83, "S1": 4, "S2": 20, "S3": 43, "S4": 37}
_ROW = re.compile(r"^\| (D\d|S\d-\d\d) \| (.+) \| (.+) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    return _ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_every_number_is_there_once_and_in_order() -> None:
    wanted = [
        f"D{number}" if kind == "D" else f"{kind}-{number:02d}"
        for kind, count in COUNTS.items()
        for number in range(1, count + 1)
    ]
    assert [number for number, _, _ in rows()] == wanted


def test_each_is_one_short_line_that_stands_once() -> None:
    said = [what for _, what, _ in rows()]
    assert [what for what in said if len(what) > 120] == []
    assert len(set(said)) == len(said)


def test_each_says_where_it_is_met_or_that_it_is_not() -> None:
    wrong = [number for number, _, where in rows() if not re.search(r"`[^`]*[/.][^`]*`|^not yet", where)]
    assert wrong == []


def test_the_files_exist() -> None:
    named = {
        name
        for number, _, where in rows()
        for name in re.findall(r"`([^`]+)`", where)
        if "/" in name  # a variable's name has none
    }
    assert len(named) > 10
    assert [name for name in sorted(named) if not (PROJECT / name).is_file()] == []


def test_numbers_named_in_the_code_are_on_the_page() -> None:
    listing = subprocess.run(["git", "-C", PROJECT, "ls-files", "-z"], capture_output=True, text=True, check=True)
    known = {number for number, _, _ in rows()}
    named: dict[str, str] = {}
    for name in listing.stdout.split("\0"):
        path = PROJECT / name
        if path.suffix in {".py", ".yml", ".j2", ".md", ".sh"} and path.is_file():
            for number in re.findall(r"\bS[0-4]-\d+\b", path.read_text(encoding="utf-8")):
                named.setdefault(number, name)
    assert len(named) > 10
    assert {number: name for number, name in named.items() if number not in known} == {}
