"""Which of a role's files are not on the server as they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


def outdated(
    files: Sequence[Mapping[str, str]], found: Mapping[str, Mapping[str, Any] | None]
) -> list[Mapping[str, str]]:
    """Return those of ``files`` (path, content, mode "0644") that differ from what a probe ``found``.

    Args:
        files: what the role would write, owned by root.
        found: path to sha256, mode and owner [uid, gid], or None where there is no such file.

    Comparing digests on the controller costs nothing; an unchanged `copy` task costs five SSH round trips each.
    """

    def current(file: Mapping[str, str]) -> bool:
        there = found.get(file["path"])
        return there is not None and (there["sha256"], there["mode"], list(there["owner"])) == (
            hashlib.sha256(file["content"].encode()).hexdigest(),
            file["mode"],
            [0, 0],
        )

    return [file for file in files if not current(file)]
