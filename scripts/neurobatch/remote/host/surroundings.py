"""Read what surrounds the server: clock, name servers, proxies. Nothing here waits for a network."""

from __future__ import annotations

import ctypes
import os
import socket
import time

from neurobatch.remote.common import TIMEOUT, Facts, output, read

PROXIES = ("http_proxy", "https_proxy", "no_proxy")


#: Microseconds of possible error from which on systemd calls the clock not synchronised (its src/basic/time-util.c).
UNSYNCHRONISED = 16_000_000


def clock() -> Facts:
    """Return seconds since 1970, and whether a time service has set the clock (None: the kernel does not tell).

    The kernel is asked as systemd's timedated asks it; that service would be started by the question.
    """
    answer = (ctypes.c_long * 32)()  # struct timex: modes (0: read only), offset, freq, maxerror, ...
    told = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer)) >= 0
    return {"epoch": time.time(), "synchronised": answer[3] < UNSYNCHRONISED if told else None}


def names() -> Facts:
    """Return the name servers, and whether the server knows its own name, without which every sudo waits."""
    rows = [line.split() for line in read("/etc/resolv.conf").splitlines()]
    name = socket.gethostname()
    return {
        "servers": [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"],
        "hostname": name,
        # "files" alone, as /etc/hosts or the resolver's own knowledge: a name server may be slow or away.
        "known": output("getent", "-s", "files", "hosts", name, seconds=TIMEOUT) is not None
        or output("getent", "-s", "myhostname", "hosts", name, seconds=TIMEOUT) is not None,
    }


def proxies() -> dict[str, str]:
    """Return the proxies that a login and services see, without passwords; of no_proxy the whole list."""
    found: dict[str, str] = {}
    environment = dict(os.environ)
    for line in read("/etc/environment").splitlines():
        name, _, value = line.replace("export ", "", 1).partition("=")
        environment.setdefault(name.strip(), value.strip().strip("\"'"))
    for name in PROXIES:
        value = environment.get(name) or environment.get(name.upper()) or ""
        if value:
            found[name] = value if name == "no_proxy" else _without_password(value)
    return found


def _without_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]


def facts() -> Facts:
    """Return all of it."""
    return {"clock": clock(), "names": names(), "proxies": proxies()}
