"""Prove the database and the object store by use, with the credentials that all others will use."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from neurobatch.remote.cluster import objectstore
from neurobatch.remote.common import Cluster

BUCKET = "mlpipeline"
#: In the pod, since only there the database's port is known to be its own; the password comes by standard input.
CLIENT = 'read -r MYSQL_PWD; export MYSQL_PWD; exec mysql --protocol=TCP --host=127.0.0.1 --user=root --batch "$@"'
PROOF = "CREATE DATABASE IF NOT EXISTS neurobatch_proof; DROP DATABASE neurobatch_proof;"
DENIED = re.compile(r"Access denied|ERROR 1045")


def statement(password: str) -> str:
    """Return the SQL that gives the database's administrator a password."""
    quoted = "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"ALTER USER IF EXISTS 'root'@'%' IDENTIFIED BY {quoted}, 'root'@'localhost' IDENTIFIED BY {quoted};"


def _sql(cluster: Cluster, namespace: str, password: str, text: str) -> str:
    """Return what the database's client complains of, empty where all went well."""
    run = cluster.run(
        "exec", "-i", "-n", namespace, "deployment/mysql", "-c", "mysql", "--", "sh", "-c", CLIENT,
        stdin=f"{password}\n{text}\n",
    )  # fmt: skip
    return "" if run.returncode == 0 else run.stderr.strip() or f"exit code {run.returncode}"


def database(cluster: Cluster, namespace: str, secrets_dir: Path) -> str:
    """Return what does not work yet, empty when the database takes and forgets a table space with the wanted password.

    Where it still has the password from before a rotation, it gets the new one.
    """
    password = (secrets_dir / "mysql_password").read_text(encoding="utf-8")
    complaint = _sql(cluster, namespace, password, PROOF)
    if not DENIED.search(complaint):
        return complaint
    before = secrets_dir / "mysql_password.previous"
    if before.exists():
        print("== the database still has its previous password and gets the new one", flush=True)
        complaint = _sql(cluster, namespace, before.read_text(encoding="utf-8"), statement(password))
        complaint = complaint or _sql(cluster, namespace, password, PROOF)
    if DENIED.search(complaint):
        sys.exit(
            f"REFUSED: the database refuses the password in {secrets_dir}/mysql_password. Its data were made with "
            "another one: write that into the file, or remove the data (playbooks/reset.yml, reset_destroy=pipelines)."
        )
    return complaint


@contextlib.contextmanager
def forwarded(cluster: Cluster, namespace: str, service: str, port: int) -> Iterator[str]:
    """Give an address of this machine that leads to a Service, for as long as the block takes; empty where it fails."""
    argv = [*cluster.argv, "port-forward", "-n", namespace, f"service/{service}", f":{port}"]
    # Without --request-timeout, which would end a forward, too.
    argv = [each for each in argv if not each.startswith("--request-timeout")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"127\.0\.0\.1:\d+", line)
            yield found[0] if found else ""
        finally:
            process.kill()


def object_store(cluster: Cluster, namespace: str, secrets_dir: Path) -> str:
    """Return what does not work yet, empty when an object was written, read and removed with the wanted keys."""
    names = ("minio_access_key", "minio_secret_key")
    keys = objectstore.Keys(*((secrets_dir / name).read_text(encoding="utf-8").strip() for name in names))
    with forwarded(cluster, namespace, "minio-service", 9000) as address:
        return objectstore.used(address, keys, BUCKET) if address else "no forward to minio-service could be opened"
