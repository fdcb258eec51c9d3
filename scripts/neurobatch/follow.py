"""Turn the log of a long command into a few lines that show how far it is."""

from __future__ import annotations

import re
from itertools import takewhile

#: Milestones: our own "== …", the classic builder's "Step 3/40 : …", BuildKit's "#7 [3/40] …",
#: Minikube's "* Creating …", the smoke run's "[  12 s] tools: RUNNING" and "tools | what the step printed".
_MILESTONE = re.compile(
    r"^(?:== .*|Step \d+/\d+ : .*|#\d+ \[ *\d+/\d+\] .*|\* .*|\[ *\d+ s\] .*|[\w-]+ \| .*|smoke: .*)"
)
#: Seconds of silence after which the newest line is shown, milestone or not.
_SILENCE = 30.0


class Progress:
    """Remembers what was shown, over many looks at a growing log."""

    def __init__(self) -> None:
        """Start with nothing shown."""
        self._shown_at = 0.0
        self._rest = ""
        self._last = ""

    def lines(self, text: str, elapsed: float) -> list[str]:
        """Return what to show for the ``text`` that came since the last call, ``elapsed`` seconds after the start."""
        *complete, self._rest = (self._rest + text).split("\n")
        complete = [line.strip() for line in complete if line.strip()]
        self._last = complete[-1] if complete else self._last
        show = [line for line in complete if _MILESTONE.match(line)]
        if not show and self._last and elapsed - self._shown_at >= _SILENCE:
            show = [f"… {self._last}"]
        if show:
            self._shown_at = elapsed
        return [f"{_clock(elapsed)} {_shorten(line)}" for line in show]


def last_words(text: str, count: int = 8) -> str:
    """Return the last lines of ``text`` that say something, for an error message."""
    said = [line.rstrip() for line in text.split("\n") if line.strip()]
    refused = [number for number, line in enumerate(said) if line.startswith("REFUSED: ")]
    if refused:
        # What a refusal rests on stands below it, indented.
        first, *rest = said[refused[-1] :]
        return "\n".join([first.removeprefix("REFUSED: "), *takewhile(lambda line: line.startswith(" "), rest)])
    return "\n".join(line.strip() for line in said[-count:])


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _shorten(line: str, width: int = 110) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"
