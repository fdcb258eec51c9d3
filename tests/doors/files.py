"""Small HTTP servers: a folder of files, and sick ones that limit, truncate, lie or hang."""

from __future__ import annotations

import http.server
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers without a word to standard error."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send one answer; underscores in the headers' names become hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Answer as GET does."""
        self.reply()

    def do_GET(self) -> None:
        """Answer."""
        self.reply()

    def reply(self) -> None:
        """Answer a GET or a HEAD."""
        self.answer(404)


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """Serve on a free port of loopback until the block ends; yields the URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def folder(path: Path) -> Iterator[tuple[str, Counter[str]]]:
    """Serve the files of a folder; yields the URL and counts the requests by "METHOD /path"."""
    seen: Counter[str] = Counter()

    class Files(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            seen[f"{self.command} {self.path}"] += 1

    with serving(partial(Files, directory=str(path))) as url:
        yield url, seen


@contextmanager
def limited(times: int, after: str = "1", body: bytes = b"here") -> Iterator[tuple[str, list[str]]]:
    """Answer 429 with Retry-After ``after`` so many times, then 200; yields the URL and the requests."""
    seen: list[str] = []

    class Limited(Handler):
        def reply(self) -> None:
            seen.append(self.path)
            if len(seen) <= times:
                self.answer(429, b"", Retry_After=after)
            else:
                self.answer(200, body, Docker_Content_Digest="sha256:" + "0" * 64)

    with serving(Limited) as url:
        yield url, seen


@contextmanager
def truncating(body: bytes, end: int, times: int = 1 << 30) -> Iterator[tuple[str, list[str]]]:
    """Promise ``body`` and hang up after ``end`` bytes, so many times; then serve all (Range included)."""
    seen: list[str] = []

    class Truncating(Handler):
        def reply(self) -> None:
            seen.append(self.headers.get("Range", ""))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            short = len([one for one in seen if one is not None]) <= times
            self.wfile.write(body[:end] if short else body)
            if short:
                self.close_connection = True

    with serving(Truncating) as url:
        yield url, seen


@contextmanager
def hanging() -> Iterator[tuple[str, list[socket.socket]]]:
    """Accept connections and never say a word; yields the URL and the connections."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", held
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in held:
            one.close()
