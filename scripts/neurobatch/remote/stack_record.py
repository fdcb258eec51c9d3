"""Read which stack this server was given, as the role `stack` recorded it. Takes no parameters."""

from __future__ import annotations

import json
from typing import Any

from neurobatch.remote.common import text

RECORD = "/etc/neurobatch/stack.json"


def stack_record() -> Any:
    """Return the record, None on a server that never had one, and an empty map where it cannot be understood."""
    content = text(RECORD)
    if content is None:
        return None
    try:
        record = json.loads(content)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def main(_: dict[str, Any]) -> None:
    """Print the record."""
    print(json.dumps(stack_record()))
