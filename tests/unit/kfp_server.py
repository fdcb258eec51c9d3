"""An HTTP server on loopback that answers like the pipeline API v2beta1, with faults on demand."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: A fault takes (method, path) and returns what to do instead of answering: an HTTP status, "drop" to close the
#: connection without an answer, "done-drop" to do what was asked and then drop, "html" for a page, "delay" to hold the
#: connection, "drip" to answer a byte at a time, "truncate" to answer half, "garbage" not to speak HTTP, "reset" to cut
#: the connection the hard way, "empty" to answer with nothing, "foreign" as another API would; None answers.
Fault = Callable[[str, str], int | str | None]


class Api:
    """Experiments and runs in memory. ``script`` holds the states that a run goes through, one for each look."""

    def __init__(self) -> None:
        """Start empty and without faults."""
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.script: list[dict[str, Any]] = []
        self.fault: Fault = lambda method, path: None
        self.requests: list[tuple[str, str]] = []
        self.terminated: list[str] = []
        self.page_size = 2
        self.made = 0
        self.version = "2.0.0"

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, dict[str, Any]]:
        """Return status and body for one request."""
        parts = path.strip("/").split("/")[2:]
        predicates = json.loads(query["filter"][0])["predicates"] if "filter" in query else []
        name = predicates[0]["stringValue"] if predicates and predicates[0]["operation"] == 1 else None
        part = predicates[0]["stringValue"] if predicates and predicates[0]["operation"] == 9 else ""
        if parts == ["healthz"]:
            return 200, {"commit_sha": "0", "tag_name": self.version, "multi_user": False}
        if parts[0] == "experiments":
            return self._experiments(method, name, body)
        if parts == ["runs"]:
            return self._make_run(body) if method == "POST" else self._list(query, name, part)
        if method == "DELETE":
            self.runs = [row for row in self.runs if row["run_id"] != parts[1]]
            return 200, {}
        return self._run(parts[1])

    def blob(self, path: str, query: dict[str, list[str]]) -> bytes | None:
        """Return an artifact, None for any other path."""
        return None

    def _experiments(self, method: str, name: str | None, body: Any) -> tuple[int, dict[str, Any]]:
        if method == "GET":
            return 200, {"experiments": [row for row in self.experiments if row["display_name"] == name]}
        if any(row["display_name"] == body["display_name"] for row in self.experiments):
            return 409, {"error": "exists", "code": 6, "message": "exists", "details": [{"message": "taken"}]}
        self.experiments.append({"experiment_id": f"e{len(self.experiments)}", **body})
        return 200, self.experiments[-1]

    def _make_run(self, body: Any) -> tuple[int, dict[str, Any]]:
        if body["pipeline_spec"].get("unknown"):
            details = [{"@type": "type.googleapis.com/google.rpc.Status", "message": "unknown template format"}]
            return 400, {"error": "e", "code": 3, "message": "Failed to create a run", "details": details}
        self.made += 1
        self.runs.append({"run_id": f"r{self.made - 1}", "state": "PENDING", **body})
        return 200, self.runs[-1]

    def _list(self, query: dict[str, list[str]], name: str | None, part: str) -> tuple[int, dict[str, Any]]:
        rows = [row for row in reversed(self.runs) if name in (None, row["display_name"])]
        rows = [row for row in rows if part in row["display_name"]]
        start = int(query.get("page_token", ["0"])[0])
        page: dict[str, Any] = {"runs": rows[start : start + self.page_size]}
        if start + self.page_size < len(rows):
            page["next_page_token"] = str(start + self.page_size)
        return 200, page

    def _run(self, resource: str) -> tuple[int, dict[str, Any]]:
        run_id, _, verb = resource.partition(":")
        run = next((row for row in self.runs if row["run_id"] == run_id), None)
        if run is None:
            return 404, {"error": "not found", "code": 5, "message": f"Run {run_id} not found."}
        if verb == "terminate":
            self.terminated.append(run_id)
            run["state"] = "CANCELED"
        elif self.script:
            run.update(self.script.pop(0))
        return 200, run


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """Serve ``api`` and yield its endpoint."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:  # noqa: PLR0911, PLR0912 - one line a fault
            url = urlsplit(self.path)
            path = url.path.removeprefix("/pipeline")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            api.requests.append((self.command, path))
            # An endpoint may be given a part more, by which a test tells one command's requests from another's.
            path = path.removeprefix("/marked")
            fault = api.fault(self.command, path)
            if fault == "drop":
                self.close_connection = True
                return
            if fault == "html":
                self.reply(200, b"<html>Kubeflow</html>", "text/html")
                return
            if fault == "delay":
                released.wait(5)
                self.close_connection = True
                return
            if fault == "garbage":
                self.wfile.write(b"220 mail.example ESMTP\r\n")
                self.close_connection = True
                return
            if fault == "reset":
                # Closed with data unread, or lingering not at all: the other side sees the connection cut.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
                self.close_connection = True
                return
            if fault in ("empty", "foreign"):
                self.reply(200, b"" if fault == "empty" else b'{"hello": "world"}', "application/json")
                return
            if isinstance(fault, int):
                headers = {"Location": "/login"} if fault == 302 else {"Retry-After": "0"}
                self.reply(fault, b"upstream connect error", "text/plain", headers)
                return
            blob = api.blob(path, parse_qs(url.query))
            kind, status = "application/json", 200
            if blob is None:
                status, answer = api.answer(self.command, path, parse_qs(url.query), body)
                content = json.dumps(answer).encode()
            else:
                kind, content = "application/octet-stream", blob
            if fault == "done-drop":
                self.close_connection = True
                return
            if fault == "truncate":
                content, length = content[: len(content) // 2], len(content)
                self.reply(status, content, kind, {"Content-Length": str(length)})
                self.close_connection = True
                return
            if fault == "drip":
                self.reply(status, b"", kind, {"Content-Length": str(len(content))})
                for byte in content:
                    if released.wait(0.1):
                        break
                    self.wfile.write(bytes([byte]))
                self.close_connection = True
                return
            self.reply(status, content, kind)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

        def reply(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def handle(self) -> None:
            # Who has given up on an answer has closed the connection.
            with suppress(OSError):
                super().handle()

        def log_message(self, *args: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/pipeline"
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()
