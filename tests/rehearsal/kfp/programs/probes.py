"""Everything of KFP that the rehearsal needs only alive: answers the probes of the manifests and does nothing.

Run as ``python3 -m tests.rehearsal.kfp.programs.probes NAME [arguments of the manifest]``. Where the real program
ends without its database (metadata-grpc, cache-server), this one does as well: it logs in with the same arguments.
"""

from __future__ import annotations

import base64
import contextlib
import re
import signal
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.rehearsal.kfp.programs import web
from tests.rehearsal.kfp.programs.kube import Kube, KubeError
from tests.rehearsal.kfp.programs.log import log

CERTIFICATES = Path("/etc/webhook/certs")


def tcp(port: int) -> None:
    """Accept connections on a port and close them, for ever."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer(("", port), socketserver.BaseRequestHandler).serve_forever()


def options(arguments: list[str]) -> dict[str, str]:
    """Return ``--name=value`` arguments, with the prefix that differs between programs removed."""
    pairs = (argument.lstrip("-").partition("=") for argument in arguments)
    return {re.sub(r"^(mysql_config|db)_", "", name): value for name, _, value in pairs}


def log_in(arguments: list[str]) -> None:
    """Log in to MySQL with a program's own arguments, and make its database as the real ones do.

    Raises:
        SystemExit: refused, or no answer; Kubernetes starts the container again.
    """
    import pymysql  # type: ignore[import-not-found,import-untyped,unused-ignore]

    given = options(arguments)
    database = given.get("database") or given.get("name") or "test"
    try:
        connection = pymysql.connect(
            host=given["host"],
            port=int(given["port"]),
            user=given["user"],
            password=given.get("password", ""),
            connect_timeout=5,
        )
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
        connection.close()
    except Exception as error:  # refused, no such host, not there yet: all end the real program
        log(f"Non-OK-status: MySQL at {given.get('host')} as {given.get('user')}: {error}")
        sys.exit(134)
    log(f"logged in to MySQL at {given['host']} for database {database}")


def webhook(port: int) -> None:
    """Answer HTTPS with the certificate of the Secret webhook-server-tls."""
    server = web.server(port, lambda _: (200, "text/plain", b"ok"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def deploy_certificate() -> None:
    """Make the Secret webhook-server-tls, self-signed; the real deployer has the cluster sign it."""
    kube = Kube()
    with contextlib.suppress(KubeError):
        kube.get("secrets", "webhook-server-tls")
        log("the Secret webhook-server-tls is there")
        return
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        subject = f"/CN=cache-server.{kube.namespace}.svc"
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", subject,
                "-keyout", str(key), "-out", str(cert),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        data = {path.name: base64.b64encode(path.read_bytes()).decode() for path in (cert, key)}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook-server-tls"}, "data": data}
    kube.create("secrets", secret)
    log("made the Secret webhook-server-tls")


def main() -> int:
    """Be the program that is named."""
    name, arguments = sys.argv[1], sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log(f"a rehearsal of {name}: it answers its probes and does nothing else")
    if name == "metadata-grpc":
        log_in(arguments)
        tcp(8080)
    elif name == "cache-server":
        log_in(arguments)
        webhook(8443)
    elif name == "metadata-envoy":
        threading.Thread(target=web.alive, args=(9901,), daemon=True).start()
        web.alive(9090)
    elif name == "visualization-server":
        web.alive(8888)
    elif name == "cache-deployer":
        deploy_certificate()
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
