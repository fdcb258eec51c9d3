"""Programs for servers: complete, valid under the oldest Python that a supported server has, and tight-lipped."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from neurobatch import remote

HERE = Path(remote.__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in {"__init__", "common"})
#: What a program may import besides, because it runs inside the image that has it.
INSIDE = {"elyra_connect": frozenset({"minio"})}
#: What a part's text may hold and its literal in the program must survive.
QUOTES = """it's '''quoted''' \\ """
#: A stand-in for a program, which says what reached it and how.
ECHO = """
import json
import os
import sys

from neurobatch.remote.common import (
    text,
    output,
)
from neurobatch.remote.deep import topic


def main(params):
    print(json.dumps([params, sys.argv, text.__name__, topic.NAME, sorted(os.listdir("."))]))
"""


def test_there_are_programs() -> None:
    assert {"host_probe", "docker_probe", "neurodesktop_probe"} <= set(NAMES)


def test_the_loader_itself_is_read_by_any_python_3() -> None:
    ast.parse(remote.program("host_ports", {"a": 1}), feature_version=(3, 4))


@pytest.mark.parametrize("name", NAMES)
def test_every_part_is_valid_under_python_3_9(name: str) -> None:
    for module, source in remote.parts(name).items():
        ast.parse(source, module, feature_version=(3, 9))


@pytest.mark.parametrize("name", NAMES)
def test_the_program_needs_the_standard_library_and_its_own_parts_alone(name: str) -> None:
    parts = remote.parts(name)
    for source in parts.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                imported = {alias.name.split(".")[0] for alias in node.names}
                assert imported <= sys.stdlib_module_names | INSIDE.get(name, frozenset())
            elif isinstance(node, ast.ImportFrom):
                top = (node.module or "").split(".")[0]
                assert node.module in parts or top in sys.stdlib_module_names | INSIDE.get(name, frozenset())


def test_every_part_comes_after_those_that_it_needs() -> None:
    # Making the modules runs all imports; `main` itself would touch this machine.
    made = [remote.program(name).rpartition("sys.modules[")[0] for name in NAMES if name not in INSIDE]
    assert all(made)
    everything = "".join(f"exec(compile({text!r}, 'program', 'exec'))\n" for text in made)
    subprocess.run([sys.executable, "-I", "-"], input=everything, text=True, check=True)


def test_parameters_arrive_whole_and_in_no_process_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "common.py").write_text((HERE / "common.py").read_text())
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "topic.py").write_text(f"NAME = {QUOTES!r}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remote, "_HERE", tmp_path)
    params = {"secret": "s3cr3t'\"\\\n\u2028ü\x00", "list": [1, None, True], "empty": {}}
    text = remote.program("echo", params)
    run = subprocess.run([sys.executable, "-I", "-"], input=text, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [params, ["-"], "text", QUOTES, ["common.py", "deep", "echo.py"]]


def test_an_unknown_program_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        remote.program("nonsense")


def make_secrets(directory: Path, secrets: dict[str, str]) -> list[str]:
    """Run the program that makes secrets, here, and return what it says it has written."""
    text = remote.program("make_secrets", {"directory": str(directory), "secrets": secrets})
    run = subprocess.run([sys.executable, "-I", "-"], input=text, capture_output=True, text=True, check=True)
    written: list[str] = json.loads(run.stdout)
    return written


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets" / "neurodesktop"
    assert make_secrets(folder, {"a": "", "b": "given"}) == ["a", "b"]
    made = (folder / "a").read_text()
    assert len(made) == 48
    assert (folder / "b").read_text() == "given"
    modes = [oct(path.stat().st_mode & 0o7777) for path in (folder.parent, folder, folder / "a", folder / "b")]
    assert modes == ["0o700", "0o700", "0o600", "0o600"]
    assert make_secrets(folder, {"a": "", "b": ""}) == []
    assert (folder / "a").read_text() == made
    assert make_secrets(folder, {"a": "", "b": "other"}) == ["b"]
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
