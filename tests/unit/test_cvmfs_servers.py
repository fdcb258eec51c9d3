"""Stratum servers asked over real HTTP: only what the repository's key has signed, lately and for us, is genuine."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from neurobatch.preflight import cvmfs
from neurobatch.remote import parts
from neurobatch.remote.cvmfs import servers, signature

from tests.rehearsal.cvmfs import stratum
from tests.rehearsal.cvmfs.stratum import FQRN

MASTER, OTHER, RELEASE = (stratum.new_key() for _ in range(3))
#: Seconds that a server is given here: the dead and slow ones take all of it, side by side.
PATIENCE = 2.0


class Behaviour(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; the first part of the path says whose, and how."""

    def do_GET(self) -> None:
        """Answer as the path says."""
        mood = self.path.split("/")[1]
        if mood == "slow":
            time.sleep(PATIENCE + 1)
        elif mood == "moved":
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved/", "/genuine/"))
            self.end_headers()
        elif mood == "portal":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in to the guest network</html>")
        elif mood == "trickle":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked has left
                for _ in range(int(PATIENCE * 20)):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.2)
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve one repository after each fashion and yield the server's address."""
    root = tmp_path_factory.mktemp("strata")
    stratum.write(root / "genuine", MASTER, release=RELEASE)
    stratum.write(root / "older", MASTER, release=RELEASE, revision=5, age_days=40)
    stratum.write(root / "wrong-key", OTHER, release=RELEASE)
    stratum.write(root / "wrong-name", MASTER, release=RELEASE, named="atlas.cern.ch")
    stratum.write(root / "expired", MASTER, release=RELEASE, expires_days=-3)
    stratum.write(root / "strange", MASTER, release=RELEASE, strange=OTHER)
    changed = stratum.write(root / "changed", MASTER, release=RELEASE) / ".cvmfspublished"
    changed.write_bytes(changed.read_bytes().replace(b"\nS7\n", b"\nS8\n"))
    padded = stratum.write(root / "cut", MASTER, release=RELEASE) / ".cvmfspublished"
    padded.write_bytes(padded.read_bytes()[:-1])
    foreign = stratum.write(root / "foreign", MASTER, release=RELEASE)
    [object_] = foreign.glob("data/*/*X")
    object_.write_bytes(b"not zlib")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Behaviour, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(*urls: str, **params: Any) -> dict[str, dict[str, Any]]:
    key = stratum.public_pem(MASTER)
    return servers.answers({"servers": list(urls), "fqrn": FQRN, "key": key, "seconds": PATIENCE, **params})


VERDICTS = {
    "wrong-key": ("forged", "its whitelist is not signed by the repository's key"),
    "wrong-name": ("name", "its whitelist is for atlas.cern.ch"),
    "expired": ("expired", "its whitelist expired on "),
    "strange": ("forged", "its manifest is not signed by a whitelisted certificate"),
    "changed": ("forged", "the manifest was changed after it was signed"),
    "cut": ("forged", "its manifest is not signed by a whitelisted certificate"),
    "foreign": ("forged", "its certificate was changed"),
    "portal": ("forged", "no manifest is served there"),
    "moved": ("moved", "HTTP 302"),
    "nothing": ("absent", "HTTP 404"),
}


def test_what_the_repository_s_key_has_signed_is_genuine(base: str) -> None:
    found = ask(f"{base}/genuine", f"{base}/older/")
    genuine, older = found.values()
    assert (genuine["state"], genuine["revision"]) == ("genuine", 7)
    assert abs(genuine["published"] - time.time()) < 300
    assert (older["state"], older["revision"]) == ("genuine", 5)  # that it is stale shows beside others alone


@pytest.mark.parametrize(("server", "said"), VERDICTS.items(), ids=VERDICTS)
def test_what_it_has_not_signed_is_told_apart(base: str, server: str, said: tuple[str, str]) -> None:
    [answer] = ask(f"{base}/{server}").values()
    assert answer["state"] == said[0]
    assert answer["detail"].startswith(said[1])


def test_dead_and_slow_servers_cost_one_timeout_together(base: str) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    unknown = "http://stratum.invalid"
    started = time.monotonic()
    found = ask(f"{base}/slow", f"{base}/trickle", f"{base}/slow/twice", dead, unknown, f"{base}/genuine")
    assert time.monotonic() - started < PATIENCE * 2.5
    states = [answer["state"] for answer in found.values()]
    assert states == ["silent", "silent", "silent", "refused", "unresolved", "genuine"]
    assert found[dead]["detail"] == "connection refused"


def test_those_that_can_be_used_are_ranked_first_and_each_other_one_has_its_verdict(base: str) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    names = ("slow", "wrong-key", "older", "wrong-name", "genuine")
    found = ask(dead, *(f"{base}/{name}" for name in names))
    # Two days after the publication everybody could have replicated it.
    rows = cvmfs.ranked(found, time.time() + 2 * 86400)
    assert (rows[0].url, rows[0].state) == (f"{base}/genuine", "genuine")
    assert {row.url.rpartition("/")[2]: row.state for row in rows[1:]} == {
        "slow": "silent", "wrong-key": "forged", "older": "stale", "wrong-name": "name",
        dead.rpartition("/")[2]: "refused",
    }  # fmt: skip
    stale = next(row for row in rows if row.state == "stale")
    assert stale.said.startswith(f"{base}/older: 2 revisions behind, from ")


def test_servers_are_asked_through_the_client_s_proxies(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # the client does not look at it
    dead = f"http://127.0.0.1:{closed_port()}"
    url = f"{base}/genuine"
    assert ask(url)[url]["state"] == "genuine"
    assert ask(url, proxy=f"{dead}|http://127.0.0.1:1;DIRECT")[url]["state"] == "genuine"
    assert ask(url, proxy=f"{dead}")[url]["detail"] == f"connection refused through {dead}"


def test_a_key_that_is_none_is_refused() -> None:
    for pem in (
        "",
        "-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nMAA=\n",
    ):
        with pytest.raises(signature.ForgedError):
            servers.answers({"servers": [], "fqrn": FQRN, "key": pem})


def test_a_signature_is_compared_whole() -> None:
    key = signature.public_key(signature.der(stratum.public_pem(MASTER), "PUBLIC KEY"))
    good = stratum.raw_signature(MASTER, b"text")
    assert signature.right(key, good, b"text")
    assert not signature.right(key, good, b"texT")
    assert not signature.right(key, b"\x00" + good, b"text")
    assert not signature.right(key, (key.n + 5).to_bytes(256, "big"), b"text")
    # A padding that is too short would leave room for a forger's bytes (CVE-2006-4339).
    numbers = MASTER.private_numbers()
    short = b"\x00\x01" + b"\xff" * 8 + b"\x00" + b"text"
    forged = pow(int.from_bytes(short.ljust(256, b"\x00"), "big"), numbers.d, key.n).to_bytes(256, "big")
    assert not signature.right(key, forged, b"text")


def test_it_runs_on_a_server_as_a_part_of_the_probe(base: str) -> None:
    assert {"neurobatch.remote.cvmfs.servers", "neurobatch.remote.cvmfs.signature"} <= parts("host_probe").keys()
    source = (
        "import json, sys\nfrom neurobatch.remote.cvmfs import servers\n"
        "print(json.dumps(servers.answers(json.load(sys.stdin))))\n"
    )
    params = {"servers": [f"{base}/genuine"], "fqrn": FQRN, "key": stratum.public_pem(MASTER)}
    scripts = Path(servers.__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", source], input=json.dumps(params), capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(scripts)},
    )  # fmt: skip
    assert json.loads(run.stdout)[f"{base}/genuine"]["state"] == "genuine"
