"""Run a notebook on a Jupyter server through its HTTP API, as a browser does, and keep the executed notebook there.

Contents: https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html; kernels: jupyter-kernel-client.
"""

from __future__ import annotations

from typing import Any

import requests
from jupyter_kernel_client import JupyterKernelClient

from neurobatch.notebooks import notebook

__all__ = ["JupyterError", "as_text", "notebook", "run"]


class JupyterError(RuntimeError):
    """The server did not do what was asked; the message is one sentence for an operator."""


def run(url: str, token: str, path: str, content: dict[str, Any], cell_timeout: float = 120) -> dict[str, Any]:
    """Execute ``content`` with the server's own kernel, save it there as ``path``, and return it as the server has it.

    Args:
        url: base URL of the Jupyter server, without a path.
        token: the server's token.
        path: where the executed notebook is kept, relative to the server's root folder; an older one is replaced.
        content: the notebook, nbformat 4.
        cell_timeout: seconds that one cell may take.

    Raises:
        JupyterError: the server cannot be reached, refuses the token, or a cell fails.
    """
    executed = {**content, "cells": [dict(cell) for cell in content["cells"]]}
    try:
        with JupyterKernelClient(server_url=url, token=token) as kernel:
            for cell in executed["cells"]:
                if cell["cell_type"] != "code":
                    continue
                reply = kernel.execute(cell["source"], timeout=cell_timeout)
                cell.update(outputs=_without_transient(reply["outputs"]), execution_count=reply["execution_count"])
                if reply["status"] != "ok":
                    raise JupyterError(f"cell {cell['id']} failed: {_error(reply['outputs'])}")
    except (OSError, TimeoutError, RuntimeError, requests.RequestException) as error:
        if isinstance(error, JupyterError):
            raise
        raise JupyterError(f"the kernel of {url} could not be used: {error}") from error
    _contents("PUT", url, token, path, {"type": "notebook", "content": executed})
    kept: dict[str, Any] = _contents("GET", url, token, path)["content"]
    return kept


def as_text(content: dict[str, Any]) -> str:
    """Return an executed notebook as text: each cell's source behind ``In``, what it printed behind ``Out``."""
    lines: list[str] = []
    for cell in content["cells"]:
        lines += [f"In [{cell['execution_count']}]: {line}" for line in _joined(cell["source"]).splitlines()]
        for output in cell["outputs"]:
            said = output.get("text") or output.get("data", {}).get("text/plain") or _error([output])
            lines += [f"Out[{cell['execution_count']}]: {line}" for line in _joined(said).splitlines()]
    return "\n".join(lines)


def _contents(method: str, url: str, token: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"token {token}"}
    response = requests.request(method, f"{url}/api/contents/{path}", json=body, headers=headers, timeout=30)
    if not response.ok:
        raise JupyterError(f"{method} {path} was answered with HTTP {response.status_code}: {response.text[:200]}")
    answer: dict[str, Any] = response.json()
    return answer


def _without_transient(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # nbformat knows no "transient"; a server refuses to save it.
    return [{key: value for key, value in output.items() if key != "transient"} for output in outputs]


def _error(outputs: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{output['ename']}: {output['evalue']}" for output in outputs if output.get("output_type") == "error"
    )


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
