"""Notebooks from the percent format, the sample notebook among them."""

from __future__ import annotations

import ast
import json

import pytest
from jinja2 import Environment
from neurobatch.notebooks import as_notebook

from tests.rehearsal.names import CHECKOUT


def test_cells_of_code_and_of_text() -> None:
    made = json.loads(as_notebook("# %% [markdown]\n# Some *text*,\n# and more\n\n# %%\nx = 1\n\nprint(x)\n# %%\nx\n"))
    assert [(cell["cell_type"], cell["source"]) for cell in made["cells"]] == [
        ("markdown", "Some *text*,\nand more"),
        ("code", "x = 1\n\nprint(x)"),
        ("code", "x"),
    ]
    assert "outputs" not in made["cells"][0]
    assert len({cell["id"] for cell in made["cells"]}) == 3


def test_text_without_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="percent format"):
        as_notebook("x = 1\n")


def test_the_sample_notebook_is_whole() -> None:
    text = (CHECKOUT / "roles/elyra/templates/tools.py.j2").read_text()
    made = json.loads(as_notebook(Environment().from_string(text).render(neurobatch_cvmfs={"mount_path": "/cvmfs/x"})))  # noqa: S701
    code = [cell["source"] for cell in made["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 4
    for source in code:
        ast.parse(source)
    assert 'Path("/cvmfs/x/neurodesk-modules")' in code[0]
