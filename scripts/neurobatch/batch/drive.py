"""Bring a batch to its end: submit what waits, at most so many at a time, look at what runs, note how it ended.

One thread, no callbacks: a look asks for each run under way, so its cost is bounded by the number of parallel runs, not
by the size of the batch. Everything learned is in the journal before the next request is sent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neurobatch.batch import jobs
from neurobatch.batch.after import Gate
from neurobatch.batch.journal import ACTIVE, CANCEL, NOTEBOOK, OVER, SPEC, SUBMITTING, WAITING, Batch, Subject
from neurobatch.batch.refusal import UnansweredError
from neurobatch.batch.settings import Settings
from neurobatch.kfp.client import Client, KfpError, lost
from neurobatch.kfp.pods import Kubectl
from neurobatch.kfp.reasons import in_vain, reason
from neurobatch.kfp.runs import Run, steps_of

#: Seconds after a start of the cluster within which all of its pods are back.
BACK = 300.0


@dataclass(frozen=True)
class Limits:
    """How a batch is driven; all times in seconds.

    Attributes:
        parallel: runs under way at once.
        wait: until every subject is over, not only until every one is submitted.
        deadline: for all of it; 0: none.
        patience: how long the pipeline API may be silent.
        grace: how long a pod may wait for what looks in vain (a claim, an image).
        start: how long after its submission a step may take to begin.
        interval: between two looks.
    """

    parallel: int
    wait: bool = True
    deadline: float = 0.0
    patience: float = 600.0
    grace: float = 60.0
    start: float = 3600.0
    interval: float = 3.0


class Driver:
    """Drives one batch, whose lock the caller holds."""

    def __init__(
        self,
        client: Client,
        batch: Batch,
        settings: Settings,
        limits: Limits,
        *,
        tell: Callable[[Batch, Subject | None, str], None],
        cluster: Kubectl | None = None,
        gate: Gate | None = None,
    ) -> None:
        """Remember everything; nothing is asked yet.

        Args:
            client: the pipeline API.
            batch: the batch.
            settings: of this installation.
            limits: see there.
            tell: called with a subject that has changed, or with None and a line for people.
            cluster: where pods can be looked at; None where this user may not.
            gate: says which subjects have to wait for another run; None: none has to.
        """
        self.client, self.batch, self.settings, self.limits = client, batch, settings, limits
        self.tell, self.cluster, self.gate = tell, cluster, gate
        self.spec = jobs.spec_of(settings, batch)
        self.steps = self.spec.steps
        self.began = time.monotonic()
        self._silent_since = 0.0
        self._retry: dict[str, float] = {}
        self._vain: dict[str, float] = {}

    def drive(self) -> bool:
        """Go on until the batch is over (or, without ``wait``, until nothing is left to submit).

        Returns:
            False where the deadline came first.

        Raises:
            UnansweredError: the API was silent for longer than ``patience``.
            RefusalError: a folder cannot be written.
        """
        while True:
            try:
                if self.gate:
                    self.gate.look()
                if (self.batch.folder / CANCEL).exists():
                    self._cancel()
                self._submit()
                self._look()
            except KfpError as error:
                if not lost(error):
                    raise
                self._wait_for_the_api(error)
            left = [subject for subject in self.batch.subjects if subject.state not in OVER]
            unsubmitted = [subject for subject in left if subject.state in (WAITING, SUBMITTING)]
            if not left or (not self.limits.wait and not unsubmitted):
                return True
            if self.limits.deadline and time.monotonic() - self.began > self.limits.deadline:
                return False
            time.sleep(self.limits.interval * random.uniform(0.8, 1.2))  # noqa: S311 - so that many do not ask at once

    def _wait_for_the_api(self, error: KfpError) -> None:
        now = time.monotonic()
        if not self._silent_since:
            self._silent_since = now
            self.tell(self.batch, None, f"{error} Waiting for it.")
        if now - self._silent_since >= self.limits.patience:
            raise UnansweredError(
                f"{error} The journal is kept: `neurobatch resume {self.batch.name}` goes on."
            ) from error

    def _submit(self) -> None:
        """Submit what waits, as far as there is room."""
        for subject in self.batch.subjects:
            under_way = sum(each.state in ACTIVE or each.state == SUBMITTING for each in self.batch.subjects)
            if subject.state == SUBMITTING and time.monotonic() >= self._retry.get(subject.name, 0.0):
                # Sent before, by this program or by one that is gone: looked for before it is sent again.
                self._send(subject, fresh=False)
            elif subject.state == WAITING and under_way < self.limits.parallel and self._may_begin(subject):
                self._send(subject, fresh=True)

    def _may_begin(self, subject: Subject) -> bool:
        """Return whether nothing that a subject waits for is left; one that waits in vain is over with this."""
        why = self.gate.closed(subject.name) if self.gate else ""
        if why:
            self._end(subject, "SKIPPED", why)
        return not why and not (self.gate and self.gate.waits(subject.name))

    def _send(self, subject: Subject, *, fresh: bool) -> None:
        if not self.batch.experiment_id:
            self.batch.experiment_id = self.client.ensure_experiment(f"neurobatch {self.batch.request['notebook']}")
        parameters = jobs.parameters(self.settings, self.batch, subject)
        subject.state = SUBMITTING
        self.batch.save()
        try:
            run = self.client.create_run(
                self.batch.experiment_id,
                self.batch.title(subject),
                self.batch.key(subject),
                pipeline_spec=self.spec.pipeline,
                platform_spec=self.spec.platform,
                parameters=parameters,
                fresh=fresh,
            )
        except KfpError as error:
            if not error.sent and fresh:
                subject.state = WAITING
                self.batch.save()
            elif not lost(error):
                self._end(subject, "FAILED", f"refused: {error}")
                return
            else:
                self._retry[subject.name] = time.monotonic() + 10 * self.limits.interval
            raise
        self._silent_since = 0.0
        subject.run_id, subject.state, subject.submitted = run.run_id, "PENDING", time.time()
        if not fresh:
            self._end_doubles(subject, run)
        self.batch.save()
        self.tell(self.batch, subject, "")

    def _end_doubles(self, subject: Subject, kept: Run) -> None:
        """End all runs of this key but one: an answer that came very late may belong to an earlier request."""
        for other in self.client.runs(self.batch.experiment_id, display_name=self._display_name(subject)):
            if other.run_id != kept.run_id and not other.over:
                self.client.terminate(other.run_id)

    def _look(self) -> None:
        """Ask for every run under way, and note what has changed."""
        for subject in self.batch.subjects:
            if subject.state not in ACTIVE:
                continue
            try:
                run = self.client.run(subject.run_id)
                self._silent_since = 0.0
            except KfpError as error:
                if error.status != 404:
                    raise
                self._end(subject, "FAILED", "its run was deleted in Kubeflow Pipelines")
                continue
            if run.over:
                self._finish(subject, run)
                continue
            self._judge(subject, run)
            if subject.state in ACTIVE and subject.state != run.state:
                subject.state = run.state
                self.batch.save()
                self.tell(self.batch, subject, "")

    def _finish(self, subject: Subject, run: Run) -> None:
        """Note how a run ended, in the words of its step where it had any."""
        said = jobs.said(self.batch, subject)
        subject.cell, subject.archive = str(said.get("cell") or ""), str(said.get("archive") or "")
        if run.state == "SUCCEEDED":
            self._end(subject, "SUCCEEDED", "")
            return
        self._end(subject, run.state, why_ended(run, said, self.steps))

    def _judge(self, subject: Subject, run: Run) -> None:
        """End a run whose step has not begun and never will."""
        spoke = jobs.said_by_step(self.batch, subject)
        steps = [step for step in steps_of(run, self.steps) if step.state not in OVER and step.name not in spoke]
        if not steps or (spoke and self.batch.kind == NOTEBOOK):
            self._vain.pop(subject.run_id, None)
            return
        texts = [step.error for step in steps if step.error]
        hopeless = [text for text in texts if in_vain(text)]
        if self.cluster and not hopeless:
            pods = [pod for pod in self.cluster.pods(run.run_id, self.steps) if pod.step not in spoke]
            texts += [pod.reason for pod in pods if pod.reason]
            hopeless = [pod.reason for pod in pods if pod.hopeless]
        now = time.time()
        if not hopeless:
            self._vain.pop(subject.run_id, None)
        elif now - self._vain.setdefault(subject.run_id, now) >= self.limits.grace:
            self._give_up(subject, reason(*hopeless))
            return
        # Of a pipeline compiled elsewhere nobody knows whether a step that "runs" waits for its pod.
        begun = spoke or (
            self.batch.kind == SPEC and any(step.state != "PENDING" for step in steps_of(run, self.steps))
        )
        started = self.settings.started_at
        # Kubernetes starts nothing anew of a pod that was caught between its preparation and its step.
        if not begun and subject.submitted < started and now - started > min(BACK, self.limits.start):
            self._give_up(subject, "it has not begun, and its pod is from before a restart of the cluster")
        elif not begun and now - subject.submitted > self.limits.start:
            told = f": {reason(*texts)}" if texts else " and nothing says why (a missing image or claim, no room left)"
            self._give_up(subject, f"it has not begun after {self.limits.start:.0f} s{told}")

    def _give_up(self, subject: Subject, why: str) -> None:
        self.client.terminate(subject.run_id)
        self._end(subject, "FAILED", why)

    def _cancel(self) -> None:
        """Do as `neurobatch cancel` asks: submit nothing more, end what runs."""
        for subject in self.batch.subjects:
            if subject.state == WAITING:
                self._end(subject, "CANCELED", "canceled before it was submitted")
            elif subject.state == SUBMITTING:
                run = self.client.find_run(self.batch.experiment_id, self._display_name(subject))
                if run is None:
                    self._end(subject, "CANCELED", "canceled while it was submitted; nothing shows it")
                else:
                    subject.run_id, subject.state = run.run_id, run.state
            if subject.state in ACTIVE and subject.state != "CANCELING":
                self.client.terminate(subject.run_id)

    def _display_name(self, subject: Subject) -> str:
        return f"{self.batch.title(subject)} [{self.batch.key(subject)}]"

    def _end(self, subject: Subject, state: str, why: str) -> None:
        subject.state, subject.reason, subject.ended = state, why, time.time()
        self.batch.save()
        self.tell(self.batch, subject, "")


def why_ended(run: Run, said: Mapping[str, Any], steps: Sequence[str]) -> str:
    """Return why a run that did not succeed has ended.

    Args:
        run: as the API has it.
        said: what its step said of itself; empty where it never began.
        steps: the names of its steps.
    """
    where = f", in {said['cell']}" if said.get("cell") else ""
    if run.state == "CANCELED":
        return f"canceled{where}"
    if said.get("state") == "failed":
        return str(said.get("reason") or "its step gives no reason")
    failed = [step for step in steps_of(run, steps) if step.error]
    told = reason(*(step.error for step in failed), run.error)
    if failed and len(steps) > 1:
        told = f"{failed[0].name}: {told}"
    if said.get("state") in ("running", "ended"):
        return f"killed while it ran (a reboot, no memory left, or its pod was deleted){where}: {told[:120]}"
    return told


def refreshed(client: Client, batch: Batch) -> None:
    """Bring the states of runs under way up to date with one request, for a look at a batch that nobody drives now.

    Args:
        client: the pipeline API.
        batch: the batch; its journal is left as it is.
    """
    steps = jobs.steps(batch)
    waiting = {subject.run_id: subject for subject in batch.subjects if subject.state in ACTIVE}
    if not waiting:
        return
    for run in client.runs(batch.experiment_id, part=batch.uid, limit=len(batch.subjects) * 2 + 20):
        subject = waiting.get(run.run_id)
        if subject is None:
            continue
        said = jobs.said(batch, subject)
        subject.state = run.state
        if run.over:
            subject.ended = run.ended or time.time()
            subject.cell, subject.archive = str(said.get("cell") or ""), str(said.get("archive") or "")
            subject.reason = why_ended(run, said, steps) if run.state != "SUCCEEDED" else ""
