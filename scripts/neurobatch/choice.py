"""Which stack a server gets: what it has, else what the operator wants, else the fallback. Pure but for reading files.

A server keeps the stack that it was first given, in `RECORD`. A first installation takes `stack_fallback` only where
the wanted stack's images or files are gone; a network that is down, or a mirror that wants a login, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from neurobatch import needs
from neurobatch.needs import Doors
from neurobatch.preflight.model import Finding
from neurobatch.preflight.network import Verdict, verdict, where_of
from neurobatch.wording import listed

#: Where a server remembers its stack: {stack, wanted, origin, why}.
RECORD = "/etc/neurobatch/stack.json"
EXAMPLE = '{"stack": "kfp-2.0.0"}'

Resolve = Callable[[str], dict[str, Any]]
Answers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Choice:
    """The outcome.

    Attributes:
        stack: the resolved stack.
        why: one plain sentence.
        findings: what to show; one of severity "refuse" ends the run.
        record: what to write to the server; None where it is there already, or nothing was asked.
    """

    stack: dict[str, Any]
    why: str
    findings: tuple[Finding, ...]
    record: dict[str, str] | None


@dataclass(frozen=True)
class Wish:
    """What the operator asks for.

    Attributes:
        stack: the variable of that name.
        fallback: the variable `stack_fallback`; empty for none.
        doors: the way out, as the probe uses it.
        resolve: `neurobatch.stacks.resolve` with the directories filled in.
    """

    stack: str
    fallback: str
    doors: Doors
    resolve: Resolve

    def candidates(self) -> list[dict[str, Any]]:
        """Return the stacks that a first installation may get, the wanted one first: what has to be probed.

        Raises:
            StackError: one of them cannot be resolved.
        """
        first = self.resolve(self.stack)
        if not self.fallback or self.fallback == self.stack or first["origin"] != "shipped":
            return [first]
        return [first, self.resolve(self.fallback)]


def choose(wish: Wish, record: Mapping[str, str] | None, answers: Answers | None) -> Choice:
    """Return the stack for one server.

    Args:
        wish: what the operator asks for.
        record: what the server remembers, None on a first installation, empty where it cannot be read.
        answers: what the network probe found, None where it was not asked.

    Raises:
        StackError: a stack cannot be resolved.
    """
    if record is not None:
        return _kept(wish, record, answers)
    first, *others = wish.candidates()
    said = f"The stack is {wish.stack} ({first['origin']})."
    if answers is None:
        return _taken(first, wish.stack, said, ())
    seen = _judge(first, answers, wish.doors)
    if seen.possible:
        return _taken(first, wish.stack, said, seen.findings)
    if others and seen.absent:
        return _fallen_back(wish, (first, seen), others[0], answers)
    return Choice(first, said, _with_hint(seen, first, wish.fallback), None)


def _fallen_back(
    wish: Wish, missed: tuple[dict[str, Any], Verdict], second: dict[str, Any], answers: Answers
) -> Choice:
    """Return the fallback in place of the stack that was missed, or the refusal of both."""
    first, seen = missed
    other = _judge(second, answers, wish.doors)
    gone = _gone(seen, wish.doors)
    if not other.possible:
        message = f"Neither {wish.stack} ({gone}) nor its fallback {wish.fallback} can be had here"
        note = Finding("stack", "refuse", message, "remove what stands in the way of one of the two, named below")
        return Choice(first, message, (note, *dict.fromkeys((*seen.findings, *other.findings))), None)
    why = (
        f"{wish.stack} cannot be had here ({gone}); this first installation takes {wish.fallback} instead, as "
        "stack_fallback says, and the server stays with it."
    )
    return _taken(second, wish.stack, why, (Finding("stack", "warn", why.rstrip(".")), *other.findings))


def _kept(wish: Wish, record: Mapping[str, str], answers: Answers | None) -> Choice:
    """Return the stack that the server has, or a refusal to give it another."""
    name, wanted = record.get("stack", ""), wish.stack
    if not name:
        finding = Finding("stack", "refuse", f"{RECORD} is damaged", f"write the server's stack: {EXAMPLE}")
        return Choice(wish.resolve(wanted), finding.message, (finding,), None)
    if name != wanted and record.get("wanted") != wanted:
        message = f"This server was installed with the stack {name}, and the inventory now asks for {wanted}"
        remedy = (
            f"set `stack: {name}`; or, to change it, back up the home and the lab's data, reset the server "
            "(playbooks/reset.yml), and install again"
        )
        # The wanted stack is returned so that the refusal is what is read, whatever became of the other's file.
        return Choice(wish.resolve(wanted), message, (Finding("stack", "refuse", message, remedy),), None)
    stack = wish.resolve(name)
    why = f"The server keeps its stack {name} ({stack['origin']})."
    if name != wanted:
        why = f"The server keeps its stack {name}: {record.get('why') or f'{wanted} could not be had'}"
    findings: list[Finding] = []
    if answers is not None:
        # What runs, runs: a lack now is bad news for repairs, and no reason to leave the server alone.
        for finding in _judge(stack, answers, wish.doors).findings:
            lesser = "warn" if finding.severity == "refuse" else finding.severity
            findings.append(Finding(finding.check, lesser, finding.message, finding.remedy))
    return Choice(stack, why, tuple(findings), None)


def _judge(stack: Mapping[str, Any], answers: Answers, doors: Doors) -> Verdict:
    return verdict(stack["name"], needs.of(stack, doors), answers, doors)


def _taken(stack: dict[str, Any], wanted: str, why: str, findings: tuple[Finding, ...]) -> Choice:
    record = {"stack": stack["name"], "wanted": wanted, "origin": stack["origin"], "why": why}
    return Choice(stack, why, findings, record)


def _gone(seen: Verdict, doors: Doors) -> str:
    """Return in a few words what is not to be had."""
    hosts = sorted({where_of(need, doors) for need in seen.absent})
    if len(seen.absent) == 1:
        return f"{hosts[0]} has no {seen.absent[0].what}"
    kind = "images" if all(need.image for need in seen.absent) else "downloads"
    return f"{len(seen.absent)} of its {kind} are not on {listed(hosts)}"


def _with_hint(seen: Verdict, stack: Mapping[str, Any], fallback: str) -> tuple[Finding, ...]:
    """Return the findings; those of absence say what else would help."""
    hint = ""
    if stack["origin"] == "shipped" and not fallback:
        hint = ", or name a stack_fallback"
    rows = []
    for finding in seen.findings:
        remedy = finding.remedy + hint if finding.check == "absent" and hint else finding.remedy
        rows.append(Finding(finding.check, finding.severity, finding.message, remedy))
    return tuple(rows)
