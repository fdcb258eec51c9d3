"""The faults that the bench of access does, without a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from neurobatch.bench import access, access_faults


def test_every_fault_has_a_bound_and_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_faults, "selector", lambda service: f"app={service}")
    assert set(access.BOUNDS) == {*access_faults.FAULTS, "rebooted"}
    for fault in access_faults.FAULTS:
        line = access_faults.command(fault, "ui", "ml-pipeline-ui")
        assert subprocess.run(["/bin/bash", "-n", "-c", line], check=False).returncode == 0, line


def test_a_service_is_made_anew_without_what_the_api_server_fills_in() -> None:
    shown = {
        "kind": "Service",
        "metadata": {"name": "x", "namespace": "kubeflow", "uid": "1", "resourceVersion": "2"},
        "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80}]},
        "status": {},
    }
    run = subprocess.run(
        [sys.executable, "-c", access_faults.AGAIN], input=json.dumps(shown), capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == {
        "kind": "Service",
        "metadata": {"name": "x", "namespace": "kubeflow"},
        "spec": {"ports": [{"port": 80}]},
    }


def test_an_answer_is_one_below_500() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    try:
        assert access_faults.answers(port, "/403")
        assert not access_faults.answers(port, "/502")
        assert access_faults.wait(port, "/200", 5, times=2)
        assert not access_faults.wait(port, "/503", 0.3, times=1)
    finally:
        server.shutdown()
    assert not access_faults.answers(1, "/", 1)
