"""The verbs: run, resume, resubmit, list, status, logs, cancel, fetch. An error is one sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

from neurobatch.batch import jobs, journal, settings
from neurobatch.batch.journal import ACTIVE, CANCEL, OVER, SUBMITTING, WAITING, Batch, Subject
from neurobatch.batch.refusal import (
    FAILED,
    GOOD,
    INTERRUPTED,
    LATE,
    OPEN,
    REFUSED,
    UNREACHABLE,
    RefusalError,
    UnansweredError,
)
from neurobatch.batch.settings import Settings
from neurobatch.batch.show import Screen, document, summary
from neurobatch.kfp.client import Client, KfpError, lost
from neurobatch.kfp.template import TemplateError

#: Seconds to connect, between two pieces of an answer, and for a request as a whole; attempts; pauses between them.
#: A forward that has died is replaced within some seconds: all attempts together take longer than that.
TIMES, ATTEMPTS, PAUSES = (5.0, 15.0, 30.0), 6, (0.5, 4.0)
PATIENCE = 20.0
"""Seconds that `cancel` waits for an API that is away."""
LOOK = 10.0
"""Seconds between two questions of `logs -f` to the API, of a run that nobody drives."""


def main(verb: str, args: argparse.Namespace) -> int:
    """Run a verb and return its exit code."""
    screen = Screen(as_json=args.json)
    try:
        found = settings.load({name: getattr(args, name) for name in ("endpoint", "storage", "kubeconfig")})
        return _VERBS[verb](args, found, screen)
    except (RefusalError, TemplateError) as error:
        print(f"neurobatch: {error}", file=sys.stderr)
        return REFUSED
    except (KfpError, UnansweredError) as error:
        print(f"neurobatch: {error}", file=sys.stderr)
        return UNREACHABLE if isinstance(error, UnansweredError) or lost(error) else FAILED
    except KeyboardInterrupt:
        print(
            "\nneurobatch: interrupted; what is submitted goes on, the same command again goes on with the rest",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD


def client_of(found: Settings) -> Client:
    """Return the client with these commands' times."""
    return Client(found.endpoint, timeout=TIMES, attempts=ATTEMPTS, backoff=PAUSES)


def _run(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    from neurobatch.batch import submit  # noqa: PLC0415

    batch, again = submit.batch_of(args, found)
    if again:
        screen.line(f"going on with {batch.name}, which was interrupted (--new starts over)")
    return _drive(args, found, screen, batch)


def _resume(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    batch = journal.find(found.storage, args.name)
    if batch.over:
        screen.batch(batch)
        return FAILED if batch.failed else GOOD
    return _drive(args, found, screen, batch)


def _resubmit(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    batch = journal.find(found.storage, args.name)
    for name in args.only:
        if batch.subject(name) not in batch.failed:
            raise RefusalError(
                f"{name} has not failed (it is {batch.subject(name).state}); only what failed is run again."
            )
    if not batch.failed and batch.over:
        screen.line(f"{batch.name}: nothing has failed, so there is nothing to run again")
        if screen.json:
            screen.batch(batch)
        return GOOD
    return _drive(args, found, screen, batch, again=args.only or [subject.name for subject in batch.failed])


def _drive(
    args: argparse.Namespace, found: Settings, screen: Screen, batch: Batch, *, again: list[str] | None = None
) -> int:
    """Drive a batch with its lock held; first bring back to the queue whom ``again`` names."""
    from neurobatch.batch.drive import Driver, Limits  # noqa: PLC0415
    from neurobatch.kfp.pods import Kubectl  # noqa: PLC0415

    asked = (batch.request["cpu"] or 1.0, (batch.request["memory"] or 2 * 2**30) / 2**20)
    limits = Limits(
        parallel=args.max_parallel or settings.parallel(found, *asked),
        wait=args.wait,
        deadline=args.deadline,
        patience=args.patience,
        grace=args.grace,
        start=args.start,
        interval=args.interval,
    )
    readable = bool(found.kubeconfig) and os.access(found.kubeconfig, os.R_OK)
    cluster = Kubectl(found.kubeconfig, found.namespace, found.kubectl, seconds=10) if readable else None
    with batch.locked():
        # Somebody else may have driven it on between our first look and the lock.
        batch = journal.load(batch.folder)
        if again is not None:
            for subject in batch.failed:
                if subject.name in again:
                    subject.state, subject.attempt, subject.run_id = WAITING, subject.attempt + 1, ""
                    subject.reason, subject.cell, subject.archive = "", "", ""
                    subject.submitted = subject.ended = 0.0
            (batch.folder / CANCEL).unlink(missing_ok=True)
            batch.save()
        todo = sum(subject.state not in OVER for subject in batch.subjects)
        driver = Driver(client_of(found), batch, found, limits, tell=screen.told, cluster=cluster)
        screen.line(
            f"{batch.name}: {todo} of {len(batch.subjects)} to do, {limits.parallel} at a time, in {batch.folder}"
        )
        in_time = driver.drive()
    screen.batch(batch) if screen.json else screen.line(summary(batch))
    if not in_time:
        print(
            f"neurobatch: not over after {args.deadline:g} s; `neurobatch resume {batch.name}` goes on", file=sys.stderr
        )
        return LATE
    return FAILED if batch.failed else GOOD


def _list(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    batches = [journal.load(folder) for folder in journal.known(found.storage)[: args.limit]]
    if screen.json:
        screen.object({"runs": [{**document(batch), "subjects": len(batch.subjects)} for batch in batches]}, "")
        return GOOD
    if not batches:
        screen.line(f"There is no run in {found.storage} yet; neurobatch run --help shows how to start one.")
    for batch in batches:
        screen.line(f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(batch.created))}  {summary(batch)}")
    return GOOD


def _status(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    batch = journal.find(found.storage, args.name)
    if any(subject.state in ACTIVE for subject in batch.subjects):
        _refresh(found, batch)
    screen.batch(batch)
    if not batch.over:
        return OPEN
    return FAILED if batch.failed else GOOD


def _logs(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    batch = journal.find(found.storage, args.name)
    chosen = [batch.subject(name) for name in args.subjects] or batch.subjects
    places = {subject.name: 0 for subject in chosen}
    silent = set(places)
    look = time.monotonic() + LOOK
    while True:
        # Looked at before the files: what is written until then is still shown.
        over = {subject.name for subject in chosen if _is_over(batch, subject)}
        for name, place in list(places.items()):
            with contextlib.suppress(OSError), (batch.folder / name / "log.txt").open("rb") as stream:
                stream.seek(place)
                whole, _, _ = stream.read().rpartition(b"\n")
                if whole:
                    places[name] = place + len(whole) + 1
                    silent.discard(name)
                    for line in whole.decode(errors="replace").split("\n"):
                        screen.object({"subject": name, "line": line}, f"{name} | {line}" if len(places) > 1 else line)
        if not args.follow or over >= set(places):
            break
        time.sleep(min(1.0, LOOK))
        batch = journal.load(batch.folder)
        if time.monotonic() >= look and not batch.driven():
            # Nobody else asks how these runs are, and a step that was killed says nothing more.
            _refresh(found, batch)
            if not any(batch.subject(name).state in ACTIVE for name in places):
                args.follow = False
            look = time.monotonic() + LOOK
        chosen = [batch.subject(name) for name in places]
    for name in sorted(silent):
        subject = batch.subject(name)
        why = subject.reason or ("not submitted yet" if subject.state == WAITING else "its step has not begun")
        print(f"neurobatch: {name} has printed nothing ({subject.state}: {why})", file=sys.stderr)
    left = [name for name in places if batch.subject(name).state in (WAITING, SUBMITTING)]
    if left and not batch.driven():
        print(
            f"neurobatch: nobody submits what is left of {batch.name}; `neurobatch resume {batch.name}` does",
            file=sys.stderr,
        )
    return GOOD


def _refresh(found: Settings, batch: Batch) -> None:
    from neurobatch.batch.drive import refreshed  # noqa: PLC0415

    refreshed(client_of(found), batch)


def _is_over(batch: Batch, subject: Subject) -> bool:
    """Whether a subject writes no more: by the journal, or, where nobody drives the batch, by its own last word."""
    return subject.state in OVER or jobs.said(batch, subject).get("state") not in (None, "running")


def _cancel(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    batch = journal.find(found.storage, args.name)
    if batch.over:
        screen.object(document(batch), f"{batch.name} is over already")
        return GOOD
    (batch.folder / CANCEL).touch()
    # A driver that is at it sees the mark at its next look; without one, this is the driver.
    for _ in range(40):
        try:
            with batch.locked():
                batch = journal.load(batch.folder)
                if not batch.over:
                    _end_all(found, screen, batch)
            break
        except RefusalError:
            time.sleep(0.5)
            batch = journal.load(batch.folder)
            if batch.over:
                break
    else:
        raise RefusalError(
            f"{batch.name} is being ended by the process that drives it, which is not done yet; look again."
        )
    screen.object(document(batch), summary(batch))
    return GOOD


def _end_all(found: Settings, screen: Screen, batch: Batch) -> None:
    from neurobatch.batch.drive import Driver, Limits  # noqa: PLC0415

    limits = Limits(parallel=1, wait=True, deadline=60, patience=PATIENCE, interval=0.5)
    Driver(client_of(found), batch, found, limits, tell=screen.told).drive()


def _fetch(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    from neurobatch.batch import fetch  # noqa: PLC0415

    batch = journal.find(found.storage, args.name)
    chosen = [batch.subject(name) for name in args.subjects] or [s for s in batch.subjects if s.state == "SUCCEEDED"]
    target = Path(args.to) if args.to else batch.folder
    client = client_of(found)
    done = {subject.name: fetch.subject(client, batch, subject, target / subject.name) for subject in chosen}
    new = sum(len(row["written"]) for row in done.values())
    kept = sum(len(row["kept"]) for row in done.values())
    untouched = f"; {kept} were there already and stay as they are" if kept else ""
    screen.object(
        {"run": batch.name, "subjects": done}, f"{new} files of {len(done)} subjects brought to {target}{untouched}"
    )
    return GOOD


_VERBS = {
    "run": _run,
    "resume": _resume,
    "resubmit": _resubmit,
    "list": _list,
    "status": _status,
    "logs": _logs,
    "cancel": _cancel,
    "fetch": _fetch,
}
