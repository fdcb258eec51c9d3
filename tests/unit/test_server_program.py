"""Programs run on a server without Ansible's own code around them; the server here is this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]


def play(tmp_path: Path, *tasks: dict[str, Any], options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run ``tasks`` in a play on this machine."""
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "lab,", "-c", "local", book, *options],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def asked(name: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a task that runs a program."""
    return {"name": "Ask", "server_program": {"name": name, "params": params or {}}, "register": "said"}


def test_the_answer_is_what_the_program_prints_also_in_check_mode(tmp_path: Path) -> None:
    folder = tmp_path / "with 'quotes' and äöü"
    folder.mkdir()
    tasks = (
        asked("remove", {"write": False, "files": [str(folder)]}),
        {
            "ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": str(tmp_path / "said.json")},
            "check_mode": False,
        },
    )
    run = play(tmp_path, *tasks, options=("--check",))
    assert run.returncode == 0, run.stdout
    said = json.loads((tmp_path / "said.json").read_text())
    assert (said["rc"], said["changed"], json.loads(said["stdout"])) == (0, False, [str(folder)])
    assert said["stdout_lines"] == [said["stdout"]]
    assert folder.is_dir()


def test_a_program_that_fails_fails_the_task_with_its_own_words(tmp_path: Path) -> None:
    run = play(tmp_path, asked("remove", {"write": False, "files": 5}))
    assert run.returncode != 0
    assert "'int' object is not iterable" in run.stdout


def test_parameters_are_in_no_trace(tmp_path: Path) -> None:
    run = play(tmp_path, asked("remove", {"write": False, "files": [], "x": "planted-secret"}), options=("-vvv",))
    assert run.returncode == 0, run.stdout
    assert "planted-secret" not in run.stdout + run.stderr
