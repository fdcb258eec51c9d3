"""The bench of Kubeflow Pipelines counts what kubectl really asks of an API server."""

from __future__ import annotations

import subprocess

from neurobatch.bench import kubeflow

from tests.admin.api import Api


def local(command: str, text: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a command here."""
    return subprocess.run(
        command.split(), input=text, capture_output=True, text=True, timeout=seconds, check=False
    )  # fmt: skip


def test_requests_are_counted_and_kubectl_is_as_quiet_as_ever(api: Api) -> None:
    pipelines = kubeflow.Pipelines(local, str(api.kubectl))
    ask = f"[{str(api.kubectl)!r}, '--kubeconfig={api.kubeconfig()}', 'get', '--raw', '/readyz']"
    program = (
        f"import subprocess\nfor _ in range(3):\n    run = subprocess.run({ask}, capture_output=True, text=True)\n"
        "    assert (run.stdout, run.stderr) == ('ok', ''), run\n"
    )
    assert pipelines.calls(program) == 3
    failing = program.replace("/readyz", "/nowhere").replace("('ok', '')", "('', run.stderr)")
    assert pipelines.calls(failing.replace("\n    assert", "\n    assert 'NotFound' in run.stderr\n    assert")) == 3
