"""One line a message on stdout, with the time, as a container's log is read."""

from __future__ import annotations

import time


def log(text: str) -> None:
    """Print a line with the time in UTC."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)
