"""Notebooks as data: what we send, and how an executed one reads. Running them is shown on the real server."""

from __future__ import annotations

from typing import Any

import pytest
from neurobatch import jupyter


def cell(source: str | list[str], count: int | None, *outputs: dict[str, Any]) -> dict[str, Any]:
    """Return an executed code cell."""
    return {"cell_type": "code", "id": "c", "source": source, "execution_count": count, "outputs": list(outputs)}


def test_a_notebook_is_valid_nbformat() -> None:
    made = jupyter.notebook("1 + 1", "2")
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert made["metadata"]["kernelspec"]["name"] == "python3"
    assert [entry["id"] for entry in made["cells"]] == ["cell-1", "cell-2"]  # 4.5 wants them, each once
    for entry in made["cells"]:
        assert set(entry) == {"cell_type", "id", "metadata", "source", "outputs", "execution_count"}


def test_an_executed_notebook_as_text() -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"]}
    result = {"output_type": "execute_result", "data": {"text/plain": "2", "text/html": "<b>2</b>"}}
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["…"]}
    picture = {"output_type": "display_data", "data": {"image/png": "…"}}
    content = {
        "cells": [cell("x = 1\nx + 1", 1, stream, result), cell(["f", "()"], 2, error), cell("plot()", 3, picture)]
    }
    assert jupyter.as_text(content).splitlines() == [
        "In [1]: x = 1",
        "In [1]: x + 1",
        "Out[1]: a",
        "Out[1]: b",
        "Out[1]: 2",
        "In [2]: f()",
        "Out[2]: ValueError: no",
        "In [3]: plot()",
    ]


def test_what_is_transient_is_not_saved() -> None:
    outputs = [{"output_type": "display_data", "data": {}, "transient": {"display_id": "1"}}]
    assert jupyter._without_transient(outputs) == [{"output_type": "display_data", "data": {}}]


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(jupyter.JupyterError, match="could not be used"):
        jupyter.run("http://127.0.0.1:9", "t", "x.ipynb", jupyter.notebook("1"))
