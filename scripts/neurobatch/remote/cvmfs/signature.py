"""Verify what a CVMFS stratum serves, from the repository's public key down, with the standard library alone.

The chain (cvmfs/signature.cc, whitelist.cc, manifest.cc): the repository's key signs the whitelist (raw PKCS#1 v1.5
over the text of its hash); the whitelist names the SHA-1 fingerprints of certificates and its own expiry; a certificate
signs the manifest (PKCS#1 v1.5 with SHA-1 over the text of its hash). Verification of RSA needs no secret arithmetic:
`pow(signature, e, n)` and a comparison with the one padding that is right.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import re
import time
import zlib
from typing import NamedTuple

#: ASN.1 in front of a SHA-1 digest (RFC 8017, section 9.2).
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
#: The optional version in front of a certificate's fields.
VERSION_TAG = 0xA0
#: Largest object that is unpacked: a certificate has some 2 kB.
LARGEST = 1 << 20
ROOT_PATH = hashlib.md5(b"", usedforsecurity=False).hexdigest()


class ForgedError(ValueError):
    """What was served is not what the owner of the key has signed; the message says where the chain breaks."""


class ExpiredError(ValueError):
    """The signatures are right, and the whitelist is too old to be trusted."""


class OtherNameError(ValueError):
    """It is signed for another repository."""


class Key(NamedTuple):
    """An RSA public key."""

    n: int
    e: int


class Manifest(NamedTuple):
    """What a manifest says: the repository's name, its revision, and when that was published (seconds since 1970)."""

    name: str
    revision: int
    published: int


class Signed(NamedTuple):
    """A signed text: its lines, the hash that was signed, the signature."""

    lines: list[str]
    digest: bytes
    signature: bytes

    def value(self, letter: str) -> str:
        """Return what follows a letter at the start of a line, empty where none does."""
        return next((line[1:] for line in self.lines if line.startswith(letter)), "")


def signed(data: bytes, what: str) -> Signed:
    """Return a signed text, whose hash fits.

    Raises:
        ForgedError: it is no such text, or was changed.
    """
    body, separator, rest = data.partition(b"\n--\n")
    digest, newline, signature = rest.partition(b"\n")
    if not separator or not newline:
        raise ForgedError(f"no {what} is served there")
    body += b"\n"
    name = digest.decode("ascii", "replace")
    if len(name) == 40:
        found = hashlib.sha1(body, usedforsecurity=False).hexdigest()
    elif name.endswith("-shake128"):
        found = hashlib.shake_128(body).hexdigest(20) + "-shake128"
    elif name.endswith("-rmd160"):
        try:
            found = hashlib.new("ripemd160", body).hexdigest() + "-rmd160"
        except ValueError:  # not in every OpenSSL of today
            raise ForgedError(f"the {what}'s hash (RIPEMD-160) cannot be computed on this server") from None
    else:
        raise ForgedError(f"the {what}'s hash is of no known kind")
    if found != name:
        raise ForgedError(f"the {what} was changed after it was signed")
    return Signed(body.decode("utf-8", "replace").splitlines(), digest, signature)


def element(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """Return tag, content and end of the DER element that begins at ``at``.

    Raises:
        ForgedError: there is none.
    """
    try:
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(data[start : start + size], "big"), start + size
    except IndexError:
        raise ForgedError("a key or certificate ends too early") from None
    if start + length > len(data):
        raise ForgedError("a key or certificate ends too early")
    return tag, data[start : start + length], start + length


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of all DER elements in ``data``."""
    found, at = [], 0
    while at < len(data):
        tag, content, at = element(data, at)
        found.append((tag, content))
    return found


def der(pem: str, label: str) -> bytes:
    """Return the DER bytes of a PEM block.

    Raises:
        ForgedError: there is no such block.
    """
    found = re.search(f"-----BEGIN {label}-----(.+?)-----END {label}-----", pem, re.DOTALL)
    try:
        return base64.b64decode("".join(found.group(1).split()), validate=True) if found else b""
    except binascii.Error:
        return b""


def public_key(info: bytes) -> Key:
    """Return the RSA key of a SubjectPublicKeyInfo.

    Raises:
        ForgedError: it is no RSA key.
    """
    return _key(element(info)[1])


def certificate_key(certificate: bytes) -> Key:
    """Return the RSA key of an X.509 certificate (RFC 5280, section 4.1).

    Raises:
        ForgedError: it is none, or has another kind of key.
    """
    fields = elements(element(element(certificate)[1])[1])
    # [0] version (if any), serial, algorithm, issuer, validity, subject, then the key
    index = 6 if fields and fields[0][0] == VERSION_TAG else 5
    if len(fields) <= index:
        raise ForgedError("the certificate holds no key")
    return _key(fields[index][1])


def _key(info: bytes) -> Key:
    try:
        _, bits = elements(info)[1]
        (_, n), (_, e) = elements(element(bits[1:])[1])
    except (IndexError, ValueError):
        raise ForgedError("the key is no RSA key") from None
    return Key(int.from_bytes(n, "big"), int.from_bytes(e, "big"))


def right(key: Key, signature: bytes, message: bytes) -> bool:
    """Tell whether ``signature`` is that of ``message`` with PKCS#1 v1.5's padding, and nothing else in it."""
    size = (key.n.bit_length() + 7) // 8
    if len(signature) != size or len(message) > size - 11:
        return False
    number = int.from_bytes(signature, "big")
    if number >= key.n:
        return False
    opened = pow(number, key.e, key.n).to_bytes(size, "big")
    return opened == b"\x00\x01" + b"\xff" * (size - len(message) - 3) + b"\x00" + message


def whitelisted(data: bytes, key: Key, fqrn: str, now: float) -> frozenset[str]:
    """Return the fingerprints on a whitelist that the repository's key has signed and that has not expired.

    Raises:
        ForgedError: the chain breaks here.
        OtherNameError: it is another repository's.
        ExpiredError: it is too old.
    """
    paper = signed(data, "whitelist")
    if not right(key, paper.signature, paper.digest):
        raise ForgedError("its whitelist is not signed by the repository's key")
    if paper.value("N") != fqrn:
        raise OtherNameError(f"its whitelist is for {paper.value('N') or 'nothing'}")
    try:
        expiry = calendar.timegm(time.strptime(paper.value("E"), "%Y%m%d%H%M%S"))
    except ValueError:
        raise ForgedError("its whitelist has no expiry") from None
    if expiry <= now:
        raise ExpiredError(f"its whitelist expired on {time.strftime('%Y-%m-%d', time.gmtime(expiry))}")
    marks = (line.partition("#")[0].strip().upper() for line in paper.lines)
    return frozenset(mark for mark in marks if re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){19}", mark))


def certificate(data: bytes, name: str, fingerprints: frozenset[str]) -> bytes:
    """Return the certificate (DER) in an object of the repository, when it is a whitelisted one.

    Raises:
        ForgedError: it is not.
    """
    if len(name) == 40 and hashlib.sha1(data, usedforsecurity=False).hexdigest() != name:
        raise ForgedError("its certificate was changed")
    try:
        unpacked = zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error:
        raise ForgedError("its certificate cannot be unpacked") from None
    raw = der(unpacked.decode("ascii", "replace"), "CERTIFICATE")
    mark = hashlib.sha1(raw, usedforsecurity=False).hexdigest().upper()
    if not raw or ":".join(re.findall("..", mark)) not in fingerprints:
        raise ForgedError("its certificate is not on the whitelist")
    return raw


def manifest(data: bytes, raw_certificate: bytes, fqrn: str) -> Manifest:
    """Return what a manifest says that the certificate has signed.

    Raises:
        ForgedError: the chain breaks here.
        OtherNameError: it is another repository's.
    """
    paper = signed(data, "manifest")
    digest = hashlib.sha1(paper.digest, usedforsecurity=False).digest()
    if not right(certificate_key(raw_certificate), paper.signature, SHA1_INFO + digest):
        raise ForgedError("its manifest is not signed by a whitelisted certificate")
    if paper.value("N") != fqrn:
        raise OtherNameError(f"its manifest is for {paper.value('N') or 'nothing'}")
    if paper.value("R") != ROOT_PATH or not paper.value("S").isdigit():
        raise ForgedError("its manifest has no root or revision")
    published = paper.value("T")
    return Manifest(paper.value("N"), int(paper.value("S")), int(published) if published.isdigit() else 0)
