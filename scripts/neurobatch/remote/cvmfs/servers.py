"""Ask each CVMFS stratum for its signed manifest, all at the same time, and say what each is good for.

Parameters (`answers`): servers, base URLs without /cvmfs; fqrn, the repository; key, its public key (PEM); proxy, in
CVMFS' notation ("http://squid:3128;DIRECT": groups, tried in turn); seconds for one server, all its files included.

States: genuine (with revision, published, seconds), forged, name (signed for another repository), expired, absent,
moved (a redirect, which the client does not follow), silent, refused, unresolved, broken.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from neurobatch.remote.cvmfs import signature

#: Seconds for one server: manifest, whitelist and certificate, some 5 kB together.
PATIENCE = 8
#: Largest file that is read; manifests and whitelists have some hundred bytes, certificates 2 kB.
LARGEST = 256 * 1024

Answer = dict[str, Any]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """CVMFS' client follows no redirect by default (CVMFS_FOLLOW_REDIRECTS)."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""
        return


class Stratum:
    """One server, asked through one proxy until a moment (of `time.monotonic`)."""

    def __init__(self, base: str, proxy: str, until: float) -> None:
        """Remember whom to ask, and how long."""
        self.base, self.until = base, until
        # The client takes its proxy from its own settings, never from the environment.
        proxies = {} if proxy.upper() == "DIRECT" else {"http": proxy, "https": proxy}
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirect())

    def get(self, path: str) -> bytes:
        """Return a file, past the caches in between.

        Raises:
            OSError: it cannot be had; a TimeoutError when the time is over.
        """
        request = urllib.request.Request(
            f"{self.base}/{path}",
            headers={"User-Agent": "neurobatch", "Cache-Control": "no-cache", "Pragma": "no-cache"},
        )
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        with self.opener.open(request, timeout=left) as response:
            found = b""
            while len(found) < LARGEST:
                # One small read after the other: a server that trickles is over when its time is.
                if time.monotonic() > self.until:
                    raise TimeoutError
                block: bytes = response.read1(16384)
                if not block:
                    break
                found += block
        return found


def routes(proxy: str) -> list[str]:
    """Return one proxy of each group, in the order in which the client falls back."""
    return [group.split("|")[0].strip() for group in proxy.split(";") if group.strip()] or ["DIRECT"]


def examine(stratum: Stratum, fqrn: str, key: signature.Key) -> Answer:
    """Return what a server is good for.

    Raises:
        OSError: it cannot be asked.
    """
    started = time.monotonic()
    data = stratum.get(".cvmfspublished")
    seconds = round(time.monotonic() - started, 3)
    name = signature.signed(data, "manifest").value("X")
    now = time.time()
    fingerprints = signature.whitelisted(stratum.get(".cvmfswhitelist"), key, fqrn, now)
    raw = signature.certificate(stratum.get(f"data/{name[:2]}/{name[2:]}X"), name, fingerprints)
    found = signature.manifest(data, raw, fqrn)
    return {"state": "genuine", "revision": found.revision, "published": found.published, "seconds": seconds}


def ask(server: str, params: Answer, key: signature.Key, until: float) -> Answer:
    """Return the answer of one server, through the first proxy that leads to it."""
    answer: Answer = {}
    for proxy in routes(params.get("proxy") or "DIRECT"):
        stratum = Stratum(f"{server.rstrip('/')}/cvmfs/{params['fqrn']}", proxy, until)
        try:
            return examine(stratum, params["fqrn"], key)
        except signature.ExpiredError as error:
            return {"state": "expired", "detail": str(error)}
        except signature.OtherNameError as error:
            return {"state": "name", "detail": str(error)}
        except signature.ForgedError as error:
            return {"state": "forged", "detail": str(error)}
        except (OSError, http.client.HTTPException, ValueError) as error:
            through = "" if proxy.upper() == "DIRECT" else f" through {proxy.rpartition('@')[2]}"
            answer = unreached(error, through)
    return answer


def unreached(error: Exception, through: str) -> Answer:
    """Return the answer that an error stands for."""
    reason = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, urllib.error.HTTPError):
        state = "moved" if error.code in range(300, 400) else "absent" if error.code == 404 else "broken"
        return {"state": state, "detail": f"HTTP {error.code}{through}"}
    if isinstance(reason, TimeoutError):
        return {"state": "silent", "detail": f"no answer in time{through}"}
    if isinstance(reason, socket.gaierror):
        return {"state": "unresolved", "detail": f"its name is not known{through}"}
    if isinstance(reason, OSError):
        return {"state": "refused", "detail": f"{reason.strerror or reason}{through}".lower()}
    return {"state": "broken", "detail": f"{type(reason or error).__name__}{through}"}


def answers(params: Answer) -> dict[str, Answer]:
    """Return each server's answer by its URL, in no more than the time of one.

    Raises:
        ForgedError: the key of the parameters is none.
    """
    key = signature.public_key(signature.der(params["key"], "PUBLIC KEY"))
    patience = params.get("seconds", PATIENCE)
    until = time.monotonic() + patience
    found: dict[str, Answer] = {}

    def one(server: str) -> None:
        found[server] = ask(server, params, key, until)

    # Daemons: a name server that hangs cannot be timed out, only left behind.
    threads = [threading.Thread(target=one, args=(server,), daemon=True) for server in params["servers"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until + 0.5 - time.monotonic()))
    late = {"state": "silent", "detail": "no answer in time"}
    return {server: found.get(server, late) for server in params["servers"]}
