"""Count what the server receives, from outside: in its network namespace, entered from this machine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

from tests.rehearsal import engine
from tests.rehearsal.common import run
from tests.rehearsal.instance import Instance

TABLE = "neurobatch_test_counter"
RULES = f"""
table inet {TABLE} {{
  chain prerouting {{
    type filter hook prerouting priority -350; policy accept;
    iifname "eth0" tcp dport 22 counter accept comment "ssh"
    iifname "eth0" counter accept comment "other"
  }}
}}
"""


@contextlib.contextmanager
def counted(instance: Instance) -> Iterator[Callable[[], tuple[int, int]]]:
    """Yield a function that returns the bytes that came in since: outside of SSH, and over SSH.

    Needs root on this machine. The counter goes away with the context, also after a failure.
    """
    engine.ensure_command("nft", "nftables")
    pid = engine.docker("inspect", "--format", "{{.State.Pid}}", instance.names.container("server"))
    nft = ["nsenter", f"--target={pid}", "--net", "nft"]

    def received() -> tuple[int, int]:
        rules = json.loads(run([*nft, "--json", "list", "table", "inet", TABLE]).stdout)["nftables"]
        found = {
            entry["rule"]["comment"]: part["counter"]["bytes"]
            for entry in rules
            if "rule" in entry
            for part in entry["rule"]["expr"]
            if "counter" in part
        }
        return found["other"], found["ssh"]

    run([*nft, "-f", "-"], stdin=RULES.encode())
    try:
        yield received
    finally:
        run([*nft, "delete", "table", "inet", TABLE], check=False)
