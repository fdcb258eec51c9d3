"""Download files, check them, and put each in place in one step: what is in place is never half a file.

Parameters: downloads, each {name, url, sum_url, sha256, dest, mode, member, tree}; directory, where records are kept;
proxy and no_proxy, as `neurobatch.remote.network.door` takes them. `member` names the file wanted out of a .tar.gz,
`tree` the folder below its top folder (pinned as unpacked); without both the download itself is wanted. A file with
neither pin nor sum is taken, recorded and reported so. What an interrupted run left behind is removed by the next one.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import zlib
from pathlib import Path
from typing import Any

from neurobatch.remote.network.door import Door, pause, shown

TRIES = 3
#: Seconds without a byte after which a connection counts as broken, and that a server may make us wait in all.
SILENCE = 60
PATIENCE = 120
#: What temporary folders begin with.
PREFIX = "download-"


def download(door: Door, url: str, target: Path) -> str:
    """Write what ``url`` serves to ``target`` and return its SHA-256; a broken connection is tried again."""
    waited = 0.0
    for attempt in range(TRIES):
        rest = 2.0 * 2**attempt
        try:
            with door.open(url) as response, target.open("wb") as stream:
                return copy(response, stream)
        except urllib.error.HTTPError as error:
            asked = pause(error.headers.get("Retry-After"), time.time())
            later = error.code in (429, 503) and (asked or 0) + waited <= PATIENCE
            if attempt == TRIES - 1 or not (later or error.code >= 500):
                sys.exit(
                    f"{shown(url)} was answered with HTTP {error.code}; "
                    "look at artifact_mirror, or whether the file is there."
                )
            rest = asked if asked is not None else rest
        except (OSError, http.client.HTTPException) as error:
            if attempt == TRIES - 1 or isinstance(getattr(error, "reason", error), FileNotFoundError):
                sys.exit(
                    f"{shown(url)} cannot be downloaded: {getattr(error, 'reason', error)}; "
                    "look at artifact_mirror, the network and the proxy settings."
                )
        waited += rest
        time.sleep(rest)
    raise AssertionError("unreachable")


def copy(response: Any, stream: Any) -> str:
    """Write an answer's whole body and return its SHA-256.

    Raises:
        OSError: it ended before its promised length.
    """
    digest = hashlib.sha256()
    length = 0
    while block := response.read(1 << 20):
        digest.update(block)
        stream.write(block)
        length += len(block)
    expected = response.headers.get("Content-Length")
    if expected and length != int(expected):
        raise OSError(f"it ends after {length} of {expected} bytes")
    return digest.hexdigest()


def published_sum(door: Door, url: str) -> str:
    """Return the SHA-256 in a publisher's checksum file: the digest alone, or in front of the file's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sum"
        download(door, url, path)
        text = path.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"\b[0-9a-f]{64}\b", text)
    if not found:
        sys.exit(f"{shown(url)} holds no SHA-256; the mirror serves something else there.")
    return found.group()


def unpack(item: dict[str, Any], source: Path, target: Path) -> None:
    """Unpack the wanted folder of an archive, plain files only, and check its pin."""
    shutil.rmtree(target, ignore_errors=True)
    with tarfile.open(source) as archive:
        for member in archive:
            inside = member.name.partition("/")[2]
            if member.isfile() and inside.startswith(item["tree"] + "/") and ".." not in inside.split("/"):
                path = target / inside[len(item["tree"]) + 1 :]
                path.parent.mkdir(parents=True, exist_ok=True)
                stream = archive.extractfile(member)
                path.write_bytes(stream.read() if stream else b"")
    if not target.is_dir():
        sys.exit(f"{shown(item['url'])} holds no folder {item['tree']}.")
    found = tree_sum(target)
    if item["sha256"] and found != item["sha256"]:
        shutil.rmtree(target)
        sys.exit(
            f"{item['tree']} of {shown(item['url'])} has the sum {found}, but the stack says {item['sha256']}; "
            "nothing was installed."
        )


def tree_sum(folder: Path) -> str:
    """Return a SHA-256 over the paths and contents of all files below ``folder``."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def install(item: dict[str, Any], source: Path) -> None:
    """Put the download, or its member, in place at once."""
    dest = Path(item["dest"])
    dest.parent.mkdir(parents=True, exist_ok=True)
    partial = dest.with_name(f".{dest.name}.new")
    try:
        if item.get("tree"):
            unpack(item, source, partial)
            shutil.rmtree(dest, ignore_errors=True)
            os.replace(partial, dest)
            return
        if item.get("member"):
            partial.write_bytes(member_of(item, source))
        else:
            partial.write_bytes(source.read_bytes())
    except (tarfile.TarError, EOFError, zlib.error) as error:
        # A truncated archive that nobody knew the sum of.
        shutil.rmtree(partial, ignore_errors=True)
        sys.exit(f"{shown(item['url'])} is damaged ({error}); nothing was installed. Look at the mirror's copy.")
    os.chmod(partial, int(item["mode"], 8))
    os.replace(partial, dest)


def member_of(item: dict[str, Any], source: Path) -> bytes:
    """Return the content of the wanted file of an archive."""
    with tarfile.open(source) as archive:
        try:
            member = archive.extractfile(item["member"])
        except KeyError:
            member = None
        if member is None:
            sys.exit(f"{shown(item['url'])} holds no file {item['member']}.")
        return member.read()


def fetch(door: Door, item: dict[str, Any], folder: Path) -> dict[str, str]:
    """Download, check and install one file; return what it was checked against."""
    source = folder / "download"
    found = download(door, item["url"], source)
    pinned = "" if item.get("tree") else item["sha256"]
    wanted = pinned or (published_sum(door, item["sum_url"]) if item["sum_url"] else "")
    if wanted and found != wanted:
        who = "the stack" if pinned else shown(item["sum_url"])
        sys.exit(
            f"{shown(item['url'])} has SHA-256 {found}, but {who} says {wanted}; "
            "nothing was installed. The mirror's copy is damaged or another version."
        )
    install(item, source)
    dest = Path(item["dest"])
    return {
        "url": item["url"],
        "sha256": found,
        "checked": "pin" if item["sha256"] else "publisher's sum" if wanted else "nothing",
        "installed": tree_sum(dest) if dest.is_dir() else hashlib.sha256(dest.read_bytes()).hexdigest(),
    }


def main(params: dict[str, Any]) -> None:
    """Download what is asked for and print what each file was checked against."""
    records = Path(params["directory"])
    records.mkdir(parents=True, exist_ok=True)
    for left in records.glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    door = Door(params.get("proxy", ""), params.get("no_proxy", []), SILENCE)
    done = []
    for item in params["downloads"]:
        with tempfile.TemporaryDirectory(dir=records, prefix=PREFIX) as folder:
            record = fetch(door, item, Path(folder))
        (records / f"{item['name']}.json").write_text(json.dumps(record), encoding="utf-8")
        done.append({"name": item["name"], **record})
    print(json.dumps(done))
