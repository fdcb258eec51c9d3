"""Small helpers for messages: the nearest known name, lists in words, and the names of types."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

#: Below this likeness (difflib ratio, 0 to 1) a suggestion is more confusing than helpful.
SUGGEST = 0.6


def nearest(word: str, known: Iterable[str], cutoff: float = SUGGEST) -> str | None:
    """Return the name in ``known`` that is most like ``word``, or None when none reaches ``cutoff``.

    Of equals, one that ``word`` is the beginning of comes first, then the first of the alphabet.
    """

    def likeness(name: str) -> tuple[float, bool]:
        return difflib.SequenceMatcher(None, name, word).ratio(), name.startswith(word)

    best = max(sorted(known), key=likeness, default=None)
    return best if best is not None and likeness(best)[0] >= cutoff else None


def listed(words: Iterable[object], last: str = "and") -> str:
    """Return ``words`` as "a, b and c"; "nothing" when there are none."""
    items = [str(word) for word in words]
    if not items:
        return "nothing"
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def kind(value: object) -> str:
    """Return the type of a YAML value in an operator's words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true/false"
    for python, words in ((int, "a whole number"), (float, "a number"), (str, "text")):
        if isinstance(value, python):
            return words
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, Sequence):
        return "a list"
    return type(value).__name__


def shown(value: object, limit: int = 60) -> str:
    """Return ``value`` for a one-line message: quoted where it is text, cut at ``limit`` characters."""
    text = " ".join(repr(str(value) if isinstance(value, str) else value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def sentences(problems: Sequence[str], more: str) -> str:
    """Return one message for ``problems``: the first as the headline, the others numbered below "2 more <more>:"."""
    first, *rest = problems
    if not rest:
        return first
    return "\n".join([first, f"{len(rest)} more {more}:", *(f"({n}) {text}" for n, text in enumerate(rest, start=2))])
