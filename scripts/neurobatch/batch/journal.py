"""A batch as a folder: ``results/RUN/`` beside the notebook, with a journal that survives every interruption.

    results/RUN/batch.json        the journal: the request, and each subject's state, key and run
    results/RUN/NOTEBOOK.ipynb    the notebook as it was when the batch was made
    results/RUN/SUBJECT/          executed notebook, outputs, log.txt, job.json (asked), status.json (how it went)
    results/RUN/failed/SUBJECT-N/ what a failed attempt N left, moved there before the next one

The journal is written whole and renamed into place before and after each submission: whoever reads it after a power cut
finds a subject not submitted, or under way to be (SUBMITTING: its key tells whether it arrived), or with its run.
A lock, which ends with its process, keeps two programs from driving one batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from neurobatch.batch.refusal import RefusalError

FILE, LOCK, CANCEL, FAILED_FOLDER, INDEX = "batch.json", ".lock", ".cancel", "failed", ".neurobatch"
RESULTS = "results"
SCHEMA = 1
NOTEBOOK, NODES, SPEC = "notebook", "nodes", "spec"
WAITING, SUBMITTING = "WAITING", "SUBMITTING"
#: States in which a subject stays until somebody resubmits it.
OVER = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
#: Under way in the cluster.
ACTIVE = frozenset({"PENDING", "RUNNING", "CANCELING", "RUNTIME_STATE_UNSPECIFIED", "PAUSED"})


@dataclass
class Subject:
    """One subject: what it was given, and how far it is. Times are Unix times, 0 for "not yet"."""

    name: str
    parameters: dict[str, Any]
    state: str = WAITING
    attempt: int = 1
    run_id: str = ""
    submitted: float = 0.0
    ended: float = 0.0
    reason: str = ""
    cell: str = ""
    archive: str = ""


@dataclass
class Batch:
    """A batch and where it lies; ``request`` is what was asked for (`command.request_of`)."""

    folder: Path
    name: str
    uid: str
    created: float
    request: dict[str, Any]
    subjects: list[Subject] = field(default_factory=list)
    experiment_id: str = ""

    @property
    def kind(self) -> str:
        """What each subject is: one notebook, the nodes of an Elyra pipeline, or a pipeline compiled elsewhere."""
        return str(self.request.get("kind") or NOTEBOOK)

    @property
    def notebook(self) -> Path:
        """The notebook's copy in the batch's folder."""
        return self.folder / str(self.request["notebook"])

    @property
    def over(self) -> bool:
        """Whether no subject is left to wait for."""
        return all(subject.state in OVER for subject in self.subjects)

    @property
    def failed(self) -> list[Subject]:
        """Subjects that ended otherwise than well."""
        return [subject for subject in self.subjects if subject.state in OVER and subject.state != "SUCCEEDED"]

    def key(self, subject: Subject) -> str:
        """Return the key that makes this attempt's run findable: the same after every restart of this program."""
        return f"{self.uid}-{self.subjects.index(subject) + 1}-{subject.attempt}"

    def title(self, subject: Subject) -> str:
        """Return the name of a subject's run, which stands in front of its key."""
        return f"{self.name} {subject.name}"

    def counts(self) -> dict[str, int]:
        """Return how many subjects are in which state."""
        return dict(Counter(subject.state for subject in self.subjects))

    def subject(self, name: str) -> Subject:
        """Return a subject by its name.

        Raises:
            RefusalError: there is none of this name.
        """
        for subject in self.subjects:
            if subject.name == name:
                return subject
        names = ", ".join(subject.name for subject in self.subjects[:12])
        raise RefusalError(
            f"The run {self.name} has no subject {name!r}; it has {names}{', …' * (len(self.subjects) > 12)}."
        )

    def save(self) -> None:
        """Write the journal, whole, in the place of the old one.

        Raises:
            RefusalError: the folder cannot be written.
        """
        document = {"schema": SCHEMA, **dataclasses.asdict(self)}
        del document["folder"]
        try:
            write_json(self.folder / FILE, document)
        except OSError as error:
            raise RefusalError(f"The journal in {self.folder} cannot be written: {error.strerror}.") from error

    def driven(self) -> bool:
        """Return whether a program drives this batch now, as far as this user may know."""
        try:
            with (self.folder / LOCK).open("a+") as stream:
                return not _taken(stream, 0.0)
        except OSError:
            return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only program that drives this batch.

        Raises:
            RefusalError: another one is at it.
        """
        with (self.folder / LOCK).open("a+") as stream:
            # More than once: `driven` holds it for a moment, too.
            if not any(_taken(stream, pause) for pause in (0.0, 0.05, 0.1)):
                stream.seek(0)
                raise RefusalError(
                    f"Another neurobatch (process {stream.read().strip() or '?'}) is working on {self.name}; look with "
                    f"`neurobatch status {self.name}`, end it with `neurobatch cancel {self.name}`."
                )
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield


def _taken(stream: IO[str], pause: float) -> bool:
    """Return whether the lock on a file could be had after ``pause`` seconds."""
    time.sleep(pause)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file so that readers see the old one or the new one, also after a power cut."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.new")
    with partial.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object; empty where there is none, or none yet."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def load(folder: Path) -> Batch:
    """Return the batch in a folder, as its journal has it now.

    Raises:
        RefusalError: there is no journal, or one of another version.
    """
    document = read_json(folder / FILE)
    if document.get("schema") != SCHEMA:
        raise RefusalError(f"{folder} holds no run of this neurobatch ({FILE} is missing or of another version).")
    subjects = [Subject(**row) for row in document["subjects"]]
    values = {name: document[name] for name in ("name", "uid", "created", "request", "experiment_id")}
    return Batch(folder=folder, subjects=subjects, **values)


def fingerprint(request: dict[str, Any], subjects: list[Subject]) -> str:
    """Return what two requests have in common that would do the same work."""
    told = [request, [[subject.name, subject.parameters] for subject in subjects]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def create(
    home: Path,
    storage: Path,
    name: str,
    *,
    request: dict[str, Any],
    subjects: list[Subject],
    content: bytes,
    fill: Callable[[Path], None] = lambda folder: None,
) -> Batch:
    """Make a batch's folder in ``home`` with its journal and the notebook, and note it in the storage's index.

    Args:
        home: the notebook's folder.
        storage: root of the workspace.
        name: of the run; empty: made from the notebook's name and the time.
        request: what was asked for.
        subjects: all of them.
        content: the notebook's bytes.
        fill: puts further files into the new folder.

    Raises:
        RefusalError: the name is taken, or a folder cannot be written.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in Path(request["notebook"]).stem)
    chosen = name or f"{stem}-{stamp}"
    for number in range(1, 100):
        candidate = chosen if number == 1 or name else f"{stem}-{stamp}-{number}"
        folder = home / RESULTS / candidate
        batch = Batch(folder, candidate, uuid.uuid4().hex[:10], time.time(), request, subjects)
        try:
            with _claimed(folder, storage):
                (folder / str(request["notebook"])).write_bytes(content)
                fill(folder)
                batch.save()
        except _TakenError:
            if name:
                break
        except OSError as error:
            raise RefusalError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
        else:
            return batch
    raise RefusalError(f"There is a run {candidate!r} already; choose another --name.")


class _TakenError(Exception):
    """Another run is called so, or a folder."""


@contextlib.contextmanager
def _claimed(folder: Path, storage: Path) -> Iterator[None]:
    """Make a run's folder and its entry in the storage's index; both go again if what follows fails.

    Raises:
        _TakenError: one of them is there already, and stays as it is.
        OSError: one of them cannot be made.
    """
    entry = storage / INDEX / folder.name
    with contextlib.ExitStack() as undo:
        for parent in (storage / INDEX, folder.parent):
            if not parent.exists():
                parent.mkdir(exist_ok=True)
                undo.callback(_remove_empty, parent)
        try:
            with entry.open("x", encoding="utf-8") as stream:
                undo.callback(entry.unlink, missing_ok=True)
                stream.write(str(folder.resolve().relative_to(storage.resolve())))
            folder.mkdir()
        except FileExistsError:
            raise _TakenError from None
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        yield
        undo.pop_all()


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def known(storage: Path) -> list[Path]:
    """Return the folders of all runs in this storage, the newest first."""
    index = storage / INDEX
    if not index.is_dir():
        return []
    found = [storage / entry.read_text(encoding="utf-8").strip() for entry in index.iterdir() if entry.is_file()]
    there = [folder for folder in found if (folder / FILE).is_file()]
    return sorted(there, key=lambda folder: (folder / FILE).stat().st_ctime_ns, reverse=True)


def find(storage: Path, name: str) -> Batch:
    """Return a run by its name or its folder.

    Raises:
        RefusalError: there is none.
    """
    if "/" in name:
        return load(Path(name))
    entry = storage / INDEX / name
    if name not in (".", "..") and entry.is_file():
        return load(storage / entry.read_text(encoding="utf-8").strip())
    names = [folder.name for folder in known(storage)[:3]]
    hint = f"the newest are {', '.join(names)}" if names else "there is none yet"
    raise RefusalError(f"There is no run {name!r} in {storage}: {hint} (`neurobatch list` shows all).")
