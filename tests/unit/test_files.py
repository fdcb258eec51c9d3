"""Which files a role has to write."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from neurobatch.files import outdated

FILE = {"path": "/etc/x", "content": "größe\n", "mode": "0644"}
SAME: dict[str, Any] = {"sha256": hashlib.sha256("größe\n".encode()).hexdigest(), "mode": "0644", "owner": [0, 0]}


def test_a_file_that_is_as_it_should_be_is_left_alone() -> None:
    assert outdated([FILE], {"/etc/x": SAME}) == []


@pytest.mark.parametrize("change", [{"sha256": "0"}, {"mode": "0600"}, {"owner": [1000, 0]}, {"owner": [0, 1000]}])
def test_other_content_mode_or_owner_is_written_again(change: dict[str, Any]) -> None:
    assert outdated([FILE], {"/etc/x": {**SAME, **change}}) == [FILE]


@pytest.mark.parametrize("found", [{}, {"/etc/x": None}, {"/etc/y": SAME}])
def test_a_missing_file_is_written(found: dict[str, Any]) -> None:
    assert outdated([FILE], found) == [FILE]
