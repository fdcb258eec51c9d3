"""Ask for many files and images at once. A host that hangs costs one timeout, not one per file.

Parameters (`answers`): targets, each {id, url} for a file or {id, image, upstream} for an image, where upstream says
that whoever pulls it asks the registry itself when the mirror fails; registries, a map of registry host to {url,
username, password, ca}; proxy and no_proxy; seconds that one question may take; budget, the seconds after which
whatever is still unanswered counts as silent.
"""

from __future__ import annotations

import queue
import threading
import time
import urllib.parse
from typing import Any

from neurobatch.remote.network.door import Door, file_answer
from neurobatch.remote.network.registry import UPSTREAM, Registry, split

#: Questions at one host at the same time, once it has answered the first.
WIDTH = 6
#: What says something about the host, not about one file.
OF_HOST = ("silent", "refused", "unresolved", "untrusted", "proxy")

#: Seconds for one question, and for all of them.
PATIENCE = 8
BUDGET = 30

Params = dict[str, Any]


class _Asker:
    """Turns a target into its answer."""

    def __init__(self, params: Params, until: float) -> None:
        self.until = until
        self.door = Door(params.get("proxy", ""), params.get("no_proxy", []), params.get("seconds", PATIENCE))
        self.mirrors = params.get("registries", {})
        self.registries: dict[str, Registry] = {}

    def registry(self, host: str) -> Registry:
        """Return the registry, or the mirror that stands for it."""
        if host not in self.registries:
            mirror = dict(self.mirrors.get(host) or {})
            url = mirror.pop("url", "") or UPSTREAM.get(host, f"https://{host}")
            self.registries[host] = Registry(self.door, url, **mirror)
        return self.registries[host]

    def host(self, target: Params) -> str:
        """Return what a target's answer depends on: host and port, or "" for a file of this server."""
        url = self.registry(split(target["image"])[0]).url if "image" in target else target["url"]
        return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]

    def __call__(self, target: Params) -> Params:
        """Return the answer, with the seconds that it took."""
        started = time.monotonic()
        if "image" in target:
            host, repository, reference = split(target["image"])
            answer = self.registry(host).manifest(repository, reference, self.until)
        else:
            answer = file_answer(self.door, target["url"], self.until)
        return {**answer, "seconds": round(time.monotonic() - started, 2)}


class _Host:
    """The questions to one host: the first alone, then several at a time, none any more once it was silent."""

    def __init__(self, ask: _Asker, name: str, targets: list[Params], done: queue.Queue[tuple[str, Params]]) -> None:
        self.ask, self.name, self.done = ask, name, done
        self.left: queue.Queue[Params] = queue.Queue()
        for target in targets:
            self.left.put(target)
        self.broken: Params | None = None

    def first(self) -> None:
        """Ask the first question, then let others help with the rest."""
        self.one()
        for _ in range(min(WIDTH, self.left.qsize()) - 1):
            threading.Thread(target=self.rest, daemon=True).start()
        self.rest()

    def rest(self) -> None:
        """Ask until nothing is left."""
        while self.one():
            pass

    def one(self) -> bool:
        """Ask one question; return whether there was one."""
        try:
            target = self.left.get_nowait()
        except queue.Empty:
            return False
        if self.broken:
            answer = {**self.broken, "asked": False, "seconds": 0.0}
        else:
            try:
                answer = self.ask(target)
            except Exception as error:
                answer = {"state": "broken", "detail": f"{type(error).__name__}"}
            if answer["state"] in OF_HOST:
                self.broken = answer
        self.done.put((target["id"], {**answer, "host": self.name}))
        return True


def answers(params: Params) -> dict[str, Params]:
    """Return the answer to every target, by its id. Takes no longer than ``budget`` seconds."""
    until = time.monotonic() + params.get("budget", BUDGET)
    found = _round(params["targets"], _Asker(params, until))
    again = [
        target
        for target in params["targets"]
        if target.get("upstream") and found[target["id"]]["state"] != "there" and time.monotonic() < until
    ]
    for key, answer in _round(again, _Asker({**params, "registries": {}}, until)).items():
        if answer["state"] == "there":
            found[key] = {**answer, "mirror": found[key]}
        else:
            found[key]["upstream"] = answer
    return found


def _round(targets: list[Params], ask: _Asker) -> dict[str, Params]:
    """Ask all hosts at the same time and return the answers by the targets' ids."""
    started = time.monotonic()
    groups: dict[str, list[Params]] = {}
    for target in targets:
        groups.setdefault(ask.host(target), []).append(target)
    done: queue.Queue[tuple[str, Params]] = queue.Queue()
    for name, group in groups.items():
        # Daemons: a name server that hangs cannot be timed out, only left behind.
        threading.Thread(target=_Host(ask, name, group, done).first, daemon=True).start()
    found: dict[str, Params] = {}
    while len(found) < len(targets):
        try:
            key, answer = done.get(timeout=max(0.0, ask.until - time.monotonic()))
        except queue.Empty:
            break
        found[key] = answer
    waited = round(time.monotonic() - started, 2)
    for name, group in groups.items():
        for target in group:
            late = {"state": "silent", "detail": "no answer in time", "host": name, "seconds": waited}
            found.setdefault(target["id"], late)
    return found
