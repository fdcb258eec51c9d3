"""Open TCP ports, from the stranger and from the server itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.rehearsal.instance import Instance
from tests.server.remote import call

Target = tuple[str, int]

_STRANGER = """
import concurrent.futures, json, socket, sys
def probe(target):
    try:
        socket.create_connection(tuple(target), 3).close()
        return "open"
    except OSError as error:
        return str(error)
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(probe, targets))))
"""


def from_stranger(instance: Instance, targets: Iterable[Target]) -> dict[Target, str]:
    """Return, for each address and port, "open" or why the stranger could not connect within 3 s; all at once."""
    wanted = list(targets)
    done = instance.execute("stranger", "python3", "-c", _STRANGER, json.dumps(wanted))
    return dict(zip(wanted, json.loads(done.stdout), strict=True))


def connect_here(targets: list[Any]) -> list[str]:
    """Return "open" or the reason for each address and port. Runs on the server."""
    import socket

    found = []
    for address, port in targets:
        try:
            socket.create_connection((address, port), 3).close()
            found.append("open")
        except OSError as error:
            found.append(str(error))
    return found


def from_server(instance: Instance, targets: Iterable[Target]) -> dict[Target, str]:
    """Return, for each address and port, "open" or why the server itself could not connect within 3 s."""
    wanted = list(targets)
    return dict(zip(wanted, call(instance, connect_here, wanted), strict=True))
