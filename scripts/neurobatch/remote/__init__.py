"""Programs that roles run on a server: one SSH round trip, standard library only, nothing left behind.

Each module here has a function ``main(params)`` that prints its answer. `program` joins a module with the helpers of
`neurobatch.remote.common` and its parameters into one text, which a role hands to ``python3 -`` as standard input: so
parameters, secrets among them, appear in no process list. They run under the server's own Python, 3.9 at the oldest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_OWN_IMPORT = re.compile(r"^from (?:__future__|neurobatch\.remote\.common) import (?:\([^)]*\)|[^\n]*)\n", re.MULTILINE)


def program(name: str, params: Mapping[str, Any] | None = None) -> str:
    """Return the text of the program ``name`` with ``params`` (JSON values) filled in.

    Raises:
        FileNotFoundError: there is no such program.
    """
    parts = [_OWN_IMPORT.sub("", (_HERE / f"{part}.py").read_text(encoding="utf-8")) for part in ("common", name)]
    # JSON text inside a JSON string: every JSON string is a Python string literal, too.
    call = f"main(json.loads({json.dumps(json.dumps(dict(params or {})))}))\n"
    return "\n".join(["from __future__ import annotations", "import json", *parts, call])
