"""The token server of a registry: RFC 7519 tokens, for everybody or after a login.

https://distribution.github.io/distribution/spec/auth/jwt/
"""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.doors.certificates import Pair
from tests.doors.files import Handler, serving

SERVICE = "registry of the lab"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(signer: Pair, scope: str, subject: str, *, allowed: bool) -> str:
    """Return a token for ``scope`` ("repository:name:pull"), with no access in it where it is not allowed."""
    certificate = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
    key = serialization.load_pem_private_key(signer.key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the signer's key is no elliptic curve's")
    chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    now = int(time.time())
    claims = {
        "iss": "the lab", "sub": subject, "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now,
        "jti": str(now),
        "access": [{"type": kind, "name": name, "actions": actions.split(",")}] if allowed else [],
    }  # fmt: skip
    head = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
    signed = ".".join(_text(json.dumps(part).encode()) for part in (head, claims))
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@contextmanager
def token_server(signer: Pair, *, login: str = "", public: str = "") -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve tokens; yields the realm's URL and what it was asked.

    Args:
        signer: whose tokens they are.
        login: the Authorization header that gives access; a wrong one is refused, none gets a token without access.
        public: repositories that begin so need no login.
    """
    asked: list[dict[str, str]] = []

    class Tokens(Handler):
        def reply(self) -> None:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            given = self.headers.get("Authorization", "")
            asked.append({**query, "authorization": given})
            if given and given != login:
                self.answer(401, b"{}")
                return
            name = query.get("scope", "").split(":")[1]
            allowed = given == login or bool(public and name.startswith(public))
            made = token(signer, query["scope"], "lab" if given else "", allowed=allowed)
            self.answer(200, json.dumps({"token": made}).encode())

    with serving(Tokens) as url:
        yield f"{url}/token", asked
