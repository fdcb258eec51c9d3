"""One HTTP question through the site's proxy and certificates, and what its failure means. Standard library only."""

from __future__ import annotations

import base64
import email.utils
import http.client
import ipaddress
import os
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

#: Addresses that a question may be led to before the answer counts as broken.
REDIRECTS = 8
#: Bytes of an answer that are read at most: tokens and checksums are small.
BODY = 1 << 20
#: How often one that says 429 is asked the same.
QUESTIONS = 4
AGENT = {"User-Agent": "neurobatch"}
REDIRECTED = (301, 302, 303, 307, 308)


class UnansweredError(Exception):
    """No HTTP answer; ``state`` says in one word why."""

    def __init__(self, state: str, detail: str) -> None:
        """Remember the word and the reason."""
        super().__init__(detail)
        self.state = state
        self.detail = detail


class Reply:
    """An HTTP answer: status, headers, the address that gave it, and the body where it was asked for."""

    def __init__(self, status: int, headers: Any, url: str, body: bytes = b"") -> None:
        """Remember the four."""
        self.status = status
        self.headers = headers
        self.url = url
        self.body = body


class _AsItIs(urllib.request.HTTPErrorProcessor):
    """Hand every answer to the caller: redirects and refusals are answers, too."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


class _Proxy(urllib.request.BaseHandler):
    """Sends each request, a redirect's too, the way that the door chooses for its host."""

    handler_order = 100  # as ProxyHandler: before those that open connections

    def __init__(self, door: Door) -> None:
        self.door = door

    def http_open(self, request: urllib.request.Request) -> None:
        parts = urllib.parse.urlsplit(self.door.proxy_for(request.full_url))
        if parts.hostname:
            if parts.username:
                login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
                request.add_header("Proxy-authorization", "Basic " + base64.b64encode(login.encode()).decode())
            request.set_proxy(parts.netloc.rpartition("@")[2], "http")

    https_open = http_open


class Door:
    """How questions leave this server.

    Args:
        proxy: the proxy's URL, with user and password where it wants them; empty takes the environment's.
        exceptions: hosts, domains and networks that are asked directly.
        seconds: how long one question may wait for the network.
    """

    def __init__(self, proxy: str, exceptions: list[str], seconds: float) -> None:
        """Read the environment's proxies once."""
        self.seconds = seconds
        self.exceptions = exceptions
        self.proxies = {"http": proxy, "https": proxy} if proxy else urllib.request.getproxies()
        self.explicit = bool(proxy)

    def proxy_for(self, url: str) -> str:
        """Return the proxy that a URL is asked through, empty for none."""
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        if excepted(host, self.exceptions) or (not self.explicit and urllib.request.proxy_bypass(host)):
            return ""
        return self.proxies.get(parts.scheme, "")

    def ask(
        self, url: str, method: str = "HEAD", headers: dict[str, str] | None = None, ca: str = "", follow: bool = True
    ) -> Reply:
        """Return the answer to one question, following redirects without taking credentials to another host.

        Raises:
            UnansweredError: nothing answered, or what answered cannot be trusted.
        """
        sent = dict(headers or {})
        for _ in range(REDIRECTS):
            reply = self._once(url, method, sent, ca)
            target = reply.headers.get("Location")
            if not follow or reply.status not in REDIRECTED or not target:
                return reply
            onward = urllib.parse.urljoin(url, target)
            if urllib.parse.urlsplit(onward).scheme not in ("http", "https"):
                raise UnansweredError("broken", f"it leads to {shown(onward)}")
            if origin(onward) != origin(url):
                sent.pop("Authorization", None)
            url = onward
        raise UnansweredError("broken", f"it redirects more than {REDIRECTS} times")

    def open(self, url: str) -> Any:
        """Return an open answer to a GET, for a download; redirects are followed, and a file:// is one of this server.

        Raises:
            urllib.error.HTTPError: the answer is a refusal.
            OSError: there is none.
        """
        opener = urllib.request.build_opener(*self._handlers(""))
        return opener.open(urllib.request.Request(url, headers=AGENT), timeout=self.seconds)

    def _handlers(self, ca: str) -> list[urllib.request.BaseHandler]:
        # An empty ProxyHandler keeps urllib from adding one that reads the environment a second time.
        nothing = urllib.request.ProxyHandler({})
        return [nothing, _Proxy(self), urllib.request.HTTPSHandler(context=trust(ca))]

    def _once(self, url: str, method: str, headers: dict[str, str], ca: str) -> Reply:
        opener = urllib.request.OpenerDirector()
        handlers = [*self._handlers(ca), urllib.request.HTTPHandler(), urllib.request.UnknownHandler(), _AsItIs()]
        for handler in handlers:
            opener.add_handler(handler)
        request = urllib.request.Request(url, method=method, headers={**AGENT, **headers})
        try:
            with opener.open(request, timeout=self.seconds) as response:
                body = response.read(BODY) if method == "GET" and "Range" not in headers else b""
                return Reply(response.status, response.headers, url, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise meaning(error, url, self.proxy_for(url)) from None


def trust(ca: str) -> ssl.SSLContext:
    """Return what certificates are judged by: the system's authorities, and the one given as PEM text."""
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(cadata=ca)
    return context


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def shown(url: str) -> str:
    """Return a URL without user, password and query, which may hold secrets."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def excepted(host: str, exceptions: list[str]) -> bool:
    """Tell whether a host is asked directly: named itself, below a named domain, or inside a named network."""
    for each in exceptions:
        name = each.strip().lstrip("*").lstrip(".").lower()
        if name and (host.lower() == name or host.lower().endswith("." + name)):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False


def meaning(error: Exception, url: str, proxy: str) -> UnansweredError:
    """Return in one word, and in the system's, why nothing answered."""
    reason = getattr(error, "reason", error)
    through = f"through the proxy {shown(proxy)}: " if proxy else ""
    text = str(reason) or type(reason).__name__
    there = "proxy" if proxy else ""
    state, detail = "broken", text
    if isinstance(reason, ssl.SSLCertVerificationError):
        return UnansweredError("untrusted", reason.verify_message)
    if isinstance(reason, ssl.SSLError):
        return UnansweredError("untrusted", f"TLS failed: {(reason.reason or text).lower().replace('_', ' ')}")
    if isinstance(reason, socket.gaierror):
        name = urllib.parse.urlsplit(proxy or url).hostname
        state, detail = there or "unresolved", f"the name {name} cannot be resolved"
    elif "Tunnel connection failed" in text:
        state, detail = "proxy", text.split(": ", 1)[-1]
    elif isinstance(reason, (socket.timeout, TimeoutError)):
        state, detail = "silent", "no answer"
    elif isinstance(reason, ConnectionRefusedError):
        state, detail = there or "refused", "connection refused"
    elif isinstance(reason, OSError):
        state, detail = "refused", reason.strerror or text
    return UnansweredError(state, through + detail)


def pause(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date), None where it says nothing."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError):
        return None


def patiently(question: Any, until: float) -> Reply:
    """Ask, and where the answer is 429 or 503 with a time to come back, come back if that is before ``until``."""
    for attempt in range(QUESTIONS):
        reply: Reply = question()
        asked = pause(reply.headers.get("Retry-After"), time.time())
        if reply.status not in (429, 503) or (reply.status == 503 and asked is None):
            break
        # One that says "at once", again and again, is not asked in a circle.
        wait = max(asked if asked is not None else 1.0, 0.2 * 2**attempt)
        if attempt == QUESTIONS - 1 or time.monotonic() + wait > until:
            break
        time.sleep(wait)
    return reply


def file_answer(door: Door, url: str, until: float, ca: str = "") -> dict[str, Any]:
    """Return whether a file is there: state, and status, length or reason."""
    if url.startswith("file://"):
        return local_answer(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    try:
        reply = patiently(lambda: door.ask(url, ca=ca), until)
        if reply.status in (403, 405, 501):  # some servers, and signed addresses, answer GET only
            reply = patiently(lambda: door.ask(url, "GET", {"Range": "bytes=0-0"}, ca=ca), until)
    except UnansweredError as error:
        return {"state": error.state, "detail": error.detail}
    return judged(reply, "length")


def judged(reply: Reply, *wanted: str) -> dict[str, Any]:
    """Return an HTTP status as a state."""
    status = reply.status
    answer: dict[str, Any] = {"status": status}
    if 200 <= status < 300:
        length = reply.headers.get("Content-Length")
        known = {"length": int(length) if length and length.isdigit() and status == 200 else None}
        return {"state": "there", **answer, **{name: known[name] for name in wanted}}
    states = {401: "login", 403: "denied", 404: "absent", 407: "proxy", 410: "absent", 429: "limited"}
    if status == 429:
        answer["wait"] = pause(reply.headers.get("Retry-After"), time.time())
    return {"state": states.get(status, "broken"), **answer, "detail": f"HTTP {status}"}


def local_answer(path: str) -> dict[str, Any]:
    """Return whether a file of this server is there."""
    if not os.path.exists(path):
        return {"state": "absent", "detail": "no such file"}
    if not os.access(path, os.R_OK):
        return {"state": "denied", "detail": "not readable"}
    return {"state": "there", "length": Path(path).stat().st_size}
