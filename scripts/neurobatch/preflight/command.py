"""`neurobatch preflight`: run playbooks/preflight.yml and show its findings as a table, or as JSON for scripts.

The JSON: {verdict, seconds, hosts: [{host, verdict, findings: [{check, severity, message, remedy}]}]}; a verdict is
accepted, warned, refused, unreachable or failed, the whole's is the worst of its hosts'.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurobatch.preflight.model import Finding, Severity

PROJECT = Path(__file__).resolve().parents[3]
PLAYBOOK = "playbooks/preflight.yml"
#: Verdicts from best to worst, with the exit code of each; wrong usage is 2.
VERDICTS = {"accepted": 0, "warned": 0, "refused": 1, "unreachable": 3, "failed": 3}
WRONG_USAGE = 2
MARKS = {"ok": "ok", "warn": "WARN", "refuse": "NO"}
WIDTH = 120


@dataclass(frozen=True)
class Host:
    """What was found about one server, or about its part of the inventory."""

    host: str
    findings: tuple[Finding, ...]
    verdict: str

    def lines(self) -> list[str]:
        """Return the table: what refuses first, each with its remedy below it."""
        wide = max((len(finding.check) for finding in self.findings), default=0)
        rows = [f"{self.host}: {self.verdict}{self._counted()}"]
        for finding in sorted(self.findings, key=lambda row: list(MARKS).index(row.severity), reverse=True):
            head = f"  {MARKS[finding.severity]:<4}  {finding.check:<{wide}}  "
            rows += textwrap.wrap(finding.message, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
            if finding.remedy:
                fix = " " * len(head) + "-> "
                rows += textwrap.wrap(
                    finding.remedy, WIDTH, initial_indent=fix, subsequent_indent=" " * len(fix),
                    break_long_words=False, break_on_hyphens=False,
                )  # fmt: skip
        return rows

    def _counted(self) -> str:
        counts = Counter(finding.severity for finding in self.findings)
        words: dict[Severity, str] = {"refuse": "to mend", "warn": "to know"}
        said = [f"{counts[kind]} {word}" for kind, word in words.items() if counts[kind]]
        return f" ({', '.join(said)})" if said else ""


def read(report: Mapping[str, Any]) -> list[Host]:
    """Return what Ansible's JSON report of a run says about each server."""
    found: dict[str, dict[str, Any]] = {}
    for play in report["plays"]:
        for task in play["tasks"]:
            for name, result in task["hosts"].items():
                host = found.setdefault(name, {"findings": [], "trouble": None, "state": ""})
                facts = result.get("ansible_facts") or {}
                if "__preflight_findings" in facts:
                    host["findings"] = [Finding(**row) for row in facts["__preflight_findings"]]
                    if choice := facts.get("neurobatch_stack_choice"):
                        host["findings"].append(Finding("stack", "ok", choice["why"]))
                if result.get("unreachable") or result.get("failed"):
                    host["trouble"] = host["trouble"] or (task["task"]["name"], result)
    return [_host(name, found[name]["findings"], found[name]["trouble"]) for name in sorted(found)]


def _host(name: str, findings: list[Finding], trouble: tuple[str, Mapping[str, Any]] | None) -> Host:
    severities = {finding.severity for finding in findings}
    if "refuse" in severities:
        return Host(name, tuple(findings), "refused")
    if trouble:
        task, result = trouble
        message = str(result.get("msg") or result.get("stderr") or result.get("module_stderr") or "no reason given")
        if result.get("unreachable"):
            remedy = f"log in once by hand (`ssh {name}`), and compare address, user and key in the inventory"
            return Host(name, (Finding("login", "refuse", " ".join(message.split()), remedy),), "unreachable")
        if "Inventory |" in task:
            return Host(name, tuple(Finding("inventory", "refuse", text) for text in _reasons(message)), "refused")
        row = Finding("preflight", "refuse", f"{task} failed: {' '.join(message.split())}")
        return Host(name, (*findings, row), "failed")
    return Host(name, tuple(findings), "warned" if "warn" in severities else "accepted")


def _reasons(message: str) -> list[str]:
    """Return the sentences of `neurobatch.wording.sentences`."""
    lines = message.splitlines()
    return [lines[0], *(re.sub(r"^\(\d+\) ", "", line) for line in lines[2:])]


def play(inventory: str, options: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Run the playbook and return Ansible's report (empty where it had none) and what it complained of.

    Raises:
        FileNotFoundError: Ansible is not installed beside this Python.
    """
    ansible = Path(sys.executable).with_name("ansible-playbook")
    run = subprocess.run(
        [str(ansible), "-i", str(Path(inventory).absolute()), PLAYBOOK, *options],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    start = run.stdout.find("{")
    try:
        return json.loads(run.stdout[start:]) if start >= 0 else {}, run.stderr
    except ValueError:
        return {}, run.stdout[-2000:] + run.stderr


def run(args: argparse.Namespace) -> int:
    """Run `neurobatch preflight` and return its exit code."""
    if not Path(args.inventory).exists():
        return _wrong(f"there is no inventory {args.inventory}: copy inventories/example and edit it")
    started = time.monotonic()
    report, complaint = play(args.inventory, args.ansible)
    hosts = read(report) if report else []
    if not hosts:
        reason = " ".join(complaint.split())[-600:] or "it names no server"
        return _wrong(f"the inventory {args.inventory} could not be judged: {reason}")
    worst = max((host.verdict for host in hosts), key=list(VERDICTS).index)
    seconds = round(time.monotonic() - started, 1)
    if args.json:
        rows = [{**asdict(host), "findings": [asdict(row) for row in host.findings]} for host in hosts]
        print(json.dumps({"verdict": worst, "seconds": seconds, "hosts": rows}, indent=2))
    else:
        print("\n".join(line for host in hosts for line in host.lines()))
        print(f"preflight: {worst} in {seconds:g} s; nothing was touched")
    return VERDICTS[worst]


def _wrong(message: str) -> int:
    print(f"neurobatch preflight: {message}", file=sys.stderr)
    return WRONG_USAGE
