"""Use an object store as its clients do: with a signature, a bucket and an object (AWS Signature Version 4)."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
from dataclasses import dataclass

#: The region that MinIO and its kin answer to when none was configured.
REGION = "us-east-1"
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Keys:
    """What a store knows its clients by."""

    access: str
    secret: str


def signature(keys: Keys, method: str, path: str, headers: dict[str, str], digest: str) -> str:
    """Return the Authorization header of a request without a query.

    Args:
        keys: the client's.
        method: GET, PUT, ...
        path: quoted already.
        headers: all that are signed, names in lower case, `x-amz-date` among them.
        digest: SHA-256 of the body, in hex.
    """
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = "\n".join([method, path, "", lines, names, digest])
    stamp = headers["x-amz-date"]
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signed = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signed}"


def ask(address: str, keys: Keys, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Return status and body of one signed request to ``address`` (host:port).

    Raises:
        OSError: no answer.
        http.client.HTTPException: an answer that is none.
    """
    digest = hashlib.sha256(body).hexdigest()
    now = datetime.datetime.now(datetime.timezone.utc)
    headers = {"host": address, "x-amz-content-sha256": digest, "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")}
    headers["authorization"] = signature(keys, method, path, headers, digest)
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def used(address: str, keys: Keys, bucket: str) -> str:
    """Write, read and remove an object; return an empty string, or what did not work in the store's own words."""
    place, content = f"/{bucket}/neurobatch-proof", b"written to see whether this store can be used"
    # 409: the bucket is there already, and it is ours.
    steps = (
        ("PUT", f"/{bucket}", b"", (200, 409)), ("PUT", place, content, (200,)),
        ("GET", place, b"", (200,)), ("DELETE", place, b"", (200, 204)),
    )  # fmt: skip
    for method, path, body, expected in steps:
        try:
            status, said = ask(address, keys, method, path, body)
        except (OSError, http.client.HTTPException) as error:
            return f"{method} {path}: {error}"
        if status not in expected:
            return f"{method} {path}: HTTP {status} {said.decode(errors='replace')[:200]}"
        if method == "GET" and said != content:
            return f"{method} {path}: it answers with something else than was written"
    return ""
