"""`neurobatch preflight`: what Ansible reports becomes a table, JSON and an exit code."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from neurobatch import cli, preflight
from neurobatch.pages import hosts
from neurobatch.preflight import Finding, Wanted, command


def task(name: str, host: str, **result: Any) -> dict[str, Any]:
    return {"task": {"name": name}, "hosts": {host: result}}


def report(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"plays": [{"tasks": list(tasks)}]}


def judged(name: str) -> dict[str, Any]:
    """Return the task that judges a recorded host."""
    rows = preflight.plain(preflight.verdict(hosts.facts(name), Wanted()))
    facts = {"__preflight_findings": rows, "neurobatch_stack_choice": {"why": "The server gets kfp-2.0.0."}}
    return task("preflight : Host | Publish the stack and judge the server", "lab", ansible_facts=facts)


def test_a_healthy_server_is_accepted_and_a_warned_one_is_too() -> None:
    [healthy] = command.read(report(judged("debian-12")))
    assert healthy.verdict == "accepted"
    assert healthy.lines()[0] == "lab: accepted"
    assert healthy.lines()[-1].split(maxsplit=2) == ["ok", "stack", "The server gets kfp-2.0.0."]
    [warned] = command.read(report(judged("ubuntu-24.04-stock")))
    assert warned.lines()[0] == "lab: warned (2 to know)"
    assert [command.VERDICTS[host.verdict] for host in (healthy, warned)] == [0, 0]


def test_what_refuses_comes_first_with_its_remedy_below() -> None:
    refusal = task("preflight : Host | Refuse", "lab", failed=True, msg="This server is arm64 ...")
    [host] = command.read(report(judged("many-faults"), refusal))
    lines = host.lines()
    assert lines[0] == "lab: refused (3 to mend)"
    assert lines[1].split() == [
        "NO", "architecture", "This", "server", "is", "arm64,", "but", "Neurodesk's", "tools", "exist", "for", "x86-64",
        "only",
    ]  # fmt: skip
    assert lines[2].strip() == "-> choose an x86-64 server"
    assert max(map(len, lines)) <= command.WIDTH
    marks = [line.split()[0] for line in lines[1:] if not line.startswith("       ")]
    assert marks == sorted(marks, key=["NO", "WARN", "ok"].index)


def test_a_refused_inventory_lists_every_reason() -> None:
    said = "a is wrong\n2 more in the inventory for lab:\n(2) b is wrong\n(3) c is wrong"
    failed = task("preflight : Inventory | Check variables", "lab", failed=True, msg=said)
    [host] = command.read(report(failed))
    assert [(row.check, row.message) for row in host.findings] == [
        ("inventory", "a is wrong"), ("inventory", "b is wrong"), ("inventory", "c is wrong")
    ]  # fmt: skip
    assert host.verdict == "refused"


def test_a_program_that_fails_is_no_acceptance() -> None:
    failed = task("preflight : Host | Read what the server is", "lab", failed=True, msg="non-zero return code")
    [host] = command.read(report(failed))
    assert (host.verdict, command.VERDICTS[host.verdict]) == ("failed", 3)
    assert "Read what the server is failed: non-zero return code" in host.findings[0].message


def test_the_worst_server_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = task("preflight : Host | Read", "far", unreachable=True, msg="Failed to connect:\n no route")
    monkeypatch.setattr(command, "play", lambda *_: (report(judged("debian-12"), away), ""))
    assert cli.main(["preflight", "-i", str(tmp_path), "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "unreachable"
    assert {row["host"]: row["verdict"] for row in said["hosts"]} == {"far": "unreachable", "lab": "accepted"}
    assert said["hosts"][0]["findings"][0]["message"] == "Failed to connect: no route"
    assert set(said["hosts"][1]["findings"][0]) == set(Finding.__dataclass_fields__)


def test_no_inventory_and_an_empty_one_are_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["preflight", "-i", str(tmp_path / "none")]) == 2
    assert "there is no inventory" in capsys.readouterr().err
    monkeypatch.setattr(command, "play", lambda *_: ({"plays": []}, ""))
    assert cli.main(["preflight", "-i", str(tmp_path)]) == 2
    assert "it names no server" in capsys.readouterr().err


def test_a_real_run_says_that_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        inventory = tmp_path / "hosts.yml"
        host = f"{{ansible_host: 127.0.0.1, ansible_port: {probe.getsockname()[1]}, ansible_connection: ssh}}"
        inventory.write_text(f"all: {{hosts: {{lab: {host}}}}}\n")
        assert cli.main(["preflight", "-i", str(inventory)]) == 3
    out = capsys.readouterr().out
    assert out.startswith("lab: unreachable (1 to mend)\n  NO    login  ")
    assert "nothing was touched" in out
