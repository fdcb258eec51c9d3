"""The real squid, open to this machine or with a password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.doors import programs
from tests.doors.processes import free_port, running


@contextmanager
def squid(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run squid until the block ends; yields its URL and its access log."""
    program, environment = programs.find("squid")
    folder.mkdir(parents=True, exist_ok=True)
    root = program.parents[2]
    port = free_port()
    log = folder / "access.log"
    mime = next(path for path in (root / "usr/share/squid/mime.conf", root / "etc/squid/mime.conf") if path.exists())
    config = folder / "squid.conf"
    config.write_text(
        f"http_port 127.0.0.1:{port}\n"
        f"access_log stdio:{log}\n"
        f"cache_log {folder}/cache.log\n"
        f"unlinkd_program {root}/usr/lib/squid/unlinkd\n"
        "pid_filename none\n"
        f"mime_table {mime}\n"
        f"icon_directory {mime.parent}/icons\n"
        f"error_directory {mime.parent}/errors/en\n"
        "cache deny all\n"
        "acl CONNECT method CONNECT\n"
        "acl closed dstdomain closed.invalid\n"
        "http_access deny closed\n"
        "http_access allow localhost\n"
        "http_access deny all\n"
        "shutdown_lifetime 0 seconds\n"
        "netdb_filename none\n"
        "logfile_rotate 0\n"
        "pinger_enable off\n",
        encoding="utf-8",
    )
    # Squid will not run as root. In a namespace of users it is nobody, and may still read and write what is root's.
    nobody = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.getuid() == 0 else []
    with running([*nobody, program, "-N", "-f", config], port, folder / "squid.log", environment):
        yield f"http://127.0.0.1:{port}", log
