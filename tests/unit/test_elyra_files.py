"""What is written into a scientist's home, and what is left alone there."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from neurobatch.remote import elyra_files, program

RUNTIME = {"path": "a/runtime.json", "content": '{"k": 1, "l": 2}', "mode": "0600", "managed": True}
GIFT = {"path": "b/start.txt", "content": "first", "mode": "0644", "managed": False}


def apply(home: Path, *documents: dict[str, Any], write: bool = True) -> list[str]:
    """Run the program as in the container and return the paths that differ."""
    run = subprocess.run(
        [sys.executable, "-c", program("elyra_files", {"home": str(home)})],
        input=json.dumps({"documents": documents, "write": write}),
        capture_output=True,
        text=True,
        check=True,
    )
    paths: list[str] = json.loads(run.stdout)["differs"]
    return paths


def test_documents_are_written_once_with_their_modes(tmp_path: Path) -> None:
    assert apply(tmp_path, RUNTIME, GIFT, write=False) == [RUNTIME["path"], GIFT["path"]]
    assert not list(tmp_path.iterdir())
    assert apply(tmp_path, RUNTIME, GIFT) == [RUNTIME["path"], GIFT["path"]]
    assert (tmp_path / "a/runtime.json").stat().st_mode & 0o777 == 0o600
    assert apply(tmp_path, RUNTIME, GIFT) == []


def test_a_managed_document_is_brought_back_but_not_for_its_layout(tmp_path: Path) -> None:
    apply(tmp_path, RUNTIME)
    target = tmp_path / "a/runtime.json"
    target.write_text('{\n "l": 2,\n "k": 1}')
    assert apply(tmp_path, RUNTIME) == []
    for spoil in (lambda: target.write_text('{"k": 2}'), lambda: target.chmod(0o644), target.unlink):
        spoil()
        assert apply(tmp_path, RUNTIME) == [RUNTIME["path"]]
        assert apply(tmp_path, RUNTIME) == []


def test_a_gift_follows_until_somebody_changes_it(tmp_path: Path) -> None:
    apply(tmp_path, GIFT)
    second = {**GIFT, "content": "second"}
    assert apply(tmp_path, second) == [GIFT["path"]]
    (tmp_path / "b/start.txt").write_text("mine")
    assert apply(tmp_path, {**GIFT, "content": "third"}) == []
    assert (tmp_path / "b/start.txt").read_text() == "mine"


def test_a_gift_that_was_removed_or_was_there_before_stays_so(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/start.txt").write_text("older")
    assert apply(tmp_path, GIFT) == []
    (tmp_path / "b/start.txt").unlink()
    assert apply(tmp_path, GIFT) == [GIFT["path"]]
    (tmp_path / "b/start.txt").unlink()
    assert apply(tmp_path, GIFT) == []


def test_what_somebody_made_of_a_managed_document_is_put_aside(tmp_path: Path) -> None:
    apply(tmp_path, RUNTIME)
    apply(tmp_path, {**RUNTIME, "content": '{"k": 2}'})
    assert not (tmp_path / elyra_files.KEPT).exists()  # only our settings had changed
    (tmp_path / "a/runtime.json").write_text('{"k": "mine"}')
    apply(tmp_path, RUNTIME)
    assert json.loads((tmp_path / "a/runtime.json").read_text()) == {"k": 1, "l": 2}
    (kept,) = (tmp_path / elyra_files.KEPT).iterdir()
    assert kept.read_text() == '{"k": "mine"}'
    assert kept.name.startswith("runtime-")
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "The home is full"),
        (errno.EDQUOT, "The home is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "cannot write"),
    ],
)
def test_a_home_that_cannot_be_written_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    apply(tmp_path, RUNTIME)
    before = (tmp_path / "a/runtime.json").read_text()

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(os, "replace", fail)
    order = {"documents": [{**RUNTIME, "content": '{"k": 3}'}], "write": True}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(order)))
    with pytest.raises(SystemExit, match=said):
        elyra_files.main({"home": str(tmp_path)})
    assert (tmp_path / "a/runtime.json").read_text() == before
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["runtime.json"]
