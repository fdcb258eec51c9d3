"""A small HTTP server: every request is answered by one function, in a thread of its own."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        method: GET, POST or DELETE.
        path: without the query.
        query: name to the last value given.
        body: raw.
        content: the Content-Type.
        target: path and query as they came.
    """

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    content: str
    target: str

    def file(self, field: str) -> tuple[str, str] | None:
        """Return name and text of a file in a multipart form, or None."""
        head = f"Content-Type: {self.content}\r\n\r\n".encode()
        message = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        for part in message.iter_parts() if message.is_multipart() else ():
            payload = part.get_payload(decode=True)
            if part.get_param("name", header="content-disposition") == field and isinstance(payload, bytes):
                return part.get_filename() or "", payload.decode("utf-8", errors="replace")
        return None


Answer = tuple[int, str, bytes]
"""HTTP status, Content-Type and body."""


def as_json(status: int, body: dict[str, Any]) -> Answer:
    """Return a JSON answer."""
    return status, "application/json", json.dumps(body).encode()


def server(port: int, answer: Callable[[Request], Answer]) -> ThreadingHTTPServer:
    """Return a server on a port of every address; reads are not logged, since probes and polls would fill the log."""

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = self.headers.get("Content-Type", "")
            status, kind, data = answer(
                Request(self.command, url.path, dict(parse_qsl(url.query)), body, content, self.path)
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say what was changed."""
            if self.command != "GET":
                super().log_message(format, *args)

    return ThreadingHTTPServer(("", port), Handler)


def alive(port: int) -> None:
    """Answer 200 to everything on a port, for ever."""
    server(port, lambda _: (200, "text/plain", b"ok: this is a rehearsal\n")).serve_forever()
