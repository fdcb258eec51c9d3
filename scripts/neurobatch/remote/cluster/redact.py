"""Take secrets out of text that leaves the server."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterable

REMOVED = "[removed]"
#: A value shorter than this is a word of its own elsewhere ("root"), and guards nothing.
SHORTEST = 6
#: What looks like a secret, whoever's it is: the first group stays.
PATTERNS = (
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.IGNORECASE),
    re.compile(r"(\b(?:Basic|Bearer)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(\b(?:client-key-data|client-certificate-data|\.dockerconfigjson)\"?\s*[:=]\s*)\S+"),
    re.compile(
        r"((?:\"auth|password|passwd|secret_?key|secretaccesskey|access_?key|auth_?token|api_?key|[?&]token)\"?\s*[=:]\s*[\"']?)"
        r"(?!\[removed\]|<|\$|valueFrom|secretKeyRef|null\b|true\b|false\b|none\b)[^\s\"',;&}]+",
        re.IGNORECASE,
    ),
    # A token of a ServiceAccount, wherever it stands.
    re.compile(r"()\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"),
)


def shapes(secrets: Iterable[str]) -> list[str]:
    """Return how the secrets may be written, longest first: as they are, in a URL, in base64, also amid other text."""
    found = set()
    for secret in map(str.strip, secrets):
        if len(secret) < SHORTEST:
            continue
        found |= {secret, urllib.parse.quote(secret, safe="")}
        for before in range(3):
            # Base64 of a text that contains the secret: what is left when the bytes around it decide no more.
            encoded = base64.b64encode(b"\0" * before + secret.encode()).decode().rstrip("=")
            middle = encoded[(0, 2, 3)[before] :]
            middle = middle if (len(secret) + before) % 3 == 0 else middle[:-1]
            found |= {middle} if len(middle) >= SHORTEST else set()
    return sorted(found, key=len, reverse=True)


def redact(text: str, known: list[str]) -> str:
    """Return the text without the known secrets (see `shapes`), and without what looks like one."""
    for shape in known:
        text = text.replace(shape, REMOVED)
    for pattern in PATTERNS:
        text = pattern.sub(rf"\g<1>{REMOVED}", text)
    return text
