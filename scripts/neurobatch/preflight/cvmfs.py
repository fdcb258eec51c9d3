"""Judge what the CVMFS servers answered: which are genuine and up to date, how fast, and whether that is enough."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neurobatch.preflight.model import Facts, Finding, Wanted
from neurobatch.wording import listed

#: Seconds that a server may be behind the newest revision: stratum ones replicate every few hours.
REPLICATION = 24 * 3600
#: Below this many, the failure of one ends all work.
ENOUGH = 2


@dataclass(frozen=True)
class Stratum:
    """One server: its URL, its state (those of `neurobatch.remote.cvmfs.servers`, or stale), and a word on it."""

    url: str
    state: str
    said: str
    seconds: float = 0.0


def ranked(answers: Mapping[str, Facts], now: float) -> list[Stratum]:
    """Return the servers, those that can be used first and the fastest of them first."""
    genuine = [answer for answer in answers.values() if answer["state"] == "genuine"]
    newest = max(genuine, key=lambda answer: int(answer["revision"]), default=None)
    rows = [_judged(url, answer, newest, now) for url, answer in answers.items()]
    return sorted(rows, key=lambda row: (row.state != "genuine", row.seconds))


def order(
    servers: Sequence[str], kept: Mapping[str, Any] | None, answers: Mapping[str, Facts] | None, now: float
) -> list[str]:
    """Return in which order the clients shall ask the servers: measured once, and kept while its first is good.

    Another order at every run would mean another configuration, and a restart of the clients.

    Args:
        servers: `cvmfs_servers` of the inventory. Where it was changed and nobody is asked, its own order counts.
        kept: what this server remembers: `wanted`, the inventory's list when it was measured, and the `order`.
        answers: what each of them said; None where none was asked.
        now: seconds since 1970.
    """
    old = kept.get("order", []) if kept and kept.get("wanted") == list(servers) else []
    same = sorted(old) == sorted(servers)
    if answers is None:
        return list(old if same else servers)
    rows = ranked(answers, now)
    usable = {row.url for row in rows if row.state == "genuine"}
    return list(old) if same and old[0] in usable else [row.url for row in rows]


def _judged(url: str, answer: Facts, newest: Facts | None, now: float) -> Stratum:
    if answer["state"] != "genuine" or newest is None:
        return Stratum(url, answer["state"], f"{url}: {answer.get('detail', answer['state'])}")
    behind = newest["revision"] - answer["revision"]
    if behind and now - newest["published"] > REPLICATION:
        day = time.strftime("%Y-%m-%d", time.gmtime(answer["published"]))
        return Stratum(
            url, "stale", f"{url}: {behind} revision{'s' * (behind > 1)} behind, from {day}", answer["seconds"]
        )
    return Stratum(url, "genuine", f"{url} ({answer['seconds']:.1f} s)", answer["seconds"])


def strata(facts: Facts, wanted: Wanted) -> list[Finding]:
    """S0-46: at least one genuine server that is up to date, better two, and the first that is asked among them."""
    answers = facts["cvmfs"]
    if answers is None:
        return []
    rows = ranked(answers, facts["clock"]["epoch"] if wanted.now is None else wanted.now)
    good = [row for row in rows if row.state == "genuine"]
    bad = [row for row in rows if row.state != "genuine"]
    faults = listed(row.said for row in bad)
    if not good:
        return [Finding("cvmfs", "refuse", f"No CVMFS server can be used ({faults})", _remedy(bad))]
    if len(good) < ENOUGH:
        others = f" ({faults})" if bad else ""
        message = f"Only one CVMFS server can be used, {good[0].url}{others}, and without it no tool starts"
        return [Finding("cvmfs", "warn", message, _remedy(bad) if bad else "name a second one in cvmfs_servers")]
    first = next(iter(answers))
    said = f"{len(good)} of {len(rows)} servers, {listed(row.said for row in good)}"
    if bad and wanted.cvmfs_rank_servers:
        return [Finding("cvmfs", "ok", f"{said}; asked last: {faults}")]
    if first not in {row.url for row in good}:
        message = f"The first CVMFS server cannot be used ({faults}), and every first read waits for it"
        return [Finding("cvmfs", "warn", message, f"put {good[0].url} first in cvmfs_servers")]
    return [Finding("cvmfs", "ok", said)]


def _remedy(bad: list[Stratum]) -> str:
    """Return what to do about servers that cannot be used, by what most likely stands behind it."""
    states = {row.state for row in bad}
    if states <= {"forged", "name"}:
        return "correct cvmfs_servers, or cvmfs_public_key if the repository has a new one"
    if states <= {"expired", "stale"}:
        return "look at the server's clock, and name servers that are kept up to date in cvmfs_servers"
    if states <= {"absent", "moved", "broken", "forged", "name"}:
        return "name servers that carry the repository in cvmfs_servers"
    return "open the way to them (TCP 80 or 8000), set cvmfs_http_proxy, or name others in cvmfs_servers"
