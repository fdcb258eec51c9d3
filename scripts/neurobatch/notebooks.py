"""Notebooks as JSON: from cells, and from Python in the percent format, which can be read and compared line by line."""

from __future__ import annotations

import json
from typing import Any


def notebook(*cells: str) -> dict[str, Any]:
    """Return an nbformat 4.5 notebook with these code cells and Python's default kernel."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells, 1)
        ],
    }


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
