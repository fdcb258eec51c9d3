"""A small client for the REST API v2beta1 of Kubeflow Pipelines 2.x.

Paths and fields: https://github.com/kubeflow/pipelines/tree/2.0.0/backend/api/v2beta1 (swagger/). Every request has a
timeout. What only reads is tried again after a broken connection and after HTTP 429, 500, 502, 503 and 504; a run is
never created twice: each carries a key in its display name, by which it is found again when the answer to its creation
was lost.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurobatch.kfp.runs import Health, Run, run_of
from neurobatch.kfp.transport import Answer, NoAnswerError, Transport

API = "apis/v2beta1"
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
TOTAL_SECONDS = 60.0
"""For one request and all of its answer."""
ATTEMPTS = 5
"""How often a request that only reads is tried."""
BACKOFF_SECONDS = (0.5, 8.0)
"""First and longest pause between attempts; each pause is a random part of twice the one before it."""
ARTIFACT_SECONDS = 600.0
"""For one artifact, which may be large."""
PAUSE_LIMIT = 30.0
"""Longest pause, in seconds, that a server's Retry-After is granted."""
TRANSIENT = frozenset({429, 500, 502, 503, 504})


class KfpError(RuntimeError):
    """The API did not do what was asked; the message is one sentence for an operator."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 0.0, sent: bool = True) -> None:
        """Keep the HTTP status (0: no answer), the seconds to wait that were asked for, and whether it was sent."""
        super().__init__(message)
        self.status, self.retry_after, self.sent = status, retry_after, sent


class UnreachableError(KfpError):
    """Nobody answers at the endpoint, or what answers is not this API."""


class UnknownError(KfpError):
    """It is not known whether a run was created."""


class DeadlineError(KfpError):
    """A run was not over in time; ``run`` is what was last known of it."""

    def __init__(self, message: str, run: Run | None) -> None:
        """Keep the last state beside the message."""
        super().__init__(message)
        self.run = run


class Client:
    """Speaks to one endpoint, e.g. ``http://127.0.0.1:31380/pipeline`` (through the UI) or ``http://HOST:8888``."""

    def __init__(
        self,
        endpoint: str,
        *,
        namespace: str = "",
        timeout: tuple[float, float, float] = (CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS),
        attempts: int = ATTEMPTS,
        backoff: tuple[float, float] = BACKOFF_SECONDS,
    ) -> None:
        """Remember how to ask; nothing is sent yet.

        Args:
            endpoint: base URL, without ``/apis``.
            namespace: of the experiments; empty on an installation without multi-user support.
            timeout: seconds to connect, between two pieces of an answer, and for a request as a whole.
            attempts: how often a request that only reads is tried.
            backoff: seconds of the first and of the longest pause between attempts.
        """
        self.endpoint = endpoint.rstrip("/")
        self.namespace = namespace
        self._attempts, self._backoff = attempts, backoff
        self._transport = Transport(self.endpoint, *timeout)

    def health(self) -> Health:
        """Return what the API says of itself.

        Raises:
            UnreachableError: nobody answers, or the UI answers without an API behind it.
        """
        answer = self._read("healthz")
        if not {"tag_name", "commit_sha", "apiServerTagName", "apiServerReady"} & answer.keys():
            raise UnreachableError(f"{self.endpoint} answers, but not as the pipeline API.", status=200)
        # The UI answers for the API (…/healthz of ml-pipeline-ui), under other names than the API itself.
        if not answer.get("apiServerReady", True):
            raise UnreachableError(f"The UI at {self.endpoint} answers, but the pipeline API behind it does not.")
        return Health(
            version=str(answer.get("tag_name") or answer.get("apiServerTagName") or "unknown"),
            multi_user=bool(answer.get("multi_user", False)),
        )

    def ensure_experiment(self, name: str) -> str:
        """Return the id of the experiment ``name``, made where it is not there."""
        # Of one name there can only be one, so that this may be tried again.
        for pause in [*self._pauses(), None]:
            found = self._experiment(name)
            if found:
                return found
            try:
                made = self._send("POST", "experiments", {"display_name": name, "namespace": self.namespace})
                if not made.get("experiment_id"):
                    raise UnreachableError(f"{self.endpoint} answers, but not as the pipeline API.", status=200)
                return str(made["experiment_id"])
            except KfpError as error:
                # Somebody else was quicker (409), or the answer was lost: then it is there now.
                if pause is None or not (lost(error) or error.status == 409):
                    raise
                time.sleep(min(PAUSE_LIMIT, max(pause, error.retry_after)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def create_run(
        self,
        experiment_id: str,
        name: str,
        key: str,
        *,
        pipeline_spec: Mapping[str, Any],
        platform_spec: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Run:
        """Create a run unless one with this ``key`` is there, and return it.

        Args:
            experiment_id: from `ensure_experiment`.
            name: for people; the display name becomes ``name [key]``.
            key: chosen by the caller, unlike any other run's; the same key again never makes a second run.
            pipeline_spec: the compiled pipeline (IR, the first YAML document).
            platform_spec: its Kubernetes part (the second document), where it has one.
            parameters: of the pipeline, by name.
            fresh: the key was never sent before, so that nobody needs to look for it first.

        Raises:
            KfpError: refused; not sent at all (``sent`` is false); or not known whether it was created, as the message
                says then.
        """
        display_name = f"{name} [{key}]"
        known = None if fresh else self.find_run(experiment_id, display_name)
        if known:
            return known
        spec: Mapping[str, Any] = pipeline_spec
        if platform_spec:
            spec = {"pipeline_spec": pipeline_spec, "platform_spec": platform_spec}
        body = {
            "experiment_id": experiment_id,
            "display_name": display_name,
            "pipeline_spec": spec,
            "runtime_config": {"parameters": dict(parameters or {})},
        }
        try:
            return _known(run_of(self._send("POST", "runs", body)), self.endpoint)
        except KfpError as error:
            if not error.sent or (error.status and error.status not in TRANSIENT and not _wrong_server(error)):
                raise
            cause = error
        for pause in self._pauses():
            time.sleep(pause)
            known = self.find_run(experiment_id, display_name)
            if known:
                return known
        raise UnknownError(
            f"It is not known whether the run {display_name!r} was created, nothing shows it yet: {cause}",
            status=cause.status,
        )

    def find_run(self, experiment_id: str, display_name: str) -> Run | None:
        """Return the newest run of this display name in the experiment, None where there is none."""
        runs = self.runs(experiment_id, display_name=display_name)
        return runs[0] if runs else None

    def runs(self, experiment_id: str, *, display_name: str = "", part: str = "", limit: int = 100) -> list[Run]:
        """Return up to ``limit`` runs of the experiment, the newest first.

        Args:
            experiment_id: from `ensure_experiment`.
            display_name: only runs of exactly this name.
            part: only runs with this in their name.
            limit: how many at most.
        """
        query = {"experiment_id": experiment_id, "sort_by": "created_at desc", "page_size": str(min(limit, 100))}
        if display_name or part:
            query["filter"] = _named(display_name) if display_name else _named(part, operation=9)
        found: list[Run] = []
        while len(found) < limit:
            page = self._list("runs", query)
            rows = [run_of(row) for row in page.get("runs") or []]
            found += [run for run in rows if (not display_name or run.name == display_name) and part in run.name]
            token = page.get("next_page_token")
            if not token:
                break
            query["page_token"] = token
        return found[:limit]

    def run(self, run_id: str) -> Run:
        """Return one run with its steps."""
        return _known(run_of(self._read(f"runs/{run_id}")), self.endpoint)

    def remove(self, run_id: str) -> None:
        """Delete a run and, with its workflow, its pods; one that is not there is as good."""
        try:
            self._send("DELETE", f"runs/{run_id}")
        except KfpError as error:
            if error.status != 404:
                raise

    def terminate(self, run_id: str) -> None:
        """End a run; one that is over already stays as it is."""
        try:
            self._send("POST", f"runs/{run_id}:terminate")
        except KfpError:
            if not self.run(run_id).over:
                raise

    def wait(
        self, run_id: str, seconds: float, *, interval: float = 2.0, progress: Callable[[Run], None] | None = None
    ) -> Run:
        """Return the run as soon as it is over: succeeded, failed, skipped or canceled.

        Args:
            run_id: from `create_run`.
            seconds: the deadline. An API that is away for a while (a restart) is waited for, too.
            interval: seconds between two looks.
            progress: called with every look; an exception from it ends the wait and is passed on.

        Raises:
            DeadlineError: not over in time.
            KfpError: the run is not there any more.
        """
        deadline, run, trouble = time.monotonic() + seconds, None, ""
        while True:
            try:
                run, trouble = self.run(run_id), ""
            except KfpError as error:
                if not lost(error):
                    raise
                trouble = f" {error}"
            if run and not trouble:
                if progress:
                    progress(run)
                if run.over:
                    return run
            left = deadline - time.monotonic()
            if left <= 0:
                state = run.state if run else "unknown"
                raise DeadlineError(f"The run is not over after {seconds:.0f} s (state {state}).{trouble}", run)
            time.sleep(min(interval, left))

    def artifact(self, scheme: str, bucket: str, key: str, *, limit: int) -> bytes:
        """Return an artifact out of the object store, which the UI hands on; no key is needed.

        Args:
            scheme: minio, s3 or gs.
            bucket: its name.
            key: the artifact's, in the bucket.
            limit: most bytes.

        Raises:
            KfpError: the store does not have it (any HTTP status), or nobody answers (`UnreachableError`).
        """
        transport = Transport(self.endpoint, self._transport.connect, self._transport.read, ARTIFACT_SECONDS)
        query = {"source": scheme, "bucket": bucket, "key": key}
        for pause in [*self._pauses(), None]:
            try:
                return self._artifact(transport, query, limit)
            except KfpError as error:
                if pause is None or (error.status and error.status not in TRANSIENT):
                    raise
                time.sleep(min(PAUSE_LIMIT, max(pause, error.retry_after)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _artifact(self, transport: Transport, query: Mapping[str, str], limit: int) -> bytes:
        name = "{source}://{bucket}/{key}".format(**query)
        try:
            answer = transport.send("GET", "artifacts/get", query=query, limit=limit)
        except NoAnswerError as error:
            raise UnreachableError(f"{self.endpoint} does not hand out {name}: {error}.") from error
        if 200 <= answer.status < 300:
            if "html" in answer.headers.get("content-type", "") and answer.body.lstrip().startswith(b"<"):
                # The UI serves its start page for every path that it does not know.
                raise UnreachableError(
                    f"{self.endpoint} answers with a page in place of {name} (the UI's address needs /pipeline at its "
                    "end).",
                    status=answer.status,
                )
            return answer.body
        if 300 <= answer.status < 400:
            raise _refusal(answer, self.endpoint)
        said = " ".join(answer.body.decode(errors="replace").split())[:200].rstrip(".") or answer.reason
        raise KfpError(
            f"{name} cannot be had from the object store: HTTP {answer.status}: {said}.",
            status=answer.status,
            retry_after=_seconds(answer.headers.get("retry-after")),
        )

    def _experiment(self, name: str) -> str:
        query = {"filter": _named(name), "namespace": self.namespace, "page_size": "100"}
        rows = self._list("experiments", query).get("experiments") or []
        return next((str(row["experiment_id"]) for row in rows if row.get("display_name") == name), "")

    def _pauses(self) -> Sequence[float]:
        first, longest = self._backoff
        bounds = [min(longest, first * 2**number) for number in range(self._attempts - 1)]
        return [random.uniform(bound / 2, bound) for bound in bounds]  # noqa: S311 - jitter is no secret

    def _list(self, kind: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return one page of a list; an empty one has no field at all, one of another API has others.

        Raises:
            UnreachableError: this is no such list. Taken for an empty one, it would make a run look as if it was not
                there, which is then submitted again.
        """
        page = self._read(kind, query)
        if page and not page.keys() & {kind, "total_size", "next_page_token"}:
            raise UnreachableError(
                f"{self.endpoint} answers, but not as the pipeline API: no list of {kind}.", status=200
            )
        return page

    def _read(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET, tried again where that can help."""
        pauses = [*self._pauses(), None]
        for pause in pauses:
            try:
                return self._send("GET", path, query=query)
            except KfpError as error:
                if pause is None or (error.status and error.status not in TRANSIENT) or _wrong_server(error):
                    raise
                time.sleep(min(PAUSE_LIMIT, max(pause, error.retry_after)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Send one request, once, and return the JSON object that answers it."""
        try:
            response = self._transport.send(method, f"{API}/{path}", body=body, query=query)
        except NoAnswerError as error:
            raise UnreachableError(f"{self.endpoint} does not answer: {error}.", sent=error.sent) from error
        if not 200 <= response.status < 300:
            raise _refusal(response, self.endpoint)
        answer = response.json() if response.body or method == "GET" else {}
        as_json = "json" in response.headers.get("content-type", "") or not response.body
        if answer is None and as_json:
            raise UnreachableError(f"{self.endpoint} does not answer: the answer breaks off.")
        if not isinstance(answer, dict):
            # The UI serves its start page for every path that it does not know.
            raise UnreachableError(
                f"{self.endpoint} answers, but not as the pipeline API (the UI's address needs /pipeline at its end).",
                status=response.status,
            )
        return answer


def lost(error: KfpError) -> bool:
    """Return whether an error says that the API is away, so that asking again may help, and not that it refuses."""
    return isinstance(error, (UnreachableError, UnknownError)) or not error.status or error.status in TRANSIENT


def _refusal(response: Answer, endpoint: str) -> KfpError:
    """Return what an HTTP error says, as grpc-gateway words it: {"error", "code", "message", "details"}."""
    said = response.json()
    said = said if isinstance(said, dict) else {}
    details = [row.get("message", "") for row in said.get("details") or [] if isinstance(row, dict)]
    text = next((row for row in details if row), "") or said.get("message") or said.get("error") or ""
    text = " ".join(str(text or response.reason or "no message").split())[:500].rstrip(".")
    status = response.status
    elsewhere = 300 <= status < 400
    if elsewhere:
        text = f"it leads to {response.headers.get('location', 'another address')}: a login page?"
    # A gateway in between (a forward, the UI) answers so while the API is away.
    gone = status in {502, 503, 504} or (status == 500 and not said)
    kind = UnreachableError if gone or elsewhere else KfpError
    return kind(
        f"The pipeline API at {endpoint} answered HTTP {status}: {text}.",
        status=status,
        retry_after=_seconds(response.headers.get("retry-after")),
    )


def _known(run: Run, endpoint: str) -> Run:
    """Return the run; an answer that names none comes from something else than this API.

    Raises:
        UnreachableError: it names none.
    """
    if not run.run_id:
        raise UnreachableError(f"{endpoint} answers, but not as the pipeline API: no run is in its answer.", status=200)
    return run


def _wrong_server(error: KfpError) -> bool:
    return isinstance(error, UnreachableError) and 200 <= error.status < 400


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:  # an HTTP date: not worth waiting for exactly
        return 0.0


def _named(name: str, operation: int = 1) -> str:
    """Return the filter for a display name: 1 equals, as the SDK 2.0.1 sends it, 9 contains (filter.proto)."""
    return json.dumps({"predicates": [{"operation": operation, "key": "display_name", "stringValue": name}]})
