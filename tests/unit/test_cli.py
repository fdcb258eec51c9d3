"""The command line: exit codes, output, and how fast it answers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from neurobatch import cli


def test_a_stack_is_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stack", "show", "kfp-2.0.0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "kfp-2.0.0"


def test_stacks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stack", "list"]) == 0
    assert capsys.readouterr().out.startswith("kfp-2.0.0  (shipped)")


def test_an_unknown_stack_is_one_sentence_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stack", "show", "kfp-2.0"]) == 1
    assert capsys.readouterr().err.startswith("neurobatch: unknown stack 'kfp-2.0'; did you mean kfp-2.0.0?")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from neurobatch import cli; cli.parser().format_help(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"yaml", "jsonschema", "ansible"}.isdisjoint(run.stdout.split())


@pytest.mark.parametrize(
    "verb", ["run", "submit", "pipeline", "resume", "resubmit", "list", "status", "logs", "cancel", "fetch", "smoke"]
)
def test_help_names_the_exit_codes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    text = capsys.readouterr().out
    assert "exit codes: 0 " in text and "usage: " in text


def test_a_look_at_a_run_imports_no_sdk_and_no_yaml() -> None:
    code = (
        "import sys; from neurobatch.batch import command, drive, fetch, submit; from neurobatch.kfp import pods;"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"yaml", "kfp", "requests", "urllib3", "kubernetes", "asyncio"}.isdisjoint(run.stdout.split())
