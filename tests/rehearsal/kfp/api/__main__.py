"""Start the API as the image gcr.io/ml-pipeline/api-server does: database, bucket, then the port."""

from __future__ import annotations

import os
import sys
import threading
import time

from tests.rehearsal.kfp.api.engine import Engine
from tests.rehearsal.kfp.api.server import Api, answer
from tests.rehearsal.kfp.api.store import MySql
from tests.rehearsal.kfp.programs import web
from tests.rehearsal.kfp.programs.kube import Kube
from tests.rehearsal.kfp.programs.log import log
from tests.rehearsal.kfp.programs.s3 import S3, S3Error

DATABASE_SECONDS = 360
"""How long KFP's API server tries to reach its database (config.json, InitConnectionTimeout)."""


def database(version: str) -> MySql:
    """Connect with the settings of this version's manifests: 2.5.0 reads other variables than 2.0.0."""
    prefix = "DBCONFIG_" if version == "2.0.0" else "DBCONFIG_MYSQLCONFIG_"
    env = {name.removeprefix(prefix): value for name, value in os.environ.items() if name.startswith(prefix)}
    host, port, user = env.get("HOST", "mysql"), int(env.get("PORT", "3306")), env.get("USER", "root")
    end = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            return MySql(host, port, user, env.get("PASSWORD", ""), env.get("DBNAME", "mlpipeline"))
        except Exception as error:  # whatever the driver raises: refused, not there yet, no such host
            if time.monotonic() > end:
                raise
            log(f"the database is not ready: {error}")
            time.sleep(2)


def main() -> int:
    """Run until killed; return 1 when the object store is not there, as KFP's API server does."""
    version = os.environ.get("KFP_VERSION", "2.0.0")
    store = database(version)
    env = os.environ.get
    host = env("OBJECTSTORECONFIG_HOST") or env("MINIO_SERVICE_SERVICE_HOST", "minio-service")
    port = env("OBJECTSTORECONFIG_PORT") or env("MINIO_SERVICE_SERVICE_PORT", "9000")
    s3 = S3(f"{host}:{port}", env("OBJECTSTORECONFIG_ACCESSKEY", ""), env("OBJECTSTORECONFIG_SECRETACCESSKEY", ""))
    try:
        s3.make_bucket(env("OBJECTSTORECONFIG_BUCKETNAME", "mlpipeline"))
    except S3Error as error:
        log(f"Failed to check if the bucket exists: {error}")
        return 1
    image = env("V2_LAUNCHER_IMAGE") or "gcr.io/ml-pipeline/kfp-launcher:2.0.0"
    engine = Engine(store, Kube(env("POD_NAMESPACE")), version, image, float(env("IMAGE_PULL_SECONDS", "60")))
    api = Api(store, engine, version)
    threading.Thread(target=engine.forever, daemon=True).start()
    log(f"a rehearsal of KFP {version}: http on 8888, steps with {image}")
    web.server(8888, lambda request: answer(api, request)).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
