"""Write the generated parts of docs/: blocks of pages, and the picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from neurobatch import picture, stackdocs
from neurobatch.pages import completion, preflight, sizing
from neurobatch.pages.tables import table

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURE = DOCS / "images" / "architecture.svg"
#: The blocks of each page by name; their text stands between `<!-- NAME -->` and `<!-- end -->`.
PAGES: dict[Path, Callable[[], dict[str, str]]] = {
    DOCS / "preflight.md": preflight.parts,
    DOCS / "sizing.md": sizing.parts,
    DOCS / "stacks.md": lambda: {name: table(rows[0], rows[1:]) for name, rows in stackdocs.parts().items()},
}


def outdated() -> dict[Path, str]:
    """Return the generated files that differ from what they should be, by path, with the text they should have."""
    pages = {page: fill(page.read_text(encoding="utf-8"), parts()) for page, parts in PAGES.items()}
    pages[PICTURE] = picture.render()
    pages.update(completion.outdated())
    return {
        path: text for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def fill(page: str, blocks: dict[str, str]) -> str:
    """Return ``page`` with the text between `<!-- NAME -->` and `<!-- end -->` replaced, for each name in ``blocks``.

    Raises:
        ValueError: the page lacks the markers of a block.
    """
    for name, block in blocks.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not marked.search(page):
            raise ValueError(f"the page has no <!-- {name} --> ... <!-- end -->")
        page = marked.sub(lambda match, block=block: f"{match[1]}\n{block}\n\n{match[2]}", page)  # type: ignore[misc]
    return page
