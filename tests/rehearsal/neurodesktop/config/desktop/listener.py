#!/usr/bin/python3
"""A server of the desktop that is not there: says what it stands for, and (Tomcat) asks for Guacamole's password.

Usage: listener.py 8080|3389|5901
"""

import base64
import hashlib
import http.server
import socketserver
import sys
import xml.etree.ElementTree as ET

USERS = "/etc/guacamole/user-mapping.xml"


class Guacamole(http.server.BaseHTTPRequestHandler):
    """Answers 200 to a user of user-mapping.xml and 403 to everybody else, as header authentication does."""

    def do_GET(self) -> None:
        """Check the Authorization header against the file, read anew each time."""
        allowed = self._allowed()
        body = b"stand-in for Tomcat with Guacamole: " + (b"logged in\n" if allowed else b"wrong password\n")
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _allowed(self) -> bool:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return False
        user, _, password = base64.b64decode(value).decode().partition(":")
        for entry in ET.parse(USERS).getroot().iter("authorize"):  # noqa: S314  # root's own file
            # Guacamole knows no stronger encoding in this file
            hashed = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
            given = hashed if entry.get("encoding") == "md5" else password
            if entry.get("username") == user and entry.get("password") == given:
                return True
        return False

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Greeter(socketserver.BaseRequestHandler):
    """Says what it stands for and hangs up."""

    greeting = b""

    def handle(self) -> None:
        """Greet."""
        self.request.sendall(self.greeting)


class Server(socketserver.ThreadingTCPServer):
    """Listens on every address."""

    allow_reuse_address = True
    daemon_threads = True


port = int(sys.argv[1])
if port == 8080:
    http.server.ThreadingHTTPServer(("", port), Guacamole).serve_forever()
Greeter.greeting = {3389: b"stand-in for xrdp\n", 5901: b"RFB 003.008\n"}[port]
Server(("", port), Greeter).serve_forever()
