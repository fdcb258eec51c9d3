"""One HTTP request, once, with the standard library: imports in 20 ms, and every wait of it has an end.

A socket's timeout counts from one piece of an answer to the next; a server that sends a byte now and then would hold a
program for ever. So each request also has a time in which all of it must be over. Endpoints are this machine's or a
cluster's own: the site's web proxy is never asked.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

LARGEST = 64 * 2**20
"""Bytes of an answer that are read at most."""


class NoAnswerError(Exception):
    """Nothing usable came back; the message is the reason. ``sent`` is false where nothing can have arrived there."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        """Keep whether the request may have been acted on beside the reason."""
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True)
class Answer:
    """Status, reason phrase, headers (lower-case names) and body of an answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Transport:
    """How to reach one server.

    Attributes:
        base: URL in front of every path, without a slash at its end.
        connect: seconds to connect.
        read: seconds between two pieces of an answer.
        total: seconds for a request and its answer as a whole.
    """

    base: str
    connect: float
    read: float
    total: float

    def send(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None, limit: int = LARGEST
    ) -> Answer:
        """Send one request on a connection of its own and return the answer, whatever its status.

        Raises:
            NoAnswerError: no connection, no answer in time, or one that breaks off.
        """
        url = urlsplit(self.base)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=self.connect)
        target = f"{url.path}/{path}" + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Connection": "close"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(_cause(error), sent=False) from error
        late = threading.Event()
        try:
            with _ended_after(self.total, connection.sock, late):
                connection.sock.settimeout(self.read)
                connection.request(method, target, content, headers)
                response = connection.getresponse()
                received = response.read(limit + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswerError("no answer in time" if late.is_set() else _cause(error), sent=True) from error
        finally:
            connection.close()
        # A length that was announced and not kept shows only where the whole body was asked for at once.
        announced = response.headers.get("Content-Length", "")
        if late.is_set() or (announced.isdigit() and len(received) < min(int(announced), limit)):
            raise NoAnswerError("no answer in time" if late.is_set() else "the answer breaks off", sent=True)
        if len(received) > limit:
            raise NoAnswerError(f"the answer is larger than {limit // 2**20} MiB", sent=True)
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, response.reason, found, received)


@contextlib.contextmanager
def _ended_after(seconds: float, connected: socket.socket, late: threading.Event) -> Iterator[None]:
    """Cut a connection when the time is over; whatever waits for it then fails at once."""

    def cut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cause(error: Exception) -> str:
    """Return the reason in an operator's words."""
    meanings: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, "no answer in time"),
        (ConnectionRefusedError, "connection refused"),
        (http.client.IncompleteRead, "the answer breaks off"),
        (http.client.RemoteDisconnected, "the connection was closed without an answer"),
        (ConnectionError, "the connection was cut"),
        (socket.gaierror, "its name is not known here"),
        (http.client.HTTPException, "what answers does not speak HTTP"),
    )
    for kind, words in meanings:
        if isinstance(error, kind):
            return words
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
