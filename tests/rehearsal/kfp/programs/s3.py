"""A small S3 client: path style, AWS Signature Version 4, what artifacts need and no more.

Stands for the object-store library inside KFP's driver, launcher and API server. The signature is the real
one, so a wrong key is refused by the server and not by us.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

REGION = "minio"
"""KFP 2.0.0 signs for this region (backend/src/v2/objectstore); servers of one site accept any."""

CHUNK = 1 << 20


class S3Error(Exception):
    """The server refused or does not answer.

    Attributes:
        status: HTTP status, 0 when there was no answer.
    """

    def __init__(self, status: int, text: str) -> None:
        """Keep the status beside the text."""
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class S3:
    """An endpoint and the key to it.

    Attributes:
        endpoint: ``host:port``, plain HTTP as in KFP.
        access_key: the user.
        secret_key: its secret.
    """

    endpoint: str
    access_key: str
    secret_key: str

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket; one that is there already and ours is fine."""
        try:
            self._call("HEAD", bucket).close()
        except S3Error as error:
            if error.status != 404:
                raise
            self._call("PUT", bucket).close()

    def get(self, bucket: str, key: str, target: BinaryIO) -> None:
        """Write an object into a file.

        Raises:
            S3Error: 404 when there is none.
        """
        connection, response = self._send("GET", bucket, key)
        while chunk := response.read(CHUNK):
            target.write(chunk)
        connection.close()

    def put(self, bucket: str, key: str, source: Path) -> None:
        """Upload a file."""
        with source.open("rb") as body:
            self._call("PUT", bucket, key, body=body, size=source.stat().st_size).close()

    def list(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys below a prefix."""
        keys: list[str] = []
        query = {"list-type": "2", "prefix": prefix}
        while True:
            connection, response = self._send("GET", bucket, query=query)
            tree = ET.fromstring(response.read())  # noqa: S314  # our own server's answer
            connection.close()
            space = {"s3": tree.tag.partition("}")[0].strip("{")}
            keys += [node.text or "" for node in tree.findall("s3:Contents/s3:Key", space)]
            token = tree.findtext("s3:NextContinuationToken", "", space)
            if not token:
                return keys
            query["continuation-token"] = token

    def _call(
        self, method: str, bucket: str, key: str = "", *, body: BinaryIO | None = None, size: int = 0
    ) -> http.client.HTTPConnection:
        """Send a request and read its answer to the end."""
        connection, response = self._send(method, bucket, key, body=body, size=size)
        response.read()
        return connection

    def _send(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: dict[str, str] | None = None,
        body: BinaryIO | None = None,
        size: int = 0,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a signed request; return the open connection and a good answer, the error as an exception."""
        digest = hashlib.sha256()
        if body:
            while chunk := body.read(CHUNK):
                digest.update(chunk)
            body.seek(0)
        path = urllib.parse.quote(f"/{bucket}/{key}" if key else f"/{bucket}")
        arguments = "&".join(
            f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(value, safe='')}"
            for name, value in sorted((query or {}).items())
        )
        headers = self._signed(method, path, arguments, digest.hexdigest()) | {"Content-Length": str(size)}
        connection = http.client.HTTPConnection(self.endpoint, timeout=60)
        try:
            connection.request(method, f"{path}?{arguments}" if arguments else path, body=body, headers=headers)
            response = connection.getresponse()
        except OSError as error:
            raise S3Error(0, f"the object store at {self.endpoint} does not answer: {error}") from error
        if response.status >= 300:
            text = response.read(2000).decode(errors="replace")
            code = text.partition("<Code>")[2].partition("</Code>")[0]
            connection.close()
            raise S3Error(response.status, f"{method} s3://{bucket}/{key}: HTTP {response.status} {code}".rstrip())
        return connection, response

    def _signed(self, method: str, path: str, arguments: str, payload: str) -> dict[str, str]:
        """Return the headers that sign a request (AWS Signature Version 4)."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
        signed = {"host": self.endpoint, "x-amz-content-sha256": payload, "x-amz-date": stamp}
        names = ";".join(signed)
        canonical = "\n".join(
            [method, path, arguments, *(f"{name}:{value}" for name, value in signed.items()), "", names, payload]
        )
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self.access_key}/{scope}"
        return {
            **{name: value for name, value in signed.items() if name != "host"},
            "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}",
        }
