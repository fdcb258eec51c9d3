"""Runs inside the container as the notebook user: compare what Elyra shall find in the home, and write what differs.

Being that user is the point: whatever links a notebook left in the home, nothing is read or written that it could not.
Standard input: JSON with ``write`` and ``documents``, each with ``path`` (below the home), ``content``, ``mode`` and
``managed``. A managed document is kept as it is wanted; what somebody made of it meanwhile is put aside. Another is a
gift: written once, brought up to date as long as nobody changed it, and never written again after it was changed or
removed. Prints JSON: differs, the paths that differ; kept, where changed ones were put.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

RECORD = ".local/share/neurobatch/written.json"
KEPT = ".local/share/neurobatch/kept"


def digest(content: str) -> str:
    """Return the SHA-256 of a text; of JSON, that of its values, since Elyra writes the same in another layout."""
    with contextlib.suppress(ValueError):
        content = json.dumps(json.loads(content), sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def read(path: Path) -> str | None:
    """Return a file's text, None where there is none."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None


def differs(document: dict[str, Any], target: Path, given: dict[str, str]) -> bool:
    """Return whether this document is to be written."""
    found, wanted = read(target), document["content"]
    if not document["managed"]:
        last = given.get(document["path"])
        if found is None:
            return last is None
        return digest(found) != digest(wanted) and digest(found) == last
    same = found is not None and digest(found) == digest(wanted)
    return not same or f"{target.stat().st_mode & 0o777:04o}" != document["mode"]


def write(target: Path, content: str, mode: int) -> None:
    """Put a file in place in one step; until then the one before it stays whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.new")
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content.encode("utf-8", "surrogateescape"))
        os.replace(partial, target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def put_aside(home: Path, document: dict[str, Any], last: str | None) -> str:
    """Keep what somebody made of a managed document, for its owner only; return where, empty where nobody did."""
    found = read(home / document["path"])
    if found is None or last is None or digest(found) in {last, digest(document["content"])}:
        return ""
    name = Path(document["path"])
    kept = f"{KEPT}/{name.stem}-{digest(found)[:8]}{name.suffix}"
    if read(home / kept) is None:
        write(home / kept, found, 0o600)
    return kept


def apply(home: Path, order: dict[str, Any]) -> dict[str, list[str]]:
    """Compare, and write where that is asked for."""
    given: dict[str, str] = json.loads(read(home / RECORD) or "{}")
    changed, kept = [], []
    for document in order["documents"]:
        path = document["path"]
        if not differs(document, home / path, given):
            continue
        changed.append(path)
        if order["write"]:
            aside = put_aside(home, document, given.get(path)) if document["managed"] else ""
            kept += [aside] if aside else []
            write(home / path, document["content"], int(document["mode"], 8))
            given[path] = digest(document["content"])
    if changed and order["write"]:
        write(home / RECORD, json.dumps(given, indent=1), 0o644)
    return {"differs": changed, "kept": kept}


def refusal(error: OSError) -> str:
    """Return what to do where the home cannot be written."""
    where = error.filename or "the home"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"The home is full ({where}); nothing in it was changed. Free some room: "
            "`sudo docker exec neurodesktop du -xhd2 /home/jovyan | sort -h` shows where it went."
        )
    if error.errno == errno.EROFS:
        return (
            f"The home is mounted read-only ({where}); nothing in it was changed. Likely cause: an error on the disk. "
            "Look at `dmesg`, then `sudo systemctl restart neurodesktop.service`."
        )
    return (
        f"The notebook user cannot write {where} ({error.strerror}). Likely cause: somebody else's file or folder. "
        "`sudo docker exec neurodesktop chown -R jovyan: /home/jovyan/.local` gives it back."
    )


def main(params: dict[str, Any]) -> None:
    """Print what differs, or differed before it was written. Parameters: home."""
    try:
        print(json.dumps(apply(Path(params["home"]), json.load(sys.stdin))))
    except OSError as error:
        sys.exit(refusal(error))
