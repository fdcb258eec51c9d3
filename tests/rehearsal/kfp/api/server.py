"""The REST surface of KFP 2.0.0 on port 8888, as far as kfp/README.md lists it.

Source of paths, fields and errors: backend/api/v2beta1 and backend/src/apiserver/server at tag 2.0.0.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.rehearsal.kfp.api import spec
from tests.rehearsal.kfp.api.dag import DEFAULT_ROOT
from tests.rehearsal.kfp.api.engine import FINAL, Engine, now, set_state
from tests.rehearsal.kfp.api.errors import AlreadyExists, ApiError, InvalidInput, NotFound, Unsupported
from tests.rehearsal.kfp.api.spec import Json
from tests.rehearsal.kfp.api.store import MySql
from tests.rehearsal.kfp.argo.pods import SERVICE_ACCOUNT
from tests.rehearsal.kfp.programs import web

COMMIT = "0" * 40
IDS = {"experiment": "experiment_id", "pipeline": "pipeline_id", "version": "pipeline_version_id", "run": "run_id"}
OPERATIONS: dict[Any, Callable[[str, Any], bool]] = {
    "EQUALS": lambda have, want: have == want,
    "NOT_EQUALS": lambda have, want: have != want,
    "IN": lambda have, want: have in want,
    "IS_SUBSTRING": lambda have, want: want in have,
}
OPERATIONS |= {1: OPERATIONS["EQUALS"], 2: OPERATIONS["NOT_EQUALS"], 8: OPERATIONS["IN"], 9: OPERATIONS["IS_SUBSTRING"]}


class Api:
    """Answers requests; ``call`` knows nothing of sockets."""

    def __init__(self, store: MySql, engine: Engine, version: str) -> None:
        """Make the default experiment where it is missing, as the API server does at its start."""
        self.store, self.engine, self.version = store, engine, version
        if not any(each["display_name"] == "Default" for each in store.all("experiment")):
            self.create_experiment(
                {"display_name": "Default", "description": "All runs created without specifying an experiment"}
            )

    def call(self, request: web.Request) -> Json:
        """Answer one request with a JSON object.

        Raises:
            ApiError: the answer is an error.
        """
        method, path, query = request.method, request.path, request.query
        if path in ("/apis/v1beta1/healthz", "/apis/v2beta1/healthz"):
            return {"commit_sha": COMMIT, "tag_name": f"{self.version}+rehearsal", "multi_user": False}
        match = re.fullmatch(r"/apis/v2beta1/([a-z]+)(?:/([^/:]+))?(?:/([a-z]+))?(?:/([^/:]+))?(?::([a-zA-Z]+))?", path)
        if not match:
            raise NotFound(f"Not Found: {path}")
        noun, key, below, below_key, verb = match.groups()
        if noun in ("recurringruns", "scheduledworkflows"):
            raise Unsupported("recurring runs")
        if noun == "pipelines" and key in ("upload", "upload_version") and method == "POST":
            return self._upload(key, request)
        if noun not in ("experiments", "pipelines", "runs") or (below, noun) not in (
            (None, noun),
            ("versions", "pipelines"),
        ):
            raise NotFound(f"Not Found: {path}")
        given = _object(request.body) if request.body else {}
        kind = "version" if below else noun[:-1]
        if (key is None and not below) or (below and below_key is None):
            if method == "GET":
                return self._list(kind, noun if not below else "pipeline_versions", query, key if below else None)
            if method == "POST" and kind in ("experiment", "run"):
                return self.create_experiment(given) if kind == "experiment" else self.create_run(given)
            raise Unsupported(f"{method} {path}", "upload pipelines with POST /apis/v2beta1/pipelines/upload")
        return self._one(method, kind, below_key if below else key or "", verb)

    def _one(self, method: str, kind: str, key: str, verb: str | None) -> Json:
        """Answer a request about one object."""
        found = self._find(kind, key)
        if method == "GET" and verb is None:
            return show(kind, found)
        if method == "DELETE" and verb is None:
            if kind == "run":
                self.engine.terminate(key)
                self.engine.remove_workflow(found)
            self.store.remove(kind, key)
            return {}
        if method == "POST" and kind == "run":
            if verb == "terminate":
                if found["state"] in FINAL:
                    raise InvalidInput(f"Failed to terminate run {key}: it is {found['state']} already")
                self.engine.terminate(key)
                return {}
            if verb in ("archive", "unarchive"):
                with self.engine.lock:
                    fresh = self._find("run", key)
                    fresh["storage_state"] = "ARCHIVED" if verb == "archive" else "AVAILABLE"
                    self.store.put("run", key, fresh)
                return {}
        raise Unsupported(f"{method} on a {kind}{f' (:{verb})' if verb else ''}")

    def _find(self, kind: str, key: str) -> Json:
        found = self.store.get(kind, key)
        if found is None:
            raise NotFound(f"Failed to get a {kind}: ResourceNotFoundError: {kind.capitalize()} {key} not found.")
        return found

    # --- lists ---------------------------------------------------------------------------------------

    def _list(self, kind: str, plural: str, query: dict[str, str], pipeline: str | None) -> Json:
        """Return a page of a kind: filtered, sorted, at most 200 objects."""
        rows = [show(kind, each) for each in self.store.all(kind)]
        if pipeline:
            rows = [each for each in rows if each["pipeline_id"] == pipeline]
        if query.get("experiment_id"):
            rows = [each for each in rows if each.get("experiment_id") == query["experiment_id"]]
        if query.get("filter"):
            for predicate in _object(query["filter"].encode()).get("predicates", []):
                rows = [each for each in rows if _matches(each, predicate, kind)]
        field, _, direction = query.get("sort_by", "created_at").partition(" ")
        field = {"name": "display_name", "id": IDS[kind]}.get(field, field)
        if rows and field not in rows[0]:
            raise InvalidInput(f"Invalid input error: Invalid sorting field: {field!r}")
        rows.sort(key=lambda each: str(each[field]), reverse=direction == "desc")
        try:
            start = int(base64.urlsafe_b64decode(query.get("page_token") or "MA=="))
            size = min(int(query.get("page_size") or 0) or 20, 200)
        except ValueError as error:
            raise InvalidInput(f"Invalid input error: Invalid package token or size: {error}") from error
        answer: Json = {plural: rows[start : start + size], "total_size": len(rows)}
        if start + size < len(rows):
            answer["next_page_token"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        return answer

    # --- making --------------------------------------------------------------------------------------

    def create_experiment(self, given: Json) -> Json:
        """Make an experiment; its name must be new."""
        name = given.get("display_name") or ""
        if not name:
            raise InvalidInput("Failed to create an experiment: Invalid input error: Experiment name is empty")
        if any(each["display_name"] == name for each in self.store.all("experiment")):
            raise AlreadyExists(
                f"Failed to create a new experiment: Already exist error: The name {name} already exist."
            )
        made = {"experiment_id": str(uuid.uuid4()), "display_name": name, "description": given.get("description", "")}
        made |= {"created_at": now(), "namespace": "", "storage_state": "AVAILABLE"}
        self.store.put("experiment", made["experiment_id"], made)
        return made

    def create_run(self, given: Json) -> Json:
        """Start a run of a given spec or of an uploaded version."""
        if not given.get("display_name"):
            raise InvalidInput("Failed to create a run: Invalid input error: The run name is empty")
        reference = given.get("pipeline_version_reference") or {}
        if given.get("pipeline_spec"):
            document = given["pipeline_spec"]
        elif reference.get("pipeline_id") or reference.get("pipeline_version_id"):
            version = self._version(reference)
            document, reference = version["document"], {k: version[k] for k in ("pipeline_id", "pipeline_version_id")}
        else:
            raise InvalidInput(
                "Failed to create a run: Invalid input error: neither a pipeline spec nor a version is given"
            )
        parsed = spec.parse(document, self.version)
        experiment = given.get("experiment_id") or next(
            each["experiment_id"] for each in self.store.all("experiment") if each["display_name"] == "Default"
        )
        self._find("experiment", experiment)
        config = given.get("runtime_config") or {}
        defaults = {name: each["defaultValue"] for name, each in parsed.parameters.items() if "defaultValue" in each}
        run: Json = {"run_id": str(uuid.uuid4()), "experiment_id": experiment, "display_name": given["display_name"]}
        run |= {"description": given.get("description", ""), "storage_state": "AVAILABLE", "created_at": now()}
        run |= {"service_account": given.get("service_account") or SERVICE_ACCOUNT, "runtime_config": config}
        run |= {"reference": reference, "document": document, "pipeline": parsed.name, "state_history": []}
        run |= {"root": config.get("pipeline_root") or DEFAULT_ROOT, "outputs": {}}
        run["parameters"] = defaults | (config.get("parameters") or {})
        run["tasks"] = {name: {"state": "PENDING", "error": "", "create_time": now()} for name in parsed.tasks}
        set_state(run, "PENDING")
        self.store.put("run", run["run_id"], run)
        return show("run", run)

    def _version(self, reference: Json) -> Json:
        """Return the version that a run refers to, the newest one when it names a pipeline only."""
        if reference.get("pipeline_version_id"):
            return self._find("version", reference["pipeline_version_id"])
        self._find("pipeline", reference["pipeline_id"])
        versions = [each for each in self.store.all("version") if each["pipeline_id"] == reference["pipeline_id"]]
        if not versions:
            raise NotFound(f"Pipeline {reference['pipeline_id']} has no version.")
        return versions[-1]

    def _upload(self, how: str, request: web.Request) -> Json:
        """Keep an uploaded pipeline, or another version of one."""
        query, file = request.query, request.file("uploadfile")
        if file is None:
            raise InvalidInput("Failed to read the file from the form: http: no such file")
        if file[0].endswith((".zip", ".tar.gz", ".tgz")):
            raise Unsupported(f"the upload of {file[0]}", "upload the .yaml file itself")
        parsed = spec.from_text(file[1], self.version)
        name = query.get("name") or parsed.name
        common = {"description": query.get("description", ""), "created_at": now()}
        kind = "pipeline" if how == "upload" else "version"
        taken = self.store.all(kind)
        if kind == "version":
            pipeline = self._find("pipeline", query.get("pipelineid", ""))
            taken = [each for each in taken if each["pipeline_id"] == pipeline["pipeline_id"]]
        if any(each["display_name"] == name for each in taken):
            text = (
                f"Failed to create a {kind}: Already exist error: The name {name} already exist. Please give a new one"
            )
            # 2.0.0 answers 500 here; 409 came with 2.1.0.
            raise (ApiError if self.version == "2.0.0" else AlreadyExists)(text)
        if kind == "pipeline":
            pipeline = {"pipeline_id": str(uuid.uuid4()), "display_name": name, **common}
            self.store.put("pipeline", pipeline["pipeline_id"], pipeline)
        version = {
            "pipeline_id": pipeline["pipeline_id"],
            "pipeline_version_id": str(uuid.uuid4()),
            "display_name": name,
        }
        version |= {**common, "document": parsed.document}
        self.store.put("version", version["pipeline_version_id"], version)
        return show(kind, pipeline if kind == "pipeline" else version)


def show(kind: str, row: Json) -> Json:
    """Return an object as the API shows it."""
    if kind == "version":
        return {**{k: v for k, v in row.items() if k != "document"}, "pipeline_spec": row["document"]}
    if kind != "run":
        return row
    names = ("run_id", "experiment_id", "display_name", "description", "storage_state", "service_account")
    shown = {name: row[name] for name in (*names, "created_at", "runtime_config", "state", "state_history")}
    shown["scheduled_at"] = row["created_at"]
    # Go's zero time, which the real API shows until a run has ended.
    shown["finished_at"] = row.get("finished_at", "1970-01-01T00:00:00Z")
    if row["reference"]:
        shown["pipeline_version_reference"] = row["reference"]
    else:
        shown["pipeline_spec"] = row["document"]
    if row.get("error"):
        shown["error"] = {"code": 13, "message": row["error"]}
    shown["run_details"] = {"task_details": [_task(row, name, each) for name, each in row["tasks"].items()]}
    return shown


def _task(run: Json, name: str, task: Json) -> Json:
    """Return a task as ``run_details`` shows it; a waiting task's error says what it waits for."""
    detail = {
        "run_id": run["run_id"],
        "task_id": f"{run['run_id']}/{name}",
        "display_name": name,
        "state": task["state"],
    }
    detail |= {key: task[key] for key in ("create_time", "start_time", "end_time") if key in task}
    if task["error"]:
        detail["error"] = {"code": 13 if task["state"] == "FAILED" else 9, "message": task["error"]}
    if task.get("pod"):
        detail |= {"pod_name": task["pod"], "child_tasks": [{"pod_name": task["pod"]}]}
    if name in run["outputs"]:
        detail["outputs"] = {
            key: {"artifact_uri": each["uri"]} for key, each in run["outputs"][name]["artifacts"].items()
        }
    return detail


def _matches(row: Json, predicate: Json, kind: str) -> bool:
    """Apply one predicate of a filter, in snake or camel case."""
    operation = predicate.get("operation", predicate.get("op"))
    field = {"name": "display_name", "id": IDS[kind]}.get(predicate.get("key", ""), predicate.get("key", ""))
    wanted = [value for key, value in predicate.items() if key not in ("operation", "op", "key")]
    if operation not in OPERATIONS:
        raise Unsupported(f"the filter operation {operation}")
    if field not in row or len(wanted) != 1:
        raise InvalidInput(f"Invalid input error: Cannot filter by {predicate}")
    value = wanted[0].get("values", []) if isinstance(wanted[0], dict) else wanted[0]
    return OPERATIONS[operation](row[field], value)


def _object(body: bytes) -> Json:
    try:
        loaded = json.loads(body)
    except ValueError as error:
        raise InvalidInput(f"invalid character: {error}") from error
    if not isinstance(loaded, dict):
        raise InvalidInput("json: cannot unmarshal into an object")
    return loaded


def answer(api: Api, request: web.Request) -> web.Answer:
    """Answer one request over HTTP, errors in the shape of their endpoint."""
    try:
        return web.as_json(200, api.call(request))
    except Exception as error:  # every failure has to become an answer
        known = error if isinstance(error, ApiError) else ApiError(f"InternalServerError: {error}")
        return web.as_json(known.status, known.upload_body() if "/upload" in request.path else known.body())
