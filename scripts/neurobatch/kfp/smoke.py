"""Submit the smoke pipeline, watch it, and say what broke first where it does not succeed."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurobatch.kfp import template
from neurobatch.kfp.client import Client, DeadlineError, KfpError
from neurobatch.kfp.pods import Kubectl, Pod
from neurobatch.kfp.reasons import in_vain, reason
from neurobatch.kfp.runs import OVER, Run, Step, steps_of

PIPELINE = "smoke"
EXPERIMENT = "neurobatch-smoke"
LOG_LINES = 20
KEPT = 3
"""How many smoke runs stay to be looked at in the pages of Kubeflow Pipelines; older ones go, with their pods."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        image: what the steps run on.
        stack: for which the pipeline was compiled; empty for the release that the API says it is.
        claims: claim in the pipeline to claim in the cluster, where they differ.
        deadline: seconds for the whole run.
        key: the same key again finds the run that is there instead of making one.
        grace: seconds that a pod may wait for what looks hopeless (a claim being made, a pull being tried again).
        interval: seconds between two looks.
    """

    image: str
    stack: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)
    deadline: float = 600
    key: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    grace: float = 20
    interval: float = 2


@dataclass(frozen=True)
class Outcome:
    """How the run ended.

    Attributes:
        succeeded: every step did.
        timed_out: it was the deadline that ended it.
        verdict: one line.
        run_id: its id.
        seconds: from the submission on.
        steps: name, state, error, pods, log (last lines), started and ended (Unix times, 0: not known), digest of the
            image that it ran on ("": not known).
        about: what was proven with which versions, in words.
        created: Unix time of the submission.
    """

    succeeded: bool
    timed_out: bool
    verdict: str
    run_id: str
    seconds: float
    steps: list[dict[str, Any]]
    about: dict[str, str] = field(default_factory=dict)
    created: float = 0.0


class LostError(KfpError):
    """The run was submitted, and then nothing more could be learned of it."""


class _HopelessError(Exception):
    """A pod waits for what will not come."""


class Watch:
    """Follows a run: says each step's changes, and gives up where a pod waits in vain."""

    def __init__(self, request: Request, names: list[str], cluster: Kubectl | None, say: Callable[[str], None]) -> None:
        """Remember whom to tell; nothing is asked yet."""
        self._request, self._names, self._cluster, self._say = request, names, cluster, say
        self._started = time.monotonic()
        self._states: dict[str, str] = {}
        self._hopeless: dict[str, float] = {}
        self.pods: dict[str, Pod] = {}
        self.logs: dict[str, list[str]] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._started

    def look(self, run: Run) -> None:
        """Take note of what the API says; raise where a pod waits in vain."""
        for step in steps_of(run, self._names):
            if self._states.get(step.name) != step.state:
                self._states[step.name] = step.state
                self._say(f"[{self.elapsed:4.0f} s] {step.name}: {step.state}")
            # A pod is removed some time after its run: what it printed is fetched as soon as it is complete.
            if step.state in OVER and step.name not in self.logs:
                self.read_log(step)
        if not run.over:
            self.refresh_pods(run)
            waiting = {s.name: in_vain(s.error) for s in steps_of(run, self._names) if s.state not in OVER}
            for pod in self.pods.values():
                waiting[pod.name] = pod.hopeless
            self._judge(waiting)

    def read_log(self, step: Step) -> None:
        """Fetch a step's last lines, where the cluster may be asked."""
        if not self._cluster:
            return
        own = [pod.name for pod in self.pods.values() if pod.step == step.name]
        for pod in dict.fromkeys([*step.pods, *own]):
            lines = self._cluster.log(pod, LOG_LINES)
            if lines:
                self.logs[step.name] = lines
                for line in lines:
                    self._say(f"    {step.name} | {line}")
                return

    def refresh_pods(self, run: Run) -> None:
        """Ask the cluster for the run's pods."""
        if self._cluster:
            for pod in self._cluster.pods(run.run_id, self._names):
                self.pods[pod.name] = pod

    def _judge(self, waiting: Mapping[str, bool]) -> None:
        """Raise where a step or pod has waited in vain for longer than is granted."""
        for name, vain in waiting.items():
            if not vain:
                self._hopeless.pop(name, None)
            elif self.elapsed - self._hopeless.setdefault(name, self.elapsed) >= self._request.grace:
                raise _HopelessError(name)


def run(client: Client, request: Request, cluster: Kubectl | None, say: Callable[[str], None]) -> Outcome:
    """Submit the smoke pipeline and return how it ended. A run that is not over by then is ended.

    Args:
        client: the pipeline API.
        request: what to submit, and how long to wait.
        cluster: where pods and logs are read; None without a kubeconfig, then reasons are the API's alone.
        say: takes one line of progress.

    Raises:
        KfpError: the API cannot be reached or refuses the pipeline.
        LostError: it was submitted, and then the API refused to say more; it was told to end it.
        template.TemplateError: the pipeline is not there for this stack, or lacks a claim.
    """
    health = client.health()
    # A version may carry build metadata after a plus sign, which says nothing about what the API takes.
    stack = request.stack or f"kfp-{health.version.partition('+')[0]}"
    filled = template.fill(template.load(PIPELINE, stack), request.image, request.claims)
    say(f"pipeline API {health.version} at {client.endpoint}; image {request.image}")
    experiment = client.ensure_experiment(EXPERIMENT)
    watch = Watch(request, filled.steps, cluster, say)
    about = {
        "endpoint": client.endpoint,
        "Kubeflow Pipelines": health.version,
        "Kubernetes": (cluster.version() if cluster else "") or "not asked (no kubeconfig)",
        "pipeline compiled for": stack,
        "runtime image": request.image,
        "claims": ", ".join(f"{old} as {new}" for old, new in request.claims.items()) or "as compiled",
    }
    began = time.time()
    submitted = client.create_run(
        experiment, EXPERIMENT, request.key, pipeline_spec=filled.pipeline, platform_spec=filled.platform
    )
    say(f"run {submitted.run_id} ({submitted.name})")
    try:
        ended, timed_out = _watched(client, submitted, request, watch)
        if not ended.over:
            _end(client, ended, say)
    except BaseException as error:
        # Whatever ends the watch, nobody looks after the run any more.
        _end(client, submitted, say)
        if isinstance(error, KfpError):
            raise LostError(str(error), status=error.status) from error
        raise
    outcome = _outcome(ended, filled.steps, watch, timed_out=timed_out, deadline=request.deadline)
    _tidy(client, experiment, say)
    return dataclasses.replace(outcome, about=about, created=began)


def _watched(client: Client, submitted: Run, request: Request, watch: Watch) -> tuple[Run, bool]:
    """Return the run as it was last seen, and whether it was the deadline that ended the watch."""
    try:
        return client.wait(submitted.run_id, request.deadline, interval=request.interval, progress=watch.look), False
    except DeadlineError as late:
        return late.run or submitted, True
    except _HopelessError:
        return client.run(submitted.run_id), False


def _tidy(client: Client, experiment: str, say: Callable[[str], None]) -> None:
    """Delete all smoke runs that are over but the newest; what cannot be deleted is the next run's to try."""
    try:
        for old in client.runs(experiment)[KEPT:]:
            if old.over:
                client.remove(old.run_id)
                say(f"the older run {old.run_id} is removed")
    except KfpError as error:
        say(f"older runs could not be removed: {error}")


def _end(client: Client, run: Run, say: Callable[[str], None]) -> None:
    try:
        client.terminate(run.run_id)
        say(f"run {run.run_id} is ended")
    except KfpError as error:
        say(f"run {run.run_id} could not be ended: {error}")


def _outcome(run: Run, names: list[str], watch: Watch, *, timed_out: bool, deadline: float) -> Outcome:
    steps = steps_of(run, names)
    good = sum(step.state == "SUCCEEDED" for step in steps)
    succeeded = run.state == "SUCCEEDED" and good == len(steps)
    if not timed_out:
        watch.refresh_pods(run)
    if succeeded:
        verdict = f"smoke: SUCCEEDED ({good} of {len(steps)} steps)"
    else:
        cause = _cause(run, steps, watch)
        late = f" (not over after {deadline:.0f} s)" if timed_out else ""
        verdict = f"smoke: FAILED ({good} of {len(steps)} steps){late}: {cause}."
    digests = {pod.step: pod.digest for pod in watch.pods.values() if pod.digest}
    rows = [
        {
            "name": step.name,
            "state": step.state,
            "error": step.error,
            "pods": list(step.pods),
            "log": watch.logs.get(step.name, []),
            "started": step.started,
            "ended": step.ended,
            "digest": digests.get(step.name, ""),
        }
        for step in steps
    ]
    return Outcome(succeeded, timed_out, verdict, run.run_id, round(watch.elapsed, 1), rows)


def _cause(run: Run, steps: list[Step], watch: Watch) -> str:
    """Return the first broken step with its reason: a failed one, else one that waits in vain, else one not done."""

    def rank(step: Step) -> int:
        waits = any(pod.step == step.name and pod.hopeless for pod in watch.pods.values())
        return 0 if step.state == "FAILED" else 1 if waits else 2

    open_steps = [step for step in steps if step.state != "SUCCEEDED"]
    if not open_steps:
        return reason(run.error or f"the run ended as {run.state}")
    step = min(open_steps, key=rank)
    if step.state == "FAILED" and step.name not in watch.logs:
        watch.read_log(step)
    pods = [pod.reason for pod in watch.pods.values() if pod.step == step.name and pod.reason]
    texts = [text for text in (step.error, *pods, run.error) if text]
    if not texts and step.state != "FAILED":
        texts = [f"it is {step.state} and nothing says why; --kubeconfig shows what its pod waits for"]
    return f"step {step.name}: {reason(*texts, log=watch.logs.get(step.name, ()))}"
