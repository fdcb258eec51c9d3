"""Notebooks from Python in the percent format, in which they can be read, linted and compared line by line."""

from __future__ import annotations

import json
from typing import Any

from neurobatch.jupyter import notebook


def as_notebook(text: str) -> str:
    """Return the JSON of a notebook whose cells ``text`` separates by lines `# %%` or, for text, `# %% [markdown]`.

    Raises:
        ValueError: there is no such line.
    """
    _, *parts = f"\n{text.strip()}\n".split("\n# %%")
    if not parts:
        raise ValueError("a notebook in the percent format needs a line `# %%` before each cell")
    made: dict[str, Any] = notebook(*parts)
    for cell, part in zip(made["cells"], parts, strict=True):
        mark, _, source = part.partition("\n")
        cell["source"] = source.strip()
        if mark.strip() == "[markdown]":
            cell["cell_type"] = "markdown"
            cell["source"] = "\n".join(line.removeprefix("#").strip() for line in cell["source"].splitlines())
            del cell["outputs"], cell["execution_count"]
    return json.dumps(made, indent=1) + "\n"
