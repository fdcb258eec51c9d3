"""From the command line of `neurobatch run` to a batch: what can be wrong is found before anything is made."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from neurobatch.batch import elyra, jobs, journal, local, notebook, specfile, table
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
    if args.local:
        settings = local.here(settings)
    _fits(settings, f"--cpu {args.cpu}", asked["cpu"], f"--memory {args.memory}", asked["memory"])
    return asked


def _fits(settings: Settings, cpu_words: str, cpu: float, memory_words: str, memory: float) -> None:
    if settings.cpus and cpu > settings.cpus:
        raise RefusalError(f"{cpu_words}: the node has {settings.cpus:g}, so this would wait for ever.")
    if settings.memory_mib and memory > settings.memory_mib * 2**20:
        raise RefusalError(f"{memory_words}: the node has {settings.memory_mib} MiB in all.")


def subjects_of(args: argparse.Namespace, book: notebook.Notebook) -> list[Subject]:
    """Return the subjects with their parameters.

    Raises:
        RefusalError: the table or a parameter is wrong.
    """

    def value(name: str, text: str, origin: str) -> Any:
        book.check([name], origin=origin)
        return notebook.value(text)

    return _rows(args, value, list(book.parameters or ()))


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


def notebook_batch(args: argparse.Namespace, settings: Settings) -> tuple[Batch, bool]:
    """Return the batch that `run` asks for, and whether it was there already: an interrupted one goes on.

    Raises:
        RefusalError: anything that is wrong; then nothing was made.
    """
    path = Path(args.notebook)
    book = notebook.read(path)
    _workspace(settings)
    settings.inside(path)
    subjects = subjects_of(args, book)
    request = request_of(args, settings, book)
    if args.local:
        local.check(request["image"], request["mounts"])
        request["local"] = True
    return _made(args, settings, path.resolve().parent, request=request, subjects=subjects, content=book.content)


def spec_batch(args: argparse.Namespace, settings: Settings) -> tuple[Batch, bool]:
    """Return the batch that `submit` asks for, as `notebook_batch` does.

    Raises:
        RefusalError: anything that is wrong; then nothing was made.
    """
    path = Path(args.spec)
    spec = specfile.read(path)
    _workspace(settings)
    subjects = _rows(args, spec.value, list(spec.inputs), typed=True)
    for subject in subjects:
        spec.check(set(subject.parameters))
    request = {
        "notebook": path.name if path.name != journal.FILE else f"spec-{path.name}",
        "notebook_sha256": spec.digest,
        "kind": journal.SPEC,
        "nodes": [{"name": step} for step in spec.steps],
        **{"cpu": 0.0, "memory": 0, "gpu": 0},
    }
    # A spec may lie anywhere; what is noted of its run lies in the storage.
    home = path.resolve().parent if _is_inside(settings, path) else settings.storage.resolve()
    return _made(
        args,
        settings,
        home,
        request=request,
        subjects=subjects,
        content=spec.content,
        fill=lambda folder: _write(folder, spec.template),
    )


def node_batch(args: argparse.Namespace, settings: Settings) -> tuple[Batch, bool]:
    """Return the batch that `pipeline` asks for, as `notebook_batch` does.

    Raises:
        RefusalError: anything that is wrong; then nothing was made.
    """
    path = Path(args.pipeline)
    taken = {settings.mount: settings.claim, TOOLS: settings.tools_claim}
    found = elyra.read(path, args.image or settings.image, taken)
    _workspace(settings)
    settings.inside(path)
    for node in found.nodes:
        if not node["image"]:
            raise RefusalError(f"{path}, node {node['name']}: no image is named; --image names one.")
        where = f"{path}, node {node['name']}"
        _fits(settings, f"{where}: {node['cpu']:g} CPUs", node["cpu"], f"{where}: its memory", node["memory"])
    subjects = _rows(args, lambda name, text, origin: _named(found, name, text, origin), list(found.parameters))
    for name in found.required:
        if any(name not in subject.parameters for subject in subjects):
            raise RefusalError(f"{path}: the parameter {name} has no default; -p {name}=VALUE gives it one.")
    for subject in subjects:
        subject.parameters = {**found.parameters, **subject.parameters}
    nodes = elyra.steps(found)
    request = {
        "notebook": path.name,
        "notebook_sha256": found.digest,
        "kind": journal.NODES,
        "nodes": nodes,
        "timeout": args.timeout,
        **elyra.largest(nodes),
    }
    merged = jobs.merged(settings, nodes, f"neurobatch-{re.sub('[^a-z0-9]+', '-', path.stem.lower())}")

    def fill(folder: Path) -> None:
        elyra.copy(found, folder / jobs.SOURCES)
        _write(folder, merged)

    return _made(
        args, settings, path.resolve().parent, request=request, subjects=subjects, content=found.content, fill=fill
    )


#: Where the Neurodesk tools are in a step (kfp/specs/notebook.py).
TOOLS = "/cvmfs/neurodesk.ardc.edu.au"


def _named(found: elyra.Pipeline, name: str, text: str, origin: str) -> Any:
    if name not in found.parameters:
        there = ", ".join(found.parameters) or "none (the editor's panel Pipeline Properties makes some)"
        raise RefusalError(f"{found.path} has no parameter {name!r} ({origin}); it has: {there}.")
    return notebook.value(text)


def _rows(
    args: argparse.Namespace, value: Callable[[str, str, str], Any], names: list[str], *, typed: bool = False
) -> list[Subject]:
    """Return the subjects with their parameters: of the table, and those for all.

    A subject's own name stays text, also where it looks like a number, unless ``typed`` asks for what it stands for.
    """
    common: dict[str, Any] = {}
    for name, text in args.parameter:
        if name in common:
            raise RefusalError(f"-p {name} is given twice.")
        common[name] = value(name, text, "-p")
    if not args.over:
        return [Subject(ALONE, common)]
    rows = table.read(Path(args.over))
    first, *others = rows.columns
    # The subject itself must arrive: otherwise all runs would do the same work.
    value(first, next(iter(rows.rows)), f"the first column of {args.over}")
    taken = [column for column in others if column in names]
    twice = [name for name in common if name in (first, *taken)]
    if twice:
        raise RefusalError(f"{twice[0]} is a column of {args.over} and given with -p, too; leave one of them out.")
    found = []
    for name, row in rows.rows.items():
        given = {column: value(column, row[column], f"{args.over}, {name}") for column in taken}
        own = value(first, name, f"the first column of {args.over}") if typed else name
        found.append(Subject(name, {**common, first: own, **given}))
    return found


def _workspace(settings: Settings) -> None:
    if not settings.storage.is_dir():
        raise RefusalError(f"There is no workspace {settings.storage}; --storage names the folder that steps see.")


def _is_inside(settings: Settings, path: Path) -> bool:
    try:
        settings.inside(path)
    except RefusalError:
        return False
    return True


def _write(folder: Path, spec: template.Template) -> None:
    journal.write_json(folder / jobs.SPEC_FILE, {"pipeline": dict(spec.pipeline), "platform": dict(spec.platform)})


def _made(
    args: argparse.Namespace,
    settings: Settings,
    home: Path,
    *,
    request: dict[str, Any],
    subjects: list[Subject],
    content: bytes,
    fill: Callable[[Path], None] = lambda folder: None,
) -> tuple[Batch, bool]:
    """Return an interrupted batch of the same request, or a new one in ``home``, and which of them it is."""
    if args.name and not table.ID.fullmatch(args.name):
        raise RefusalError(
            f"--name {args.name!r} cannot name a folder; use letters, digits, dots, hyphens, underscores."
        )
    if args.after:
        request["after"] = [journal.find(settings.storage, name).name for name in dict.fromkeys(args.after)]
    if not args.new and not args.name:
        wanted = journal.fingerprint(request, subjects)
        for folder in sorted((home / journal.RESULTS).glob(f"*/{journal.FILE}")):
            if journal.read_json(folder).get("schema") != journal.SCHEMA or (folder.parent / journal.CANCEL).exists():
                continue
            old = journal.load(folder.parent)
            if not old.over and journal.fingerprint(old.request, old.subjects) == wanted:
                return old, True
    made = journal.create(
        home, settings.storage, args.name, request=request, subjects=subjects, content=content, fill=fill
    )
    return made, False
