"""A stand-in for a CVMFS stratum: manifests, whitelists and certificates signed as the publisher's tools sign them.

There is no catalog behind the manifest's root: a client could not mount it, a preflight can verify it to the last byte.
"""

from __future__ import annotations

import datetime
import hashlib
import time
import zlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

FQRN = "neurodesk.ardc.edu.au"
DAY = 86400


def new_key() -> rsa.RSAPrivateKey:
    """Return a key like those of real repositories: RSA, 2048 bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """Return the key in a file, making it where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            new_key().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        path.chmod(0o600)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Return the public half, as clients are given it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def certificate(key: rsa.RSAPrivateKey, fqrn: str = FQRN) -> x509.Certificate:
    """Return a self-signed certificate, as `cvmfs_server mkfs` makes it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{fqrn} CernVM-FS Release Managers")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
    )
    return builder.sign(key, hashes.SHA256())


def raw_signature(key: rsa.RSAPrivateKey, text: bytes) -> bytes:
    """Sign ``text`` itself with PKCS#1 v1.5, no digest's name in front, as whitelists are (RSA_private_encrypt)."""
    numbers, size = key.private_numbers(), key.key_size // 8
    padded = b"\x00\x01" + b"\xff" * (size - len(text) - 3) + b"\x00" + text
    return pow(int.from_bytes(padded, "big"), numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def write(
    folder: Path,
    master: rsa.RSAPrivateKey,
    *,
    fqrn: str = FQRN,
    named: str = "",
    revision: int = 7,
    age_days: float = 0,
    expires_days: float = 30,
    release: rsa.RSAPrivateKey | None = None,
    strange: rsa.RSAPrivateKey | None = None,
) -> Path:
    """Write what a stratum serves below ``folder`` and return the repository's folder.

    Args:
        folder: the web server's root.
        master: the repository's key, which signs the whitelist.
        fqrn: the repository in the path.
        named: the repository in the signed texts, where it is another one.
        revision: of the manifest.
        age_days: how long ago it was published.
        expires_days: when the whitelist expires; negative means it has.
        release: the key of the certificate; a new one by default.
        strange: a key that signs the manifest in place of the certificate's.
    """
    release = release or new_key()
    paper = certificate(release, fqrn)
    packed = zlib.compress(paper.public_bytes(serialization.Encoding.PEM))
    mark = hashlib.sha1(packed, usedforsecurity=False).hexdigest()
    fingerprint = paper.fingerprint(hashes.SHA1()).hex(":").upper()  # noqa: S303 - what CVMFS uses
    now = time.time()
    manifest = (
        f"C{hashlib.sha1(b'catalog', usedforsecurity=False).hexdigest()}\nB7\n"
        f"R{hashlib.md5(b'', usedforsecurity=False).hexdigest()}\nD240\nS{revision}\nGyes\nAno\n"
        f"N{named or fqrn}\nX{mark}\nT{now - age_days * DAY:.0f}\n"
    ).encode()
    whitelist = (
        f"{_stamp(now)}\nE{_stamp(now + expires_days * DAY)}\nN{named or fqrn}\n{fingerprint} # release manager\n"
    ).encode()
    target = folder / "cvmfs" / fqrn
    (target / "data" / mark[:2]).mkdir(parents=True, exist_ok=True)
    (target / "data" / mark[:2] / f"{mark[2:]}X").write_bytes(packed)
    digest = _digest(manifest)
    sign = (strange or release).sign(digest, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    (target / ".cvmfspublished").write_bytes(manifest + b"--\n" + digest + b"\n" + sign)
    digest = _digest(whitelist)
    (target / ".cvmfswhitelist").write_bytes(whitelist + b"--\n" + digest + b"\n" + raw_signature(master, digest))
    return target


def _digest(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))
