"""Where runs are kept: the cluster's MySQL, in the database and tables that the API server's have the names of."""

from __future__ import annotations

import json
import threading
import time

from tests.rehearsal.kfp.api.spec import Json

TABLES = {
    "experiment": "experiments",
    "pipeline": "pipelines",
    "version": "pipeline_versions",
    "run": "run_details",
}


class MySql:
    """Objects of a few kinds, each an id and a JSON document; a lost connection is made anew with the next request."""

    def __init__(self, host: str, port: int, user: str, password: str, database: str) -> None:
        """Connect, and make the database and its tables where they are missing.

        Raises:
            pymysql.err.OperationalError: no answer, or the credentials are refused.
        """
        import pymysql  # type: ignore[import-not-found,import-untyped,unused-ignore]  # in the image only

        self._lock = threading.Lock()
        self._connection = pymysql.connect(
            host=host, port=port, user=user, password=password, autocommit=True, charset="utf8mb4", connect_timeout=5
        )
        self._run(f"CREATE DATABASE IF NOT EXISTS `{database}`")
        self._connection.select_db(database)
        self._connection.db = database.encode()
        for table in TABLES.values():
            columns = "UUID varchar(64) PRIMARY KEY, CreatedAtInMs bigint, Document longtext"
            self._run(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")

    def _run(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        with self._lock:
            self._connection.ping(reconnect=True)
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())

    def put(self, kind: str, key: str, document: Json) -> None:
        """Insert or replace an object."""
        statement = "ON DUPLICATE KEY UPDATE Document = VALUES(Document)"
        text = json.dumps(document)
        self._run(f"INSERT INTO {TABLES[kind]} VALUES (%s, %s, %s) {statement}", key, int(time.time() * 1000), text)  # noqa: S608

    def get(self, kind: str, key: str) -> Json | None:
        """Return an object, or None."""
        rows = self._run(f"SELECT Document FROM {TABLES[kind]} WHERE UUID = %s", key)  # noqa: S608
        loaded: Json | None = json.loads(rows[0][0]) if rows else None
        return loaded

    def all(self, kind: str) -> list[Json]:
        """Return the objects of a kind in the order of their making."""
        return [json.loads(row[0]) for row in self._run(f"SELECT Document FROM {TABLES[kind]} ORDER BY CreatedAtInMs")]  # noqa: S608

    def remove(self, kind: str, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        self._run(f"DELETE FROM {TABLES[kind]} WHERE UUID = %s", key)  # noqa: S608
