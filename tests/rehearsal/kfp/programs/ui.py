"""Stands for ml-pipeline-ui: the proxy to the API, downloads of artifacts, and one plain page of runs."""

from __future__ import annotations

import html
import io
import json
import os
import urllib.error
import urllib.parse
import urllib.request

from tests.rehearsal.kfp.programs import web
from tests.rehearsal.kfp.programs.log import log
from tests.rehearsal.kfp.programs.s3 import S3, S3Error

ENV = os.environ.get
# As the real one: without the Service's variables it looks on localhost, until it is started again.
API = f"http://{ENV('ML_PIPELINE_SERVICE_HOST', 'localhost')}:{ENV('ML_PIPELINE_SERVICE_PORT', '8888')}"
VERSION = ENV("KFP_VERSION", "2.0.0")

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kubeflow Pipelines (rehearsal)</title>
<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}
td,th{border:1px solid #999;padding:.3em .6em;text-align:left}</style></head>
<body><h1>Kubeflow Pipelines, a rehearsal</h1>
<p>This page stands in for the real user interface. API: <code>%s</code></p>
<table><tr><th>Run</th><th>State</th><th>Created</th><th>Steps</th></tr>%s</table>
</body></html>"""


def ask_api(path: str, method: str = "GET", body: bytes | None = None, content: str = "") -> tuple[int, str, bytes]:
    """Send a request to the API and return status, content type and body; 502 when there is no answer."""
    request = urllib.request.Request(API + path, method=method, data=body)
    request.add_header("Content-Type", content or "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Content-Type", ""), error.read()
    except OSError as error:
        return 502, "text/plain", f"the API at {API} does not answer: {error}\n".encode()


def health() -> bytes:
    """Return what the UI says of itself and of the API; it answers also when the API does not."""
    said: dict[str, object] = {"frontendTagName": f"{VERSION}+rehearsal", "frontendCommitHash": "0" * 40}
    said |= {"buildDate": "", "apiServerReady": False}
    status, _, body = ask_api("/apis/v1beta1/healthz")
    if status == 200:
        found = json.loads(body)
        said |= {
            "apiServerReady": True,
            "apiServerTagName": found["tag_name"],
            "apiServerCommitHash": found["commit_sha"],
            "apiServerMultiUser": found["multi_user"],
            "multi_user": found["multi_user"],
        }
    return json.dumps(said).encode()


def page() -> bytes:
    """Return the page: the newest runs, or what the API says instead."""
    status, _, body = ask_api("/apis/v2beta1/runs?page_size=100&sort_by=" + urllib.parse.quote("created_at desc"))
    if status != 200:
        return (PAGE % (html.escape(body.decode(errors="replace")), "")).encode()
    rows = []
    for run in json.loads(body)["runs"]:
        steps = ", ".join(f"{task['display_name']} {task['state']}" for task in run["run_details"]["task_details"])
        cells = (run["display_name"], run["state"], run["created_at"], steps)
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return (PAGE % (html.escape(API), "".join(rows))).encode()


def artifact(query: dict[str, str]) -> tuple[int, bytes]:
    """Return an artifact as ``/artifacts/get?source=minio&bucket=…&key=…`` asks for it."""
    host = f"{ENV('MINIO_SERVICE_SERVICE_HOST', 'minio-service')}:{ENV('MINIO_SERVICE_SERVICE_PORT', '9000')}"
    out = io.BytesIO()
    try:
        S3(host, ENV("MINIO_ACCESS_KEY", ""), ENV("MINIO_SECRET_KEY", "")).get(query["bucket"], query["key"], out)
    except (S3Error, KeyError) as error:
        return 500, f"Failed to get object in bucket: {error}\n".encode()
    return 200, out.getvalue()


def answer(request: web.Request) -> web.Answer:
    """Answer one request, with or without the prefix /pipeline."""
    path = request.path.removeprefix("/pipeline") or "/"
    if path in ("/apis/v1beta1/healthz", "/apis/v2beta1/healthz"):
        return 200, "application/json", health()
    if path.startswith("/apis/"):
        target = request.target.removeprefix("/pipeline")
        return ask_api(target, request.method, request.body or None, request.content)
    if path == "/artifacts/get":
        status, data = artifact(request.query)
        return status, "application/octet-stream", data
    if path in ("/", "/index.html"):
        return 200, "text/html; charset=utf-8", page()
    return 404, "text/plain", b"not in this rehearsal\n"


if __name__ == "__main__":
    log(f"a rehearsal of KFP's user interface on 3000, for the API at {API}")
    web.server(3000, answer).serve_forever()
