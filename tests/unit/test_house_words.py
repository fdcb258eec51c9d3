"""The repository speaks of itself alone: no package registry's host, no word about how or where it is written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
#: In pieces, so that this file does not hold them. Sites have mirrors; hosts belong into their own settings.
REGISTRIES = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"), ("pythonhosted", "org"), ("debian", "org"), ("npmjs", "org"), ("npmjs", "com"),
        ("archive.ubuntu", "com"), ("anaconda", "org"), ("crates", "io"), ("rubygems", "org"), ("golang", "org"),
    )
]  # fmt: skip
WORDS = [
    "iss" + r"ues? #?\d", "iss" + "ues? show", "sand" + "boxing", "sub-?" + "agent", r"\.\./" + "shared",
    "shared/" + "seeds", r"(?<!\w)/wo" + "rk/", "co-" + "authored-by", "design" + r"\.md", "contract" + r"\.md",
    "(?:this|our|next) ses" + "sion", "language mo" + "del",
]  # fmt: skip


def hits(patterns: list[str]) -> list[str]:
    """Return "file:line: what" for each match in a tracked text file."""
    listing = subprocess.run(["git", "-C", PROJECT, "ls-files", "-z"], capture_output=True, text=True, check=True)
    wanted = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    found = []
    for name in filter(None, listing.stdout.split("\0")):
        path = PROJECT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" in content[:8000]:
            continue  # a picture
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            if match := wanted.search(line):
                found.append(f"{name}:{number}: {match[0]}")
    return found


def test_no_package_registry_is_named() -> None:
    assert hits([re.escape(host) for host in REGISTRIES]) == []


def test_no_word_of_our_own_process() -> None:
    assert hits(WORDS) == []


@pytest.mark.parametrize("word", ["MIT|License|neurobatch", r"import re$"])
def test_the_search_finds_what_is_there(word: str) -> None:
    assert hits([word])
