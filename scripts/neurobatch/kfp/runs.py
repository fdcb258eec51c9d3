"""What the API says of a run and its steps, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: States in which a run or step stays (backend/api/v2beta1/run.proto, RuntimeState); the SDK's wait forgets CANCELED.
OVER = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
UNSPECIFIED = "RUNTIME_STATE_UNSPECIFIED"


@dataclass(frozen=True)
class Health:
    """The API's answer to "how are you": its version (a tag such as 2.0.0) and whether it keeps users apart."""

    version: str
    multi_user: bool


@dataclass(frozen=True)
class Task:
    """One entry of a run's task_details: a step, a driver of one, or the pipeline's own DAG.

    ``started`` and ``ended`` are Unix times, 0 where the API names none.
    """

    task_id: str
    name: str
    state: str
    error: str
    pods: tuple[str, ...]
    children: tuple[str, ...]
    started: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Run:
    """A run: its id, display name, state, error ("" without one), tasks, and when it began and ended (Unix times)."""

    run_id: str
    name: str
    state: str
    error: str
    tasks: tuple[Task, ...]
    created: float = 0.0
    ended: float = 0.0

    @property
    def over(self) -> bool:
        """Whether the run has come to its end, a good or a bad one."""
        return self.state in OVER


@dataclass(frozen=True)
class Step:
    """A step of the pipeline as a person counts them, put together from the tasks that carry its name."""

    name: str
    state: str
    error: str
    pods: tuple[str, ...]
    started: float = 0.0
    ended: float = 0.0


def run_of(answer: Mapping[str, Any]) -> Run:
    """Return the Run that a JSON object of the API describes; fields that are missing are empty."""
    tasks = (answer.get("run_details") or {}).get("task_details") or []
    return Run(
        run_id=str(answer.get("run_id", "")),
        name=str(answer.get("display_name", "")),
        state=str(answer.get("state") or UNSPECIFIED),
        error=_message(answer),
        tasks=tuple(_task(row) for row in tasks),
        created=_moment(answer.get("created_at")),
        ended=_moment(answer.get("finished_at")),
    )


def steps_of(run: Run, names: Iterable[str]) -> list[Step]:
    """Return the steps ``names`` of a run, in this order; one that has no task yet is PENDING.

    The back end of 2.0.0 lists, for a step NAME, a task NAME, a driver NAME-driver and, below the first, the pod
    ("executor"): an error may stand at any of them.
    """
    by_id = {task.task_id: task for task in run.tasks}
    steps = []
    for name in names:
        own = [task for task in run.tasks if task.name == name]
        related = own + [by_id[child] for task in own for child in task.children if child in by_id]
        related += [task for task in run.tasks if task.name == f"{name}-driver"]
        states = [task.state for task in own] or ["PENDING"]
        # An entry of a step whose driver failed may never come.
        if not own and any(task.state == "FAILED" for task in related):
            states = ["FAILED"]
        steps.append(
            Step(
                name=name,
                state="PENDING" if states[-1] == UNSPECIFIED else states[-1],
                error=next((task.error for task in related if task.error), ""),
                pods=tuple(dict.fromkeys(pod for task in related for pod in task.pods if pod)),
                started=min((task.started for task in related if task.started), default=0.0),
                ended=max((task.ended for task in own if task.ended), default=0.0),
            )
        )
    return steps


def _task(row: Mapping[str, Any]) -> Task:
    children = row.get("child_tasks") or []
    return Task(
        task_id=str(row.get("task_id", "")),
        name=str(row.get("display_name", "")),
        state=str(row.get("state") or UNSPECIFIED),
        error=_message(row),
        pods=tuple(str(part.get("pod_name", "")) for part in (row, *children)),
        children=tuple(str(child.get("task_id", "")) for child in children),
        started=_moment(row.get("start_time")) or _moment(row.get("create_time")),
        ended=_moment(row.get("end_time")),
    )


def _moment(text: Any) -> float:
    """Return a time of the API as Unix time; 0 for none, and for Go's zero time, which stands for "not yet"."""
    try:
        return max(0.0, datetime.fromisoformat(str(text)).timestamp())
    except (ValueError, OverflowError):
        return 0.0


def _message(row: Mapping[str, Any]) -> str:
    """Return the text of a google.rpc.Status field "error"; "" where there is none."""
    error = row.get("error") or {}
    if not isinstance(error, Mapping):
        return " ".join(str(error).split())
    parts = [part for part in error.get("details") or [] if isinstance(part, dict)]
    details = [str(part["message"]) for part in parts if part.get("message")]
    return " ".join((str(error.get("message") or "") or "; ".join(details)).split())
