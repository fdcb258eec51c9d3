"""Downloads with real servers: checked before use; what broke on the way is never installed and stops no later run."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from neurobatch import remote

from tests.doors import files, proxy

BODY = b"#!/bin/sh\necho tool\n" * 500
SUM = hashlib.sha256(BODY).hexdigest()


class Server:
    """A server's folders, and the program run as a role runs it."""

    def __init__(self, folder: Path) -> None:
        """Name the folders; nothing is made yet."""
        self.records, self.dest = folder / "records", folder / "bin" / "tool"

    def fetch(self, url: str, sum_url: str = "", sha256: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
        """Download one file to `dest`."""
        item: dict[str, Any] = {
            "name": "tool",
            "url": url,
            "sum_url": sum_url,
            "sha256": sha256,
            "dest": str(self.dest),
            "mode": "0755",
        }
        params: dict[str, Any] = {key: more.pop(key) for key in ("proxy", "no_proxy") if key in more}
        params |= {"directory": str(self.records), "downloads": [{**item, "member": "", **more}]}
        program = remote.program("fetch", params)
        argv = [sys.executable, "-I", "-"]
        return subprocess.run(argv, input=program, capture_output=True, text=True, check=False, timeout=60)

    def refused(self, *args: Any, **more: Any) -> str:
        """Fetch, expect a refusal of one line, and that nothing was installed or left behind; return the line."""
        before = self.dest.read_bytes() if self.dest.exists() else None
        run = self.fetch(*args, **more)
        assert run.returncode == 1, run.stdout
        assert run.stderr.count("\n") == 1, run.stderr
        assert (self.dest.read_bytes() if self.dest.exists() else None) == before
        assert list(self.records.glob("download-*")) == []
        return run.stderr.strip()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "tool").write_bytes(BODY)
    (folder / "tool.sha256").write_text(f"{SUM}  tool\n")
    return folder


@pytest.mark.parametrize(
    ("sum_name", "sha256", "checked"), [("", SUM, "pin"), ("tool.sha256", "", "publisher's sum"), ("", "", "nothing")]
)
def test_a_file_is_installed_and_what_it_was_checked_against_is_recorded(
    server: Server, store: Path, sum_name: str, sha256: str, checked: str
) -> None:
    with files.folder(store) as (url, _):
        run = server.fetch(f"{url}/tool", f"{url}/{sum_name}" if sum_name else "", sha256)
    assert run.returncode == 0, run.stderr
    assert server.dest.read_bytes() == BODY
    record = json.loads((server.records / "tool.json").read_text())
    assert (record["checked"], record["sha256"], record["installed"]) == (checked, SUM, SUM)
    assert json.loads(run.stdout) == [{"name": "tool", **record}]


def test_a_wrong_checksum(server: Server, store: Path) -> None:
    (store / "wrong").write_text("0" * 64)
    (store / "odd").write_text("<html>please log in</html>")
    with files.folder(store) as (url, _):
        pin = server.refused(f"{url}/tool", sha256="0" * 64)
        published = server.refused(f"{url}/tool", f"{url}/wrong")
        neither = server.refused(f"{url}/tool", f"{url}/odd")
    wrong = "nothing was installed. The mirror's copy is damaged or another version."
    assert pin == f"{url}/tool has SHA-256 {SUM}, but the stack says {'0' * 64}; {wrong}"
    assert published == f"{url}/tool has SHA-256 {SUM}, but {url}/wrong says {'0' * 64}; {wrong}"
    assert neither == f"{url}/odd holds no SHA-256; the mirror serves something else there."


def test_a_truncated_file_is_refused_and_the_next_run_installs_it(server: Server) -> None:
    with files.truncating(BODY, 1000) as (url, seen):
        said = server.refused(f"{url}/tool", sha256=SUM)
        assert len(seen) == 3
    assert said == (
        f"{url}/tool cannot be downloaded: it ends after 1000 of {len(BODY)} bytes; look at artifact_mirror, the "
        "network and the proxy settings."
    )
    with files.truncating(BODY, 1000, times=1) as (url, _):
        assert server.fetch(f"{url}/tool", sha256=SUM).returncode == 0
    assert server.dest.read_bytes() == BODY


def test_a_truncated_archive_that_nobody_knows_the_sum_of(server: Server, store: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("linux-amd64/tool")
        member.size = len(BODY)
        archive.addfile(member, io.BytesIO(BODY))
    (store / "half.tar.gz").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    (store / "whole.tar.gz").write_bytes(buffer.getvalue())
    with files.folder(store) as (url, _):
        said = server.refused(f"{url}/half.tar.gz", member="linux-amd64/tool")
        missing = server.refused(f"{url}/whole.tar.gz", member="linux-amd64/other")
        assert server.fetch(f"{url}/whole.tar.gz", member="linux-amd64/tool").returncode == 0
    assert said.startswith(f"{url}/half.tar.gz is damaged (")
    assert missing == f"{url}/whole.tar.gz holds no file linux-amd64/other."
    assert server.dest.read_bytes() == BODY


def test_429_and_then_the_file(server: Server) -> None:
    with files.limited(2, "0", BODY) as (url, seen):
        assert server.fetch(f"{url}/tool", sha256=SUM).returncode == 0
        assert len(seen) == 3
    with files.limited(9, "86400") as (url, _):
        started = time.monotonic()
        assert server.refused(f"{url}/tool").startswith(f"{url}/tool was answered with HTTP 429; ")
        assert time.monotonic() - started < 10


def test_a_file_that_is_not_there(server: Server, store: Path) -> None:
    with files.folder(store) as (url, _):
        said = server.refused(f"{url}/none")
    assert said == f"{url}/none was answered with HTTP 404; look at artifact_mirror, or whether the file is there."


def test_a_directory_of_the_server_in_place_of_a_mirror(server: Server, store: Path) -> None:
    assert server.fetch(f"file://{store}/tool", f"file://{store}/tool.sha256").returncode == 0
    assert server.dest.read_bytes() == BODY
    assert "No such file" in server.refused(f"file://{store}/none")


def test_through_squid(server: Server, store: Path, tmp_path: Path) -> None:
    with proxy.squid(tmp_path / "squid") as (way, log), files.folder(store) as (url, _):
        assert server.fetch(f"{url}/tool", sha256=SUM, proxy=way).returncode == 0
        assert server.fetch(f"{url}/tool", sha256=SUM, proxy=way, no_proxy=["127.0.0.1"]).returncode == 0
        assert log.read_text().count(f"GET {url}/tool") == 1


def test_what_a_killed_run_left_behind_is_removed(server: Server, store: Path) -> None:
    left = server.records / "download-abc"
    left.mkdir(parents=True)
    (left / "download").write_bytes(BODY[:10])
    server.dest.parent.mkdir()
    server.dest.with_name(".tool.new").write_bytes(BODY[:10])
    with files.folder(store) as (url, _):
        assert server.fetch(f"{url}/tool", sha256=SUM).returncode == 0
    assert not left.exists()
    assert sorted(path.name for path in server.dest.parent.iterdir()) == ["tool"]


def test_a_run_that_is_killed_half_way_stops_no_later_one(server: Server, store: Path) -> None:
    with files.hanging() as (url, held):
        program = remote.program(
            "fetch",
            {"directory": str(server.records), "downloads": [{"name": "tool", "url": f"{url}/tool", "sum_url": ""}]},
        )
        run = subprocess.Popen([sys.executable, "-I", "-"], stdin=subprocess.PIPE, text=True)
        assert run.stdin
        run.stdin.write(program)
        run.stdin.close()
        until = time.monotonic() + 30
        while not held and time.monotonic() < until:
            time.sleep(0.02)
        run.kill()
        run.wait()
    assert len(list(server.records.glob("download-*"))) == 1
    with files.folder(store) as (url, _):
        assert server.fetch(f"{url}/tool", sha256=SUM).returncode == 0
    assert list(server.records.glob("download-*")) == []
