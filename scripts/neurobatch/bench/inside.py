"""The part of the bench `cli` that runs inside Neurodesktop, where `neurobatch` and Elyra are side by side.

Standard library only, Python 3.9: it is sent there as text. Between a command and the pipeline API stands a proxy on
loopback that notes when requests arrive. A submission's time ends when its POST arrives there; what follows is the
server's. Elyra 3.15 speaks v1beta1 where the back end under test may have no such API: what is read there is answered
with an empty list then, so that it gets as far as sending its pipeline.

Prints one JSON object of figures. Argument: how often each time is taken.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NEUROBATCH = "/usr/local/bin/neurobatch"
#: Where the image has it; a login shell's PATH may lack the folder.
ELYRA = "/opt/conda/bin/elyra-pipeline"
STUDY = Path("/neurodesktop-storage/.neurobatch-bench")
RUNTIMES = Path.home() / ".local/share/jupyter/metadata/runtimes"
MANY = 4


class Proxy(ThreadingHTTPServer):
    """Hands requests on to the pipeline API and notes when those that submit something arrive.

    With ``refuse`` these get no further: what is measured has ended, and no pod need start for it.
    """

    def __init__(self, upstream: str) -> None:
        """Listen on loopback."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.posts: list[float] = []
        self.refuse = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """The URL in place of the API's."""
        return f"http://127.0.0.1:{self.server_address[1]}/pipeline"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Proxy

    def any(self) -> None:
        """Hand it on."""
        submits = self.command == "POST" and ("/runs" in self.path or "/upload" in self.path)
        if submits and "terminate" not in self.path:
            self.server.posts.append(time.monotonic())
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        if submits and self.server.refuse:
            self.reply(400, b'{"error": "only measured", "code": 3, "message": "only measured"}')
            return
        url = self.server.upstream + self.path[len("/pipeline") :]
        request = urllib.request.Request(url, data=body, method=self.command)
        request.add_header("Content-Type", self.headers.get("Content-Type") or "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        except OSError:  # the forward is being replaced; whoever is measured tries again
            status, content = 502, b""
        if "/v1beta1/" in self.path and self.command == "GET" and status >= 400:
            status, content = 200, b"{}"
        self.reply(status, content)

    def reply(self, status: int, content: bytes) -> None:
        """Answer with JSON."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = any  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""


def timed(*argv: str, good: tuple[int, ...] = (0,)) -> float:
    """Run a command and return its wall time in seconds."""
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=STUDY)
    if done.returncode not in good:
        sys.exit(f"{' '.join(argv)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - began


def to_post(proxy: Proxy, *argv: str, good: tuple[int, ...] = (0,)) -> float:
    """Return the seconds from a command's start to the arrival of its first submission."""
    proxy.posts.clear()
    began = time.monotonic()
    timed(*argv, good=good)
    if not proxy.posts:
        sys.exit(f"{' '.join(argv)} has submitted nothing")
    return proxy.posts[0] - began


def study() -> None:
    """Write a notebook, a table and a pipeline of that notebook for Elyra."""
    STUDY.mkdir(parents=True, exist_ok=True)
    cell = {"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]}, "source": "subject = 'x'"}
    book = {
        "cells": [{**cell, "outputs": [], "execution_count": None}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    book["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (STUDY / "bench.ipynb").write_text(json.dumps(book))
    (STUDY / "subjects.tsv").write_text("subject\n" + "".join(f"s{number}\n" for number in range(MANY)))
    template = json.loads(next(Path.home().glob("*/batch-template.pipeline")).read_text())
    for node in template["pipelines"][0]["nodes"]:
        if node.get("type") == "execution_node":
            node["app_data"]["component_parameters"]["filename"] = "bench.ipynb"
    (STUDY / "bench.pipeline").write_text(json.dumps(template))


def elyra(proxy: Proxy, times: int) -> float:
    """Return the median seconds that Elyra takes to submit the same notebook."""
    (Path.home() / ".local/share/jupyter/runtime").mkdir(parents=True, exist_ok=True)
    instance = RUNTIMES / "neurobatch_bench.json"
    settings = json.loads((RUNTIMES / "neurodesktop_kfp.json").read_text())
    settings["metadata"]["api_endpoint"] = proxy.endpoint
    settings["display_name"] = "neurobatch bench"
    instance.touch(mode=0o600)
    instance.write_text(json.dumps(settings))
    argv = (ELYRA, "submit", str(STUDY / "bench.pipeline"), "--runtime-config", "neurobatch_bench")
    try:
        return statistics.median(to_post(proxy, *argv, good=(0, 1)) for _ in range(times))
    finally:
        instance.unlink()


def main() -> None:
    """Take the figures."""
    times = int(sys.argv[1])
    study()
    proxy = Proxy(json.loads(Path("/usr/local/share/neurobatch/batch.json").read_text())["endpoint"])
    there = (f"--endpoint={proxy.endpoint}",)
    single = (NEUROBATCH, "run", "bench.ipynb", "--new", *there)
    figures = {"help_s_median": statistics.median(timed(NEUROBATCH, "run", "--help") for _ in range(times))}
    figures["run_to_post_s_median"] = statistics.median(to_post(proxy, *single, good=(1,)) for _ in range(times))
    proxy.refuse = False
    name = f"bench-{os.getpid()}"
    many = ("--over=subjects.tsv", f"--max-parallel={MANY}", f"--name={name}")
    to_post(proxy, NEUROBATCH, "run", "bench.ipynb", *many, *there)
    figures["submissions_per_s"] = (len(proxy.posts) - 1) / (proxy.posts[-1] - proxy.posts[0])
    # While runs are under way, so that the API is asked; good codes: succeeded, or not over yet.
    status = [timed(NEUROBATCH, "status", name, *there, good=(0, 5)) for _ in range(times)]
    figures["status_s_median"] = statistics.median(status)
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    timed(NEUROBATCH, "resume", name, "--wait", "--deadline=600", *there, good=(0, 1))
    proxy.refuse = True
    figures["elyra_submit_s_median"] = elyra(proxy, max(1, times // 3))
    figures["ratio_to_elyra_submit"] = figures["run_to_post_s_median"] / figures["elyra_submit_s_median"]
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(STUDY, ignore_errors=True)
        for entry in (STUDY.parent / ".neurobatch").glob("bench-*"):
            if entry.read_text().startswith(STUDY.name):
                entry.unlink()
