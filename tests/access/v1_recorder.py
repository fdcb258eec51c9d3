"""Answers like the pipeline API v1beta1 as far as a submission needs it, runs nothing, and writes down every request.

Usage: python3 v1_recorder.py PORT FILE. FILE gets one line of JSON for each request: method, path, query, and what was
uploaded or sent. Standard library only: it runs where JupyterLab runs.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PIPELINE = {"id": "p-1", "name": "recorded", "default_version": {"id": "v-1", "name": "recorded"}}
ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/apis/v1beta1/healthz"): {"commit_sha": "0", "tag_name": "2.0.0", "multi_user": False},
    ("GET", "/apis/v1beta1/experiments"): {},
    ("GET", "/apis/v1beta1/pipelines"): {},
    ("POST", "/apis/v1beta1/pipelines/upload"): PIPELINE,
    ("GET", "/apis/v1beta1/pipeline_versions"): {"versions": [PIPELINE["default_version"]]},
    ("GET", "/apis/v1beta1/pipelines/p-1"): PIPELINE,
    ("POST", "/apis/v1beta1/experiments"): {"id": "e-1", "name": "recorded"},
    ("POST", "/apis/v1beta1/runs"): {"run": {"id": "r-1", "name": "recorded"}},
}


def readable(body: bytes) -> str:
    """Return a body as text; of an uploaded archive, the text of its files."""
    at = body.find(b"\x1f\x8b")
    if at < 0:
        return body.decode(errors="replace")
    # What follows in the form is no part of the archive.
    with tarfile.open(fileobj=io.BytesIO(zlib.decompressobj(31).decompress(body[at:]))) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers()]
        return "\n".join(file.read().decode(errors="replace") for file in files if file)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = readable(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        path = re.sub(r"^/pipeline(?=/apis/)", "", url.path)
        row = {"method": self.command, "path": path, "query": dict(parse_qsl(url.query)), "body": body}
        with open(sys.argv[2], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        found = ANSWERS.get((self.command, path), {} if path == "/" else None)
        data = json.dumps({"error": f"not recorded: {path}"} if found is None else found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
