"""Checks of the ports that roles will listen on."""

from __future__ import annotations

import ipaddress

from neurobatch.preflight.model import Facts, Finding, Wanted, WantedPort


def ports(facts: Facts, wanted: Wanted) -> list[Finding]:
    """A port must be free or ours; ours is what a re-run finds."""
    if facts["ports"] is None:
        return [Finding("port", "warn", "The listening ports could not be read", "look with `sudo ss -ltnp`")]
    return [_port(facts, port) for port in wanted.ports]


def _port(facts: Facts, wanted: WantedPort) -> Finding:
    label = f"Port {wanted.port} ({wanted.purpose})"
    holders = [row for row in facts["ports"] if row["port"] == wanted.port and _meets(wanted.address, row["address"])]
    strangers = [
        row for row in holders if row["unit"] not in wanted.units and row["container"] not in wanted.containers
    ]
    if not strangers:
        return Finding("port", "ok", f"{label} is {'ours' if holders else 'free'}")
    row = strangers[0]
    hidden = row["pid"] is None and row["container"] is None
    if hidden and facts["service"]["active"]:
        message = f"{label} is in use, and only root may see whether by our own service, which is running"
        return Finding("port", "warn", message, "look with `sudo ss -ltnp` if something else is meant to be there")
    if row["container"]:
        owner, stop = f"the container {row['container']}", f"`sudo docker stop {row['container']}`"
    elif row["unit"]:
        owner = f"{row['process']} (process {row['pid']}, {row['unit']})"
        stop = f"`sudo systemctl stop {row['unit']}`" if _stoppable(row["unit"]) else f"`sudo kill {row['pid']}`"
    elif row["pid"]:
        owner, stop = f"{row['process']} (process {row['pid']}, user {row['user']})", f"`sudo kill {row['pid']}`"
    else:
        owner, stop = f"a process of user {row['user']}", "`sudo ss -ltnp` names it"
    message = f"{label} is held by {owner}"
    move = f" or set {wanted.variable} to a free port" if wanted.variable else ", or let it listen on another port"
    return Finding("port", "refuse", message, f"stop it ({stop}){move}")


def _stoppable(unit: str) -> bool:
    """Tell whether stopping the unit stops only the listener: not a user's whole session, not the engine."""
    return not unit.startswith(("user@", "docker.", "containerd.", "ssh", "session-"))


def _meets(ours: str, theirs: str) -> bool:
    """Tell whether listeners on the two addresses exclude each other, or both would answer to "localhost"."""
    one, other = ipaddress.ip_address(ours), ipaddress.ip_address(theirs)
    other = getattr(other, "ipv4_mapped", None) or other
    return one.is_unspecified or other.is_unspecified or one == other or (one.is_loopback and other.is_loopback)
