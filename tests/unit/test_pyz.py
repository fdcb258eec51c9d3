"""The one file that Neurodesktop gets: complete, the same bytes for the same files, and alone in the world."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from neurobatch import pyz

from tests.unit.batch_bench import CELLS, notebook
from tests.unit.kfp_server import Api, serving


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    pyz.build(tmp_path / "one")
    pyz.build(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_it_submits_without_any_package(tmp_path: Path) -> None:
    """With the bare interpreter, in an environment that would break it if it were looked at."""
    program = tmp_path / "neurobatch"
    pyz.build(program)
    assert os.access(program, os.X_OK) and program.read_bytes().startswith(b"#!/usr/bin/env -S python3 -I\n")
    (tmp_path / "book.ipynb").write_text(json.dumps(notebook(*CELLS)))
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the folder one is in')")
    api = Api()
    with serving(api) as endpoint:
        run = subprocess.run(
            [sys.executable, "-I", "-S", program, "run", "book.ipynb", f"--endpoint={endpoint}",
             f"--storage={tmp_path}", "--image=tools:1", "-p", "subject=x", "--json"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["counts"] == {"PENDING": 1}
    assert len(api.runs) == 1
