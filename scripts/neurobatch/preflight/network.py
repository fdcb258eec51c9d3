"""Judge what the server can reach: which downloads of a stack can be had, and what to do about those that cannot.

Pure: needs (`neurobatch.needs`) and answers (`neurobatch.remote.network.probe`) in, findings out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neurobatch.mirrors import Mirror
from neurobatch.needs import Doors, Need
from neurobatch.preflight.model import Finding
from neurobatch.wording import listed

Answer = Mapping[str, Any]
#: How many names a sentence gives before it counts the rest.
NAMES = 4


@dataclass(frozen=True)
class Verdict:
    """What a stack's downloads came to.

    Attributes:
        stack: its name.
        absent: what its publisher does not give to anybody any more: time will not bring it back.
        findings: one for each cause; "ok" alone where everything is there.
    """

    stack: str
    absent: tuple[Need, ...]
    findings: tuple[Finding, ...]

    @property
    def possible(self) -> bool:
        """Whether all of it can be had now."""
        return all(finding.severity != "refuse" for finding in self.findings)


def verdict(stack: str, needs: Sequence[Need], answers: Mapping[str, Answer], doors: Doors) -> Verdict:
    """Return what the answers mean for one stack. A need without an answer counts as silent."""
    mirrors = doors.mirrors
    grouped: dict[tuple[str, str, str], list[tuple[Need, Answer]]] = defaultdict(list)
    absent: list[Need] = []
    aside: list[tuple[Need, Answer]] = []
    tokens: list[Need] = []
    for need in needs:
        answer = answers.get(need.address, {"state": "silent", "detail": "it was not asked"})
        if answer["state"] == "there":
            aside += [(need, answer)] if "mirror" in answer else []
            tokens += [need] if need.by == "node" and answer.get("auth") == "token" and _login(need, doors) else []
            continue
        where = where_of(need, doors)
        state = _state(need, answer, where != need.origin)
        absent += [need] if state == "absent" else []
        key = (state, where, "" if state in {"absent", "denied", "login"} else str(answer.get("detail", "")))
        grouped[key].append((need, answer))
    causes = [
        _Cause(stack, state, where, rows, doors, where != rows[0][0].origin)
        for (state, where, _), rows in sorted(grouped.items())
    ]
    findings = [cause.finding() for cause in _gathered(causes)]
    if tokens:
        urls = listed(sorted({where_of(need, doors) for need in tokens}))
        message = f"{urls} wants tokens for its login, and the cluster's node logs in by HTTP Basic only"
        remedy = f"let the node pull {_things(tokens)} there without a login, or by HTTP Basic"
        findings.append(Finding("network", "warn", message, remedy))
    if aside:
        findings.append(_past_the_mirror(aside, mirrors))
    if not grouped:
        findings.append(Finding("network", "ok", f"all {len(needs)} files and images of {stack} can be had"))
    return Verdict(stack, tuple(absent), tuple(findings))


def where_of(need: Need, doors: Doors) -> str:
    """Return what answered, or should have: the publisher's host, or the address of what stands in for it."""
    if need.image:
        return doors.mirrors[need.origin].url if need.origin in doors.registry_mirrors else need.origin
    if need.by == "fetch" and doors.artifact_mirror:
        return doors.artifact_mirror
    return need.origin


def _login(need: Need, doors: Doors) -> bool:
    """Tell whether the mirror that an image comes from is given a login."""
    return need.origin in doors.registry_mirrors and bool(doors.mirrors[need.origin].username)


def _state(need: Need, answer: Answer, mirrored: bool) -> str:
    """Return the answer's state; a public registry that wants a login has taken the image from the public."""
    state = str(answer["state"])
    if need.image and not mirrored and state in {"denied", "login"}:
        return "absent"
    return state


@dataclass(frozen=True)
class _Cause:
    """Downloads of one stack that fail for the same reason at the same place."""

    stack: str
    state: str
    where: str
    rows: Sequence[tuple[Need, Answer]]
    doors: Doors
    mirrored: bool

    def finding(self) -> Finding:
        """Return the sentence, with what to do."""
        message, remedy = getattr(self, f"_{self.state}", self._broken)()
        return Finding("absent" if self.state == "absent" else "network", "refuse", message, remedy)

    @property
    def needs(self) -> list[Need]:
        return [need for need, _ in self.rows]

    @property
    def origins(self) -> list[str]:
        return sorted({need.origin for need in self.needs})

    @property
    def images(self) -> bool:
        return self.needs[0].image

    @property
    def setting(self) -> str:
        return _setting(self.needs[0], self.origins)

    @property
    def things(self) -> str:
        return _things(self.needs)

    @property
    def detail(self) -> str:
        return str(self.rows[0][1].get("detail", ""))

    def _absent(self) -> tuple[str, str]:
        also = " and neither has the registry itself" if any("upstream" in row for _, row in self.rows) else ""
        them = "it" if len(self.rows) == 1 else "them"
        own = "registry of your own, named in registry_mirrors" if self.images else "mirror, named in artifact_mirror"
        remedy = f"put {them} there" if self.mirrored else f"serve {them} from a {own}"
        return f"{self.where} does not have {self.things} of {self.stack}{also}", remedy

    def _login(self) -> tuple[str, str]:
        remedy = f"give username and password in {self.setting}" if self.images else f"look at {self.setting}"
        return f"{self.where} wants a login for {self.things}", remedy

    def _denied(self) -> tuple[str, str]:
        if not self.images:
            return f"{self.where} does not let this server have {self.things}", f"look at {self.setting}"
        if _login(self.needs[0], self.doors):
            return f"{self.where} does not accept the login for {self.things}", f"correct {self.setting}"
        return (
            f"{self.where} does not let everybody have {self.things}",
            f"give username and password in {self.setting}",
        )

    def _limited(self) -> tuple[str, str]:
        wait = self.rows[0][1].get("wait")
        when = f" (again in {wait:.0f} s)" if wait else ""
        message = f"{self.where} limits how often this server may ask{when}; {self.things} could not be looked for"
        return message, f"wait, or give a mirror or a login in {self.setting}"

    def _untrusted(self) -> tuple[str, str]:
        message = f"The certificate of {self.where} is not trusted ({self.detail}), needed for {self.things}"
        if self.images and self.mirrored:
            return message, f"give its authority's certificate as ca in {self.setting}"
        return message, "add its authority to those that the server trusts (update-ca-certificates)"

    def _proxy(self) -> tuple[str, str]:
        message = f"{self.where} cannot be reached {self.detail}, needed for {self.things}"
        return message, "correct proxy_url, or name the host in proxy_exceptions"

    def _unresolved(self) -> tuple[str, str]:
        message = f"The server cannot resolve the name {self.where}, needed for {self.things}"
        return message, f"correct its name servers, or set {self.setting if self.mirrored else _variables(self.needs)}"

    def _silent(self) -> tuple[str, str]:
        return self._unreachable("gives no answer")

    def _refused(self) -> tuple[str, str]:
        return self._unreachable(f"cannot be reached ({self.detail})")

    def _unreachable(self, said: str) -> tuple[str, str]:
        remedy = f"open the way there, or set proxy_url or {_variables(self.needs)}"
        if self.mirrored:
            remedy = f"look whether it runs, and correct {self.setting}"
        return f"{self.where} {said}, needed for {self.things}", remedy

    def _broken(self) -> tuple[str, str]:
        return f"{self.where} answers nonsense ({self.detail}) about {self.things}", "look at that server and try again"


def _gathered(causes: Sequence[_Cause]) -> list[_Cause]:
    """Return the causes, those that make many hosts unreachable in the same way as one: it is the network then."""
    found, alike = [], defaultdict(list)
    for cause in causes:
        if cause.state in {"unresolved", "silent", "refused", "proxy"} and not cause.mirrored:
            alike[cause.state].append(cause)
        else:
            found.append(cause)
    for state, group in alike.items():
        if len(group) < NAMES:
            found += group
            continue
        hosts = sorted({cause.where for cause in group})
        where = f"{', '.join(hosts[: NAMES - 1])} and {len(hosts) - NAMES + 1} more hosts"
        first, rows = group[0], [row for cause in group for row in cause.rows]
        found.append(_Cause(first.stack, state, where, rows, first.doors, False))
    return found


def _things(needs: Sequence[Need]) -> str:
    """Return "a, b and 7 more images", with no list longer than `NAMES`."""
    names = [need.what for need in needs]
    if len(names) <= NAMES:
        return listed(names)
    kind = "images" if all(need.image for need in needs) else "downloads"
    return f"{len(names)} {kind} ({', '.join(names[:NAMES])}, ...)"


def _setting(need: Need, origins: Sequence[str]) -> str:
    """Return the variable that says where such a thing comes from."""
    if need.image:
        return listed(f"registry_mirrors['{origin}']" for origin in origins)
    return {"fetch": "artifact_mirror", "git": "neurodesktop_repo", "pip": "pip_index_url"}[need.by]


def _variables(needs: Sequence[Need]) -> str:
    """Return the variables that lead around a host that cannot be reached."""
    found = {"registry_mirrors" if need.image else _setting(need, [need.origin]) for need in needs}
    return listed(sorted(found), "or")


def _past_the_mirror(rows: Sequence[tuple[Need, Answer]], mirrors: Mapping[str, Mirror]) -> Finding:
    """Warn where a mirror failed and the registry itself helped out."""
    urls = listed(sorted({mirrors[need.origin].url for need, _ in rows}))
    message = f"{urls} does not have {_things([need for need, _ in rows])}, which the server will pull past it"
    return Finding("network", "warn", message, "put them there if the server is to work without the Internet")
