"""`run --local`: the step of a notebook as a container of this machine's Docker, in place of one in the cluster.

Speaks like the client of the pipeline API (neurobatch.kfp.client), so that a batch is driven, resumed and canceled in
the same way. A container is named after the key of its attempt: it is found again by that, and never started twice. It
is removed when somebody looks who keeps what it tells: a driver, which notes it in the journal, or anybody where the
step's own last word, in the storage, says the same. Docker removes none by itself: without --wait, and with nobody who
looks, containers stay behind, and with them how those ended that were killed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neurobatch.batch import jobs
from neurobatch.batch.journal import Batch
from neurobatch.batch.refusal import RefusalError
from neurobatch.batch.settings import Settings
from neurobatch.kfp.client import KfpError, UnreachableError
from neurobatch.kfp.runs import Run

PREFIX = "neurobatch-"
LABEL = "neurobatch.batch"
SECONDS = 60.0
"""For one call of the Docker client."""
STOP_SECONDS = 10
"""Between asking a container to end and killing it."""
TOOLS = Path("/cvmfs/neurodesk.ardc.edu.au")


class LocalClient:
    """Runs of one batch as containers."""

    def __init__(self, settings: Settings, batch: Batch) -> None:
        """Remember what containers are given."""
        self.settings, self.batch = settings, batch
        self.endpoint = "Docker"
        self._canceled: set[str] = set()

    def ensure_experiment(self, name: str) -> str:
        """Return a name that stands for all of them; Docker has no experiments."""
        return "local"

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
        """Start the container of an attempt, unless it is there, and return it as a run.

        Raises:
            KfpError: Docker refuses it; nothing is left of it then.
        """
        container = PREFIX + key
        known = None if fresh else self._seen(container)
        if known:
            return known
        (executor,) = pipeline_spec["deploymentSpec"]["executors"].values()
        step, request = executor["container"], self.batch.request
        program, *words = step["command"]
        argv = ["run", "--detach", f"--name={container}", f"--label={LABEL}={self.batch.uid}"]
        argv += [f"--volume={self.settings.storage.resolve()}:{self.settings.mount}"]
        argv += [f"--volume={TOOLS}:{TOOLS}:ro"] if TOOLS.is_dir() else []
        # Who asked for it can write there; what root writes is given to the folder's owner by the step itself.
        argv += [f"--user={os.getuid()}:{os.getgid()}"]
        argv += [f"--cpus={request['cpu']:g}"] if request.get("cpu") else []
        argv += [f"--memory={request['memory']}"] if request.get("memory") else []
        argv += [f"--gpus={request['gpu']}"] if request.get("gpu") else []
        argv += [f"--entrypoint={program}", step["image"], *words, str((parameters or {})["job"]), "/tmp/results", ""]  # noqa: S108 - in the container
        try:
            _docker(*argv)
        except UnreachableError:
            raise
        except KfpError:
            # A container that could not start stays behind.
            _docker("container", "rm", "--force", container)
            raise
        return Run(container, f"{name} [{key}]", "RUNNING", "", ())

    def find_run(self, experiment_id: str, display_name: str) -> Run | None:
        """Return the run of this display name, None where there is none."""
        return self._seen(PREFIX + display_name.rpartition("[")[2].rstrip("]"))

    def runs(self, experiment_id: str, *, display_name: str = "", part: str = "", limit: int = 100) -> list[Run]:
        """Return the runs of this display name, or all of the batch.

        Of all, the containers are removed whose steps tell the same (see `_told`).
        """
        if display_name:
            found = self.find_run(experiment_id, display_name)
            return [found] if found else []
        seen = [self._seen(subject.run_id) for subject in self.batch.subjects if subject.run_id]
        runs = [run for run in seen if run][:limit]
        for run in runs:
            if run.over and self._told(run):
                _remove(run.run_id)
        return runs

    def run(self, run_id: str) -> Run:
        """Return one run; of one that is over the container is removed.

        Raises:
            KfpError: there is neither a container nor a word of its step.
        """
        run = self._seen(run_id)
        if run is None:
            raise KfpError(f"There is no container {run_id} any more.", status=404)
        if run.over:
            _remove(run_id)
        return run

    def terminate(self, run_id: str) -> None:
        """End a run; one that is over already stays as it is."""
        self._canceled.add(run_id)
        try:
            _docker("container", "stop", f"--time={STOP_SECONDS}", run_id)
        except UnreachableError:
            raise
        except KfpError:
            if self._seen(run_id) is None:
                raise

    def _seen(self, container: str) -> Run | None:
        """Return a container as a run; where it is gone, what its step said last; None where there is neither."""
        try:
            (found,) = json.loads(_docker("container", "inspect", container))
        except UnreachableError:
            raise
        except KfpError:
            return self._remembered(container)
        state, code = found["State"]["Status"], found["State"]["ExitCode"]
        if state not in ("exited", "dead"):
            return Run(container, container, "RUNNING", "", ())
        if container in self._canceled:
            return Run(container, container, "CANCELED", "", ())
        error = "it took more memory than it was given" if found["State"].get("OOMKilled") else f"exit code {code}"
        return Run(container, container, "FAILED" if code else "SUCCEEDED", error if code else "", ())

    def _told(self, run: Run) -> bool:
        """Return whether a run's step has said its last word, and it is how its container ended."""
        for subject in self.batch.subjects:
            if PREFIX + self.batch.key(subject) == run.run_id:
                return jobs.said(self.batch, subject).get("state") == run.state.lower()
        return False

    def _remembered(self, container: str) -> Run | None:
        for subject in self.batch.subjects:
            if PREFIX + self.batch.key(subject) == container:
                state = jobs.said(self.batch, subject).get("state", "running")
                if state != "running":
                    return Run(container, container, "SUCCEEDED" if state == "succeeded" else "FAILED", "", ())
        return None


def _remove(container: str) -> None:
    """Remove a container that is over; Docker refuses where somebody else is at it, as two may look at once.

    Raises:
        UnreachableError: nothing answers.
    """
    try:
        _docker("container", "rm", "--force", container)
    except UnreachableError:
        raise
    except KfpError:
        pass


def check(batch_image: str, mounts: Mapping[str, str]) -> None:
    """Look before anything is made whether this machine's Docker can run a step.

    Raises:
        RefusalError: there is no Docker, it does not answer this user, it lacks the image, or claims are asked for.
    """
    if mounts:
        raise RefusalError(f"--mount {next(iter(mounts))}: claims are the cluster's; --local mounts the storage alone.")
    if shutil.which("docker") is None:
        raise RefusalError("--local needs Docker, and there is none here; it is on the server, outside JupyterLab.")
    try:
        _docker("version", "--format={{.Server.Version}}")
        _docker("image", "inspect", "--format={{.Id}}", batch_image)
    except UnreachableError as error:
        raise RefusalError(f"--local: {error} Whoever is in the group docker may ask it.") from error
    except KfpError as error:
        raise RefusalError(
            f"--local: Docker has no image {batch_image} here: docker pull {batch_image}, or --image names another one."
        ) from error


def here(settings: Settings) -> Settings:
    """Return the settings with this machine's size in place of the cluster's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return replace(settings, cpus=float(os.cpu_count() or 1), memory_mib=memory // 2**20)


def _docker(*argv: str) -> str:
    """Run the Docker client and return what it printed.

    Raises:
        UnreachableError: nothing answers it.
        KfpError: it refuses.
    """
    try:
        done = subprocess.run(
            ["docker", *argv], capture_output=True, text=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"Docker does not answer: nothing within {SECONDS:.0f} s.") from None
    except OSError as error:
        raise UnreachableError(f"Docker does not answer: {error.strerror}.") from error
    if done.returncode == 0:
        return done.stdout
    said = " ".join((done.stderr or done.stdout).split()).removeprefix("docker: ")[:300].rstrip(".")
    # Its client says so whatever keeps it from the daemon: none is there, or the socket is not this user's.
    if re.search(r"connect to the docker daemon|permission denied while trying", said, re.IGNORECASE):
        raise UnreachableError(f"Docker does not answer: {said}.")
    raise KfpError(f"Docker refuses: {said or f'exit code {done.returncode}'}.", status=400)
