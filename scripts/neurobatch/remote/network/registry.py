"""Ask a container registry whether an image is there: its manifest's HEAD, after whatever login the registry wants.

https://github.com/opencontainers/distribution-spec and https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from typing import Any

from neurobatch.remote.network.door import Door, Reply, UnansweredError, judged, origin, patiently, shown

MANIFESTS = ", ".join(
    ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
     "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
)  # fmt: skip
#: Docker Hub's registry has another name than its images.
UPSTREAM = {"docker.io": "https://registry-1.docker.io"}
#: key="value" or key=value of a challenge (RFC 9110, section 11.2)
_PARAMETER = re.compile(r'([a-zA-Z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


def split(reference: str) -> tuple[str, str, str]:
    """Return registry, repository and tag or digest of an image reference, as Docker reads it."""
    first, slash, rest = reference.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", reference
    name, at, digest = rest.partition("@")
    if ":" in name.rpartition("/")[2]:
        name, _, tag = name.rpartition(":")
    else:
        tag = "latest"
    if first == "docker.io" and "/" not in name:
        name = f"library/{name}"
    return first, name, digest if at else tag


def challenges(values: list[str]) -> dict[str, dict[str, str]]:
    """Return the schemes that WWW-Authenticate headers offer, in lower case, each with its parameters."""
    found: dict[str, dict[str, str]] = {}
    for value in values:
        starts = list(re.finditer(r"(?:^|,\s*)([A-Za-z][A-Za-z-]*)(?:\s+(?=[a-zA-Z][\w-]*\s*=)|\s*$)", value))
        for index, start in enumerate(starts):
            end = starts[index + 1].start() if index + 1 < len(starts) else len(value)
            pairs = _PARAMETER.findall(value[start.end() : end])
            found[start.group(1).lower()] = {key.lower(): quoted or bare for key, quoted, bare in pairs}
    return found


class Registry:
    """One registry or its mirror, and the tokens that it gave.

    Args:
        door: how to reach it.
        url: its base URL.
        username: for the login; empty asks anonymously.
        password: for the login.
        ca: PEM text of an authority to trust beside the system's.
    """

    def __init__(self, door: Door, url: str, username: str = "", password: str = "", ca: str = "") -> None:
        """Keep the settings; nothing is asked yet."""
        self.door, self.url, self.ca = door, url.rstrip("/"), ca
        self.basic = ""
        if username:
            self.basic = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self.tokens: dict[str, str] = {}
        self.lock = threading.Lock()

    def manifest(self, repository: str, reference: str, until: float) -> dict[str, Any]:
        """Return whether an image is there: state, digest, how it was let in (`auth`), or the reason."""
        base, _, prefix = self.url.partition("://")[2].partition("/")
        scheme = self.url.partition("://")[0]
        path = f"{prefix}/{repository}" if prefix else repository
        url = f"{scheme}://{base}/v2/{urllib.parse.quote(path)}/manifests/{urllib.parse.quote(reference, safe=':')}"
        try:
            return self._manifest(url, path, until)
        except UnansweredError as error:
            return {"state": error.state, "detail": error.detail}

    def _manifest(self, url: str, path: str, until: float) -> dict[str, Any]:
        scope = f"repository:{path}:pull"
        auth, header = "none", self.tokens.get(scope, "")
        if header:
            auth = "token"
        reply = self._ask(url, header, until)
        if reply.status == 401:
            offered = challenges(reply.headers.get_all("WWW-Authenticate") or [])
            if "bearer" in offered:
                auth, header = "token", self._token(offered["bearer"], scope, until)
            elif "basic" in offered and self.basic:
                auth, header = "basic", self.basic
            else:
                return {"state": "login", "status": 401, "auth": "basic", "detail": "HTTP 401"}
            reply = self._ask(url, header, until)
            if reply.status in (401, 403):
                state = "denied" if self.basic or auth == "token" else "login"
                return {"state": state, "status": reply.status, "auth": auth, "detail": f"HTTP {reply.status}"}
            with self.lock:
                self.tokens[scope] = header
        answer = {**judged(reply), "auth": auth}
        if answer["state"] == "there":
            answer["digest"] = reply.headers.get("Docker-Content-Digest")
        return answer

    def _ask(self, url: str, authorization: str, until: float) -> Reply:
        headers = {"Accept": MANIFESTS, **({"Authorization": authorization} if authorization else {})}
        return patiently(lambda: self.door.ask(url, "HEAD", headers, self.ca), until)

    def _token(self, challenge: dict[str, str], scope: str, until: float) -> str:
        """Return the header with a token for ``scope``, asked anonymously or with the login.

        Raises:
            UnansweredError: the realm gives none.
        """
        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise UnansweredError("broken", "its login names no address for tokens")
        if realm.startswith("http://") and self.url.startswith("https://"):
            raise UnansweredError("broken", f"it wants the login sent to {shown(realm)}, which is not encrypted")
        query = {"service": challenge["service"]} if "service" in challenge else {}
        separator = "&" if "?" in realm else "?"
        url = realm + separator + urllib.parse.urlencode({**query, "scope": challenge.get("scope") or scope})
        headers = {"Authorization": self.basic} if self.basic else {}
        ca = self.ca if origin(realm)[1] == origin(self.url)[1] else ""
        reply = patiently(lambda: self.door.ask(url, "GET", headers, ca), until)
        if reply.status in (401, 403):
            who = "refuses the login" if self.basic else "gives no token without a login"
            raise UnansweredError("denied" if self.basic else "login", f"{shown(realm)} {who} (HTTP {reply.status})")
        if reply.status == 429:
            raise UnansweredError("limited", f"{shown(realm)} answered HTTP 429")
        if reply.status != 200:
            raise UnansweredError("broken", f"{shown(realm)} gave no token (HTTP {reply.status})")
        try:
            data = json.loads(reply.body)
            return "Bearer " + str(data.get("token") or data["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise UnansweredError("broken", f"{shown(realm)} gave no token") from None
