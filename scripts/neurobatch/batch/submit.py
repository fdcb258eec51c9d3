"""From the command line of `neurobatch run` to a batch: what can be wrong is found before anything is made."""

from __future__ import annotations

import argparse
import re
from pathlib import Path, PurePosixPath
from typing import Any

from neurobatch.batch import jobs, journal, notebook, table
from neurobatch.batch.journal import Batch, Subject
from neurobatch.batch.refusal import RefusalError
from neurobatch.batch.settings import Settings
from neurobatch.kfp import template

#: A run over no table has one subject.
ALONE = "all"
#: What is assumed of a subject without --cpu and --memory when the cap is computed.
USUAL_CPUS, USUAL_MEMORY = 1.0, 2 * 2**30


def demand(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Return CPUs, memory (bytes) and GPUs of a subject as asked for; 0: not asked for.

    Raises:
        RefusalError: not understood, or more than the node has.
    """
    asked = {
        "cpu": jobs.cpus(args.cpu) if args.cpu else 0.0,
        "memory": jobs.memory(args.memory) if args.memory else 0,
        "gpu": args.gpu,
    }
    if settings.cpus and asked["cpu"] > settings.cpus:
        raise RefusalError(f"--cpu {args.cpu}: the cluster's node has {settings.cpus:g}, so this would wait for ever.")
    if settings.memory_mib and asked["memory"] > settings.memory_mib * 2**20:
        raise RefusalError(f"--memory {args.memory}: the cluster's node has {settings.memory_mib} MiB in all.")
    return asked


def subjects_of(args: argparse.Namespace, book: notebook.Notebook) -> list[Subject]:
    """Return the subjects with their parameters.

    Raises:
        RefusalError: the table or a parameter is wrong.
    """
    common: dict[str, Any] = {}
    for name, text in args.parameter:
        if name in common:
            raise RefusalError(f"-p {name} is given twice.")
        common[name] = notebook.value(text)
    book.check(list(common), origin="-p")
    if not args.over:
        return [Subject(ALONE, common)]
    rows = table.read(Path(args.over))
    first, *others = rows.columns
    # The subject itself must arrive: otherwise all runs would do the same work.
    book.check([first], origin=f"the first column of {args.over}")
    taken = [column for column in others if column in (book.parameters or ())]
    twice = [name for name in common if name in (first, *taken)]
    if twice:
        raise RefusalError(f"{twice[0]} is a column of {args.over} and given with -p, too; leave one of them out.")
    return [
        Subject(name, {**common, first: name, **{column: notebook.value(row[column]) for column in taken}})
        for name, row in rows.rows.items()
    ]


def outputs_of(patterns: list[str]) -> list[str]:
    """Return the declared outputs, which are names or patterns below a subject's folder.

    Raises:
        RefusalError: one of them leads elsewhere.
    """
    for pattern in patterns:
        parts = PurePosixPath(pattern).parts
        if not parts or PurePosixPath(pattern).is_absolute() or ".." in parts:
            raise RefusalError(
                f"--output {pattern!r} leads out of the subject's folder, where the notebook works; write a name "
                "or pattern below it, e.g. --output 'stats/*.csv'."
            )
    return patterns


def request_of(args: argparse.Namespace, settings: Settings, book: notebook.Notebook) -> dict[str, Any]:
    """Return what is asked for, apart from the subjects, as the journal keeps it.

    Raises:
        RefusalError: something of it cannot be.
    """
    image = args.image or settings.image
    if not image:
        raise RefusalError("No image is named: the installation's file has none; --image names one.")
    if re.search(r"\s", image) or not re.match(r"[\w.-]+(:\d+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$", image):
        raise RefusalError(f"--image {image!r} is no name of an image; write registry/name:tag.")
    if settings.compiled_for not in template.known(jobs.PIPELINE):
        raise RefusalError(
            f"The pipeline for notebooks is not compiled for {settings.compiled_for!r}; there is "
            f"{', '.join(template.known(jobs.PIPELINE))}."
        )
    for claim, path in args.mount:
        if not path.startswith("/") or path == "/" or path.rstrip("/") in (settings.mount, "/cvmfs"):
            raise RefusalError(
                f"--mount {claim}={path}: write a folder in the step that is not taken, e.g. {claim}=/data."
            )
    return {
        "notebook": book.path.name,
        "notebook_sha256": book.digest,
        "image": image,
        **demand(args, settings),
        "outputs": outputs_of(args.output),
        "timeout": args.timeout,
        "mounts": dict(args.mount),
    }


def batch_of(args: argparse.Namespace, settings: Settings) -> tuple[Batch, bool]:
    """Return the batch that the command line asks for, and whether it was there already: an interrupted one goes on.

    Raises:
        RefusalError: anything that is wrong; then nothing was made.
    """
    path = Path(args.notebook)
    book = notebook.read(path)
    if not settings.storage.is_dir():
        raise RefusalError(f"There is no workspace {settings.storage}; --storage names the folder that steps see.")
    settings.inside(path)
    subjects = subjects_of(args, book)
    request = request_of(args, settings, book)
    home = path.resolve().parent
    if not args.new and not args.name:
        wanted = journal.fingerprint(request, subjects)
        for folder in sorted((home / "results").glob(f"*/{journal.FILE}")):
            if journal.read_json(folder).get("schema") != journal.SCHEMA or (folder.parent / journal.CANCEL).exists():
                continue
            old = journal.load(folder.parent)
            if not old.over and journal.fingerprint(old.request, old.subjects) == wanted:
                return old, True
    if args.name and not table.ID.fullmatch(args.name):
        raise RefusalError(
            f"--name {args.name!r} cannot name a folder; use letters, digits, dots, hyphens, underscores."
        )
    return journal.create(
        home, settings.storage, args.name, request=request, subjects=subjects, content=book.content
    ), False
