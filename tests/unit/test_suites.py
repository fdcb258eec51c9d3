"""What make test counts, and that nothing passes by not having been run."""

from __future__ import annotations

import builtins
import dis
import sys
import types
from pathlib import Path

import pytest

from tests import suites
from tests.server import playbook, probe, remote, services, snapshot

JUNIT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="a" name="one"/><testcase classname="a" name="two"><failure message="no"/></testcase>
<testcase classname="b" name="three"><skipped/></testcase><testcase classname="b" name="four"><error/></testcase>
</testsuite></testsuites>"""
RECAP = (
    "PLAY RECAP ***\n"
    "sandbox            : ok=19   changed=2    unreachable=0    failed=0    skipped=15   rescued=0    ignored=0   \n"
)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep results in a folder of their own."""
    monkeypatch.setattr(suites, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_junit_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(JUNIT)
    counts = suites.junit(tmp_path / "x.xml")
    assert (counts.passed, counts.failed, counts.skipped) == (1, 2, 1)
    assert counts.failures == ["a::two", "b::four"]


@pytest.mark.parametrize("text", [None, "", "<testsuites>"])
def test_a_junit_file_that_cannot_be_read_is_a_failure(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "x.xml").write_text(text)
    assert suites.junit(tmp_path / "x.xml").failed == 1


def test_the_closing_line() -> None:
    assert suites.Counts(3, 0).closing_line() == "neurobatch: 3 passed, 0 failed"
    assert suites.Counts(3, 1, 2).closing_line() == "neurobatch: 3 passed, 1 failed, 2 skipped"


def test_every_suite_runs_although_one_fails_and_the_line_comes_last(
    quiet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = suites.Counts(1, 1, failures=["bad one"])
    monkeypatch.setattr(suites, "SUITES", {"bad": lambda: bad, "good": lambda: suites.Counts(2), "none": suites.Counts})
    assert suites.main(["good"]) == 0
    assert suites.main(["bad", "good"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED bad one" in lines
    assert lines[-1] == "neurobatch: 3 passed, 1 failed"
    # A suite that ran nothing has not passed.
    assert suites.main(["none"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "neurobatch: 0 passed, 1 failed"


def test_molecules_asserting_steps_are_counted() -> None:
    steps = suites.Steps()
    for line in (
        "INFO     [default > discovery] scenario test matrix: create, check, verify tests/fresh, idempotence, converge",
        "INFO     [default > create] Executing",
        "INFO     [default > create] Executed: Successful",
        "INFO     [default > check] Executing",
        "INFO     [default > check] Executed: Successful",
        "INFO     [default > verify] Executing",
        "INFO     [default > verify] Executing Testinfra tests found in …",
        "INFO     [default > verify] Executed: Successful",
        "INFO     [default > idempotence] Executing",
    ):
        steps.read(line)
    assert steps.current == "idempotence"
    steps.read("ERROR    [default > idempotence] \x1b[31mExecuted: Failed\x1b[0m")
    assert (steps.counts.passed, steps.counts.failures) == (1, ["molecule: idempotence"])
    assert steps.verified == 1
    steps.read("INFO     [default > destroy] Executing")
    steps.read("INFO     [default > destroy] Executed: Successful")
    assert [name for name, _ in steps.times] == ["create", "check", "verify tests/fresh", "idempotence", "destroy"]


def test_a_command_is_shown_line_by_line_and_may_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    class Lines(suites.Watcher):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def read(self, line: str) -> None:
            self.seen.append(line)

    watcher = Lines()
    assert (
        suites.run([sys.executable, "-c", "import sys; print(1); print(2, file=sys.stderr); sys.exit(3)"], watcher) == 3
    )
    assert [line.strip() for line in watcher.seen] == ["1", "2"]
    assert suites.run(["no-such-program"]) == 127
    assert "no-such-program is not installed" in capsys.readouterr().out


def test_the_suites_environment_has_the_locked_programs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", "/elsewhere")
    environment = suites.environment()
    assert environment["PATH"].startswith(str(suites.CHECKOUT / ".venv" / "bin"))
    assert "ANSIBLE_ROLES_PATH" not in environment


def test_a_recap_is_read() -> None:
    result = playbook.Result(0, f"TASK [x]\nok: [sandbox]\n\n{RECAP}", 1.0)
    assert result.recap() == {
        "ok": 19, "changed": 2, "unreachable": 0, "failed": 0, "skipped": 15, "rescued": 0, "ignored": 0
    }  # fmt: skip
    with pytest.raises(ValueError, match="0 recap lines"):
        playbook.Result(4, "ERROR! no playbook", 1.0).recap()


def test_a_snapshot_tells_what_came_went_and_changed() -> None:
    before = {"files": {"/a": "1", "/b": "1", "/c": "1"}, "packages": {}}
    after = {"files": {"/b": "1", "/c": "2", "/d": "1"}, "packages": {"docker.io": "20"}}
    assert snapshot.differences(before, after) == [
        "files: + /d", "files: - /a", "files: /c: 1 -> 2", "packages: + docker.io"
    ]  # fmt: skip
    assert snapshot.differences(before, before) == []


def global_names(code: types.CodeType) -> set[str]:
    """Return the names that a function, and those inside it, look up outside of themselves."""
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    own = {entry.argval for entry in dis.get_instructions(code) if entry.opname == "LOAD_GLOBAL"}
    return own.union(*(global_names(each) for each in inner))


@pytest.mark.parametrize(
    "function", [remote.http, snapshot.read_server, services.read_incarnations, probe.connect_here]
)
def test_functions_for_the_server_stand_alone(function: types.FunctionType) -> None:
    # Sent as text: a name of this module would be missing there.
    assert global_names(function.__code__) <= set(dir(builtins))
