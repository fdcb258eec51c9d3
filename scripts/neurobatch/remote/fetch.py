"""Download files, check them, and put each in place in one step: what is in place is never half a file.

Parameters: downloads, each {name, url, sum_url, sha256, dest, mode, member, tree}; directory, where records are kept.
`member` names the file wanted out of a .tar.gz, `tree` the folder below its top folder (pinned as unpacked);
without both the download itself is wanted. A file with neither pin nor sum is taken, recorded and reported so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TRIES = 3


def download(url: str, target: Path) -> str:
    """Write what ``url`` serves to ``target`` and return its SHA-256; a broken connection is tried again."""
    for attempt in range(TRIES):
        digest = hashlib.sha256()
        try:
            with urllib.request.urlopen(url, timeout=60) as response, target.open("wb") as stream:
                expected = response.headers.get("Content-Length")
                while block := response.read(1 << 20):
                    digest.update(block)
                    stream.write(block)
            if expected and target.stat().st_size != int(expected):
                raise OSError(f"it ends after {target.stat().st_size} of {expected} bytes")
            return digest.hexdigest()
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == TRIES - 1:
                sys.exit(
                    f"{url} was answered with HTTP {error.code}; look at artifact_mirror, or whether the file is there."
                )
        except OSError as error:
            if attempt == TRIES - 1:
                sys.exit(
                    f"{url} cannot be downloaded: {error}; look at artifact_mirror, the network and the proxy settings."
                )
        time.sleep(2 * 2**attempt)
    raise AssertionError("unreachable")


def published_sum(url: str) -> str:
    """Return the SHA-256 in a publisher's checksum file: the digest alone, or in front of the file's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sum"
        download(url, path)
        text = path.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"\b[0-9a-f]{64}\b", text)
    if not found:
        sys.exit(f"{url} holds no SHA-256; the mirror serves something else there.")
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
        sys.exit(f"{item['url']} holds no folder {item['tree']}.")
    found = tree_sum(target)
    if item["sha256"] and found != item["sha256"]:
        shutil.rmtree(target)
        sys.exit(
            f"{item['tree']} of {item['url']} has the sum {found}, but the stack says {item['sha256']}; "
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
    if item.get("tree"):
        unpack(item, source, partial)
        shutil.rmtree(dest, ignore_errors=True)
        os.replace(partial, dest)
        return
    if item.get("member"):
        with tarfile.open(source) as archive:
            member = archive.extractfile(item["member"])
            if member is None:
                sys.exit(f"{item['url']} holds no file {item['member']}.")
            partial.write_bytes(member.read())
    else:
        partial.write_bytes(source.read_bytes())
    os.chmod(partial, int(item["mode"], 8))
    os.replace(partial, dest)


def main(params: dict[str, Any]) -> None:
    """Download what is asked for and print what each file was checked against."""
    records = Path(params["directory"])
    records.mkdir(parents=True, exist_ok=True)
    done = []
    for item in params["downloads"]:
        with tempfile.TemporaryDirectory(dir=records) as folder:
            source = Path(folder) / "download"
            found = download(item["url"], source)
            pinned = "" if item.get("tree") else item["sha256"]
            wanted = pinned or (published_sum(item["sum_url"]) if item["sum_url"] else "")
            if wanted and found != wanted:
                who = "the stack" if pinned else item["sum_url"]
                sys.exit(
                    f"{item['url']} has SHA-256 {found}, but {who} says {wanted}; "
                    "nothing was installed. The mirror's copy is damaged or another version."
                )
            install(item, source)
        checked = "pin" if item["sha256"] else "publisher's sum" if wanted else "nothing"
        dest = Path(item["dest"])
        installed = tree_sum(dest) if dest.is_dir() else hashlib.sha256(dest.read_bytes()).hexdigest()
        record = {"url": item["url"], "sha256": found, "checked": checked, "installed": installed}
        (records / f"{item['name']}.json").write_text(json.dumps(record), encoding="utf-8")
        done.append({"name": item["name"], **record})
    print(json.dumps(done))
