"""Results back from the object store, through the page of Kubeflow Pipelines: no key needed, nothing overwritten."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from neurobatch.batch.journal import Batch, Subject
from neurobatch.batch.refusal import RefusalError
from neurobatch.kfp.client import Client

LARGEST = 256 * 2**20
"""Bytes of an archive; the step puts 100 MiB of outputs into one at most."""


def subject(client: Client, batch: Batch, wanted: Subject, target: Path) -> dict[str, list[str]]:
    """Unpack one subject's archive into ``target``; files that are there stay as they are.

    Returns:
        names under "written" and "kept".

    Raises:
        RefusalError: there is no archive, or it cannot be unpacked there.
        KfpError: the object store does not give it.
    """
    done: dict[str, list[str]] = {"written": [], "kept": []}
    archives = [part.rpartition("=") for part in wanted.archive.split()]
    if not archives:
        raise RefusalError(f"{wanted.name} of {batch.name} has no archive in the object store: it is {wanted.state}.")
    for step, _, address in archives:
        url = urlsplit(address)
        content = client.artifact(url.scheme, url.netloc, url.path.lstrip("/"), limit=LARGEST)
        try:
            new = _unpack(content, target / step)
        except zipfile.BadZipFile:
            raise RefusalError(f"What the object store has as {address} is no archive of results.") from None
        except OSError as error:
            raise RefusalError(f"{error.filename or target} cannot be written: {error.strerror}.") from error
        for kind, names in new.items():
            done[kind] += [f"{step}/{name}" if step else name for name in names]
    return done


def _unpack(content: bytes, target: Path) -> dict[str, list[str]]:
    done: dict[str, list[str]] = {"written": [], "kept": []}
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        for entry in packed.infolist():
            path = target / entry.filename
            if entry.is_dir() or not path.resolve().is_relative_to(target.resolve()):
                continue
            if path.exists():
                done["kept"].append(entry.filename)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.new")
            partial.write_bytes(packed.read(entry))
            os.replace(partial, path)
            done["written"].append(entry.filename)
    return done
