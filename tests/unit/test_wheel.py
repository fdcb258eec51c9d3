"""The wheel that servers get: complete, the same bytes for the same files, and nothing left in the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from neurobatch import wheel


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for path in wheel.sources():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel.ROOT / path, root / path)
    return root


def test_a_wheel_holds_the_compiled_pipelines_and_runs(checkout: Path, tmp_path: Path) -> None:
    before = sorted(checkout.rglob("*"))
    made = wheel.build(tmp_path, checkout)
    assert sorted(checkout.rglob("*")) == before
    names = zipfile.ZipFile(made).namelist()
    assert "neurobatch/kfp/specs/smoke-kfp-2.0.0.yaml" in names
    assert not [name for name in names if "__pycache__" in name]
    code = "from neurobatch.kfp import template; print(template.__file__, template.load('smoke', 'kfp-2.0.0').steps)"
    environment = {"PYTHONPATH": str(made)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(str(made)) and "consume" in run.stdout


def test_the_same_files_make_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    first = wheel.build(tmp_path, checkout).read_bytes()
    for path in checkout.rglob("*.py"):
        path.touch()
    assert wheel.build(tmp_path, checkout).read_bytes() == first


def test_the_digest_follows_files_and_lock(checkout: Path) -> None:
    digest = wheel.digest("lock", checkout)
    assert digest == wheel.digest("lock", checkout) != wheel.digest("other", checkout)
    (checkout / wheel.PACKAGE / "__pycache__").mkdir()
    (checkout / wheel.PACKAGE / "__pycache__" / "x.pyc").touch()
    assert wheel.digest("lock", checkout) == digest
    (checkout / wheel.PACKAGE / "new.py").touch()
    assert wheel.digest("lock", checkout) != digest
