"""The verbs for batches (neurobatch.batch.arguments). An error is one sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from neurobatch.batch import jobs, journal, settings
from neurobatch.batch.journal import ACTIVE, CANCEL, OVER, SPEC, SUBMITTING, WAITING, Batch, Subject
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

if TYPE_CHECKING:
    from neurobatch.batch.after import Gate

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
    args.verb = verb
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


def client_of(found: Settings, batch: Batch) -> Client:
    """Return what a batch is driven with: the pipeline API's client with these commands' times, or this Docker's.

    Raises:
        RefusalError: no pipeline API is named.
    """
    if batch.request.get("local"):
        from neurobatch.batch.local import LocalClient  # noqa: PLC0415

        return cast(Client, LocalClient(found, batch))
    return Client(found.api, timeout=TIMES, attempts=ATTEMPTS, backoff=PAUSES)


def _run(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    from neurobatch.batch import submit  # noqa: PLC0415

    if not args.local:
        _ = found.api
    makers = {"run": submit.notebook_batch, "submit": submit.spec_batch, "pipeline": submit.node_batch}
    batch, again = makers[args.verb](args, found)
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
    if any(subject.state in ACTIVE for subject in batch.subjects) and not batch.driven():
        # What has failed since somebody last looked counts, too.
        _refresh(found, batch)
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
    local = bool(batch.request.get("local"))
    if local:
        from neurobatch.batch.local import check, here  # noqa: PLC0415

        check(batch.request["image"], {})
        found = here(found)
    client = client_of(found, batch)
    limits = Limits(
        parallel=args.max_parallel or settings.parallel(found, *asked),
        wait=args.wait,
        deadline=args.deadline,
        patience=args.patience,
        grace=args.grace,
        start=args.start,
        interval=args.interval,
    )
    readable = not local and bool(found.kubeconfig) and os.access(found.kubeconfig, os.R_OK)
    cluster = Kubectl(found.kubeconfig, found.namespace, found.kubectl, seconds=10) if readable else None
    with batch.locked():
        # Somebody else may have driven it on between our first look and the lock.
        batch = journal.load(batch.folder)
        if again is not None:
            if any(subject.state in ACTIVE for subject in batch.subjects):
                _refresh(found, batch)
            for subject in batch.failed:
                if subject.name in again:
                    subject.state, subject.attempt, subject.run_id = WAITING, subject.attempt + 1, ""
                    subject.reason, subject.cell, subject.archive = "", "", ""
                    subject.submitted = subject.ended = 0.0
            (batch.folder / CANCEL).unlink(missing_ok=True)
            batch.save()
        todo = sum(subject.state not in OVER for subject in batch.subjects)
        driver = Driver(
            client, batch, found, limits, tell=screen.told, cluster=cluster, gate=_gate(found, batch, screen)
        )
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


def _gate(found: Settings, batch: Batch, screen: Screen) -> Gate | None:
    """Return what holds subjects of a batch back that comes after others."""
    names = batch.request.get("after")
    if not names:
        return None
    from neurobatch.batch.after import Gate  # noqa: PLC0415

    return Gate(found.storage, names, lambda run: _refresh(found, run), lambda text: screen.told(batch, None, text))


def _list(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    folders = journal.known(found.storage)[: args.limit]
    if args.names:
        for folder in folders:
            print(folder.name)
        return GOOD
    batches = [journal.load(folder) for folder in folders]
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
    if batch.kind == SPEC:
        page = f"{found.endpoint.removesuffix('/pipeline')}/#/runs/details/{batch.subjects[0].run_id}"
        raise RefusalError(
            f"{batch.name} is of a pipeline compiled elsewhere; its pages show what it prints, e.g. {page}"
        )
    chosen = [batch.subject(name) for name in args.subjects] or batch.subjects
    wanted = [subject.name for subject in chosen]
    files = [(name, *row) for name in wanted for row in _log_files(batch, batch.subject(name), alone=len(wanted) == 1)]
    places = dict.fromkeys((label for _, label, _ in files), 0)
    silent = set(wanted)
    look = time.monotonic() + LOOK
    while True:
        # Looked at before the files: what is written until then is still shown.
        over = all(_is_over(batch, batch.subject(name)) for name in wanted)
        for name, label, path in files:
            with contextlib.suppress(OSError), path.open("rb") as stream:
                stream.seek(places[label])
                whole, _, _ = stream.read().rpartition(b"\n")
                if whole:
                    places[label] += len(whole) + 1
                    silent.discard(name)
                    for line in whole.decode(errors="replace").split("\n"):
                        screen.object({"subject": name, "line": line}, f"{label} | {line}" if len(files) > 1 else line)
        if not args.follow or over:
            break
        time.sleep(min(1.0, LOOK))
        batch = journal.load(batch.folder)
        if time.monotonic() >= look and not batch.driven():
            # Nobody else asks how these runs are, and a step that was killed says nothing more.
            _refresh(found, batch)
            if not any(batch.subject(name).state in ACTIVE for name in wanted):
                args.follow = False
            look = time.monotonic() + LOOK
    for name in sorted(silent):
        subject = batch.subject(name)
        why = subject.reason or ("not submitted yet" if subject.state == WAITING else "its step has not begun")
        print(f"neurobatch: {name} has printed nothing ({subject.state}: {why})", file=sys.stderr)
    left = [name for name in wanted if batch.subject(name).state in (WAITING, SUBMITTING)]
    if left and not batch.driven():
        print(
            f"neurobatch: nobody submits what is left of {batch.name}; `neurobatch resume {batch.name}` does",
            file=sys.stderr,
        )
    return GOOD


def _log_files(batch: Batch, subject: Subject, *, alone: bool) -> list[tuple[str, Path]]:
    """Return the logs of a subject's steps, each with what stands before its lines."""
    found = jobs.places(batch, subject)
    rows = []
    for step, folder in found.items():
        label = step if alone else f"{subject.name}/{step}"
        rows.append((label if len(found) > 1 else subject.name, folder / "log.txt"))
    return rows


def _refresh(found: Settings, batch: Batch) -> None:
    from neurobatch.batch.drive import refreshed  # noqa: PLC0415

    refreshed(client_of(found, batch), batch)


def _is_over(batch: Batch, subject: Subject) -> bool:
    """Whether a subject writes no more: by the journal, or, where nobody drives the batch, by its own last word."""
    return subject.state in OVER or jobs.said(batch, subject).get("state") not in (None, "running", "between")


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
    Driver(client_of(found, batch), batch, found, limits, tell=screen.told).drive()


def _fetch(args: argparse.Namespace, found: Settings, screen: Screen) -> int:
    from neurobatch.batch import fetch  # noqa: PLC0415

    batch = journal.find(found.storage, args.name)
    chosen = [batch.subject(name) for name in args.subjects] or [s for s in batch.subjects if s.state == "SUCCEEDED"]
    target = Path(args.to) if args.to else batch.folder
    client = client_of(found, batch)
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
    "submit": _run,
    "pipeline": _run,
    "resume": _resume,
    "resubmit": _resubmit,
    "list": _list,
    "status": _status,
    "logs": _logs,
    "cancel": _cancel,
    "fetch": _fetch,
}
