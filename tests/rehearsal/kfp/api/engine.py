"""Runs a pipeline's steps in their order and watches their pods, from what the store knows and nothing else.

In KFP the API server writes an Argo Workflow and Argo's controller makes the pods; only that controller may.
The same here: a run is a Workflow object whose ``spec.pods`` grows as steps become ready, and the stand-in of the
controller (argo/controller.py) makes those pods. So a run does not start without the controller.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

from tests.rehearsal.kfp.api import dag, spec
from tests.rehearsal.kfp.api.errors import StepError
from tests.rehearsal.kfp.api.spec import Json
from tests.rehearsal.kfp.api.store import MySql
from tests.rehearsal.kfp.argo import pods
from tests.rehearsal.kfp.programs.kube import Kube, KubeError
from tests.rehearsal.kfp.programs.log import log

WORKFLOWS = "argoproj.io/v1alpha1/workflows"
FINAL = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
LOG_LINES = 10


def now() -> str:
    """Return the time as KFP writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Engine:
    """Moves every unfinished run on, again and again."""

    def __init__(self, store: MySql, cluster: Kube, version: str, image: str, pull_seconds: float) -> None:
        """Remember what to work with.

        Args:
            store: where runs are.
            cluster: the namespace that pods are in.
            version: 2.0.0 or 2.5.0.
            image: the launcher's image.
            pull_seconds: how long an image may fail to be pulled until its step is given up.
        """
        self.store, self.cluster, self.version = store, cluster, version
        self.image, self.pull_seconds = image, pull_seconds
        self.lock = threading.RLock()

    def forever(self) -> None:
        """Work until the process ends; what goes wrong is said and tried again."""
        while True:
            try:
                for run in self.store.all("run"):
                    if run["state"] not in FINAL:
                        with self.lock:
                            self.advance(run["run_id"])
            except Exception as error:  # the database or the cluster may be away for a while
                log(f"watching runs: {type(error).__name__}: {error}")
            time.sleep(1)

    def advance(self, run_id: str) -> None:
        """Look at a run's pods, start what is ready, and write down what changed."""
        run = self.store.get("run", run_id)
        if run is None or run["state"] in FINAL:
            return
        before = json.dumps(run)
        parsed = spec.parse(run["document"], self.version)
        if run["state"] != "CANCELING":
            for name, task in run["tasks"].items():
                if task["state"] in ("PENDING", "RUNNING") and task.get("pod"):
                    self._look(run, name, task)
            self._start_ready(parsed, run)
        self._conclude(run)
        if json.dumps(run) != before:
            self.store.put("run", run_id, run)

    def _start_ready(self, parsed: spec.Spec, run: Json) -> None:
        """Write the pods of tasks whose dependencies have succeeded into the run's Workflow."""
        if any(task["state"] == "FAILED" for task in run["tasks"].values()):
            return
        for name, task in run["tasks"].items():
            needs = spec.dependencies(parsed, name)
            if (
                task["state"] != "PENDING"
                or task.get("pod")
                or any(run["tasks"][n]["state"] != "SUCCEEDED" for n in needs)
            ):
                continue
            try:
                label = parsed.executor_label(name)
                config = spec.kubernetes_config(parsed.kubernetes.get(label, {}), self.version)
                step = dag.resolve(parsed, run, name)
                pod = pods.manifest(run, name, step, parsed.executors[label], config=config, image=self.image)
            except StepError as error:
                self._end(task, "FAILED", f"driver of task {name}: {error}")
                return
            task.update(
                pod=pod["metadata"]["name"], artifacts=step.executor_input["outputs"]["artifacts"], start_time=now()
            )
            self._submit(run, pod)

    def _submit(self, run: Json, pod: Json) -> None:
        """Add a pod to the run's Workflow, making the Workflow with the first one."""
        run["workflow"] = pods.pod_name(run["pipeline"], run["run_id"], "")
        run["pods"] = [*run.get("pods", []), pod]
        workflow = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": run["workflow"], "labels": {"pipeline/runid": run["run_id"], "rehearsal": "kfp"}},
            "spec": {"serviceAccountName": run["service_account"], "pods": run["pods"]},
        }
        try:
            self.cluster.create(WORKFLOWS, workflow)
        except KubeError as error:
            if error.status != 409:
                raise
            self.cluster.patch(WORKFLOWS, run["workflow"], {"spec": workflow["spec"]})

    def _look(self, run: Json, name: str, task: Json) -> None:
        """Bring a task's state up to its pod's."""
        try:
            found = pods.judge(self.cluster.get("pods", task["pod"]))
            task["seen"] = True
        except KubeError as error:
            if error.status != 404:
                raise
            if task.get("seen"):
                self._end(task, "FAILED", f"the pod {task['pod']} is gone")
            else:
                task["error"] = "waiting for the workflow controller to make the pod"
            return
        if not found.pulling:
            task.pop("pull_failing_since", None)
        elif time.time() - task.setdefault("pull_failing_since", time.time()) > self.pull_seconds:
            self.cluster.delete("pods", task["pod"])
            self._end(task, "FAILED", f"{found.reason}; given up after {self.pull_seconds:.0f} s")
            return
        if found.state == "SUCCEEDED":
            artifacts = {key: each["artifacts"][0] for key, each in task.pop("artifacts", {}).items()}
            run["outputs"][name] = {"parameters": json.loads(found.message or "{}"), "artifacts": artifacts}
            self._end(task, "SUCCEEDED", "")
        elif found.state == "FAILED":
            said = f"\n{self._log(task['pod'])}" if found.wants_log else ""
            self._end(task, "FAILED", (found.reason + said).rstrip())
        elif (task["state"], task["error"]) != (found.state, found.reason):
            task.update(state=found.state, error=found.reason)

    def _log(self, pod: str) -> str:
        """Return the end of the step's log, or why there is none."""
        try:
            return "its log ends with:\n" + self.cluster.log(pod, "main", LOG_LINES).strip()
        except KubeError as error:
            return f"its log cannot be read: {error}"

    @staticmethod
    def _end(task: Json, state: str, error: str) -> None:
        task.update(state=state, error=error, end_time=now())

    def _conclude(self, run: Json) -> None:
        """Set the run's state from its tasks'."""
        tasks = run["tasks"]
        states = {task["state"] for task in tasks.values()}
        if run["state"] == "CANCELING":
            for task in tasks.values():
                if task["state"] in ("PENDING", "RUNNING"):
                    self._end(task, "CANCELED", "")
            set_state(run, "CANCELED")
        elif states == {"SUCCEEDED"}:
            set_state(run, "SUCCEEDED")
        elif "FAILED" in states:
            # As Argo's DAG does by default: what runs may end, nothing new starts.
            if any(task["state"] in ("PENDING", "RUNNING") and task.get("pod") for task in tasks.values()):
                return
            for task in tasks.values():
                if task["state"] == "PENDING":
                    task["state"] = "SKIPPED"
            failed = {name: task["error"] for name, task in tasks.items() if task["state"] == "FAILED"}
            run["error"] = "; ".join(f"task {name} failed: {error}" for name, error in failed.items())
            set_state(run, "FAILED")
        elif run["state"] == "PENDING" and states & {"RUNNING", "SUCCEEDED"}:
            set_state(run, "RUNNING")

    def terminate(self, run_id: str) -> None:
        """End a run: its pods are deleted, its unfinished tasks canceled."""
        with self.lock:
            run = self.store.get("run", run_id)
            if run is None or run["state"] in FINAL:
                return
            set_state(run, "CANCELING")
            self.store.put("run", run_id, run)
            self.remove_workflow(run)
            for task in run["tasks"].values():
                if task.get("pod") and task["state"] in ("PENDING", "RUNNING"):
                    self.cluster.delete("pods", task["pod"])

    def remove_workflow(self, run: Json) -> None:
        """Delete a run's Workflow; Kubernetes then collects what is left of its pods."""
        if run.get("workflow"):
            self.cluster.delete(WORKFLOWS, run["workflow"])


def set_state(run: Json, state: str) -> None:
    """Write down a run's new state, and when it came."""
    run["state"] = state
    run["state_history"].append({"update_time": now(), "state": state})
    if state in FINAL:
        run["finished_at"] = now()
