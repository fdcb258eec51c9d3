"""Apply Kubeflow Pipelines and wait until its API answers, saying meanwhile how far it is.

In an order that lets nothing crash for want of another: custom resources established, credentials in place, database
and object store proven by use, then the rest (S0-41). What was changed by hand is brought back first.

Parameters: kubectl, kubeconfig, namespace, cluster_scoped and overlay (folders of kustomizations), replaced (images
that the overlay must have taken out), secrets_dir, kept (folder with data of an earlier installation), version, seconds
(deadline), directory (for records) and configuration (what to note there when all is well).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurobatch.remote.cluster import data, drift, judge, look, render, stores
from neurobatch.remote.common import Cluster, output

#: What an API server says while it still learns new kinds, or is briefly away.
PASSING = re.compile(
    r"no matches for kind|refused|EOF|timeout|timed out|etcdserver|try again|unavailable"
    r"|was unable to return a response|connection reset|TLS handshake",
    re.IGNORECASE,
)
#: Seconds that a store may refuse the right keys after its pod was made anew.
REFUSING = 90


class Application:
    """One run of this program: how to reach the cluster, and until when it has to be done."""

    def __init__(self, params: dict[str, Any]) -> None:
        """Start the clock."""
        self.cluster, self.namespace = Cluster(params), params["namespace"]
        self.seconds = params["seconds"]
        self.deadline = time.monotonic() + self.seconds
        self.told = self.seen = ""

    def apply(self, what: str, *options: str, stdin: str = "") -> list[str]:
        """Server-side apply, tried again while the API server still learns new kinds; return kubectl's names of all."""
        for attempt in range(7):
            argv = [*self.cluster.argv, "apply", "--server-side", "--force-conflicts", *options]
            run = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
            if run.returncode == 0:
                names = [line.split()[0] for line in run.stdout.splitlines()]
                print(f"== applied {what} ({len(names)} objects)", flush=True)
                return names
            if not PASSING.search(run.stderr):
                break
            time.sleep(2 * 2**attempt)
        sys.exit(f"REFUSED: {what} cannot be applied: {run.stderr.strip()[-600:]}")

    def apply_objects(self, what: str, items: list[dict[str, Any]]) -> None:
        """Apply objects from memory: credentials reach neither the disk nor a process list."""
        self.apply(what, "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def check(self, waiting: str) -> None:
        """Say what hinders, when it is something new, and give up after the deadline with all there is to say."""
        found = [judge.text(each) for each in look.findings(self.cluster, [self.namespace])]
        hindered = [each for each in found if "Give it time" not in each]
        first = hindered[0].splitlines()[0] if hindered else ""
        # Much passes by itself: what is still so at the next look is worth a line.
        if first and first == self.seen and first != self.told:
            self.told = first
            print(f"== {first}", flush=True)
        self.seen = first
        if time.monotonic() > self.deadline:
            reasons = "\n".join([*found[:4], "playbooks/diagnose.yml shows all of it."]) if found else waiting
            # What is indented belongs to the refusal.
            reasons = reasons.replace("\n", "\n  ")
            sys.exit(f"REFUSED: Kubeflow Pipelines is not ready after {self.seconds} s. {reasons}")

    def until(self, what: str, done: str, complaint: Callable[[], str], patience: float = float("inf")) -> None:
        """Wait until there is no complaint; one that is heard for longer than ``patience`` seconds is final."""
        began = time.monotonic()
        while said := complaint():
            if time.monotonic() - began > patience and re.search(r"HTTP 40[13]", said):
                sys.exit(f"REFUSED: {what} refuses its credentials: {said}")
            self.check(f"{what}: {said}")
            time.sleep(3)
        print(f"== {what} {done}", flush=True)

    def unready(self, *names: str) -> list[str] | None:
        """Return the Deployments that are not ready, of all or of those named; None where nobody answers."""
        answer = self.cluster.get("deployments", "-n", self.namespace)
        items = (answer or {}).get("items", [])
        there = {each["metadata"]["name"]: each for each in items}
        if not there:
            return None
        return sorted(name for name in names or there if name not in there or not judge.well(there[name]))

    def waits_for(self, *names: str) -> str:
        """Return what of these Deployments is not ready, in words; empty where all are."""
        missing = self.unready(*names)
        return "the cluster does not answer" if missing is None else ", ".join(missing)


def establish(run: Application, folder: str) -> None:
    """Apply the cluster-scoped resources and wait until their kinds are known, whatever else the cluster has."""
    applied = run.apply("the cluster-scoped resources", "-k", folder)
    names = [name for name in applied if name.startswith("customresourcedefinition.")]
    argv = [*run.cluster.argv, "wait", "--for=condition=established", "--timeout=60s", *names]
    if not names or output(*argv, seconds=90) is None:
        sys.exit("REFUSED: the custom resources are not established after 60 s; look at `kubectl get crds`.")


def repair(run: Application, objects: list[dict[str, Any]], noted: dict[str, str]) -> None:
    """Replace what was changed by hand as a whole: an application would leave in place what others added."""
    changed = drift.changed(drift.live(run.cluster, run.namespace), noted)
    wanted = {drift.key(item): item for item in objects if item["kind"] in {"Deployment", "ConfigMap"}}
    for name in changed:
        print(f"== {name} was changed by hand and is brought back", flush=True)
        if name in wanted:
            # One that is gone cannot be replaced, and is made by the application.
            run.cluster.run("replace", "--filename=-", stdin=json.dumps(wanted[name]))


def credentials(run: Application, directory: Path) -> dict[str, str]:
    """Bring the Secrets to what the files hold, and return their resource versions."""
    wanted = render.secrets(directory, run.namespace)
    there = drift.live(run.cluster, run.namespace) or {}
    # Written only where they differ: a version that changes makes pods anew.
    missing = [item for item in wanted if there.get(drift.key(item), {}).get("data") != item["data"]]
    if missing:
        run.apply_objects("the credentials", missing)
    found = run.cluster.get("secrets", "-n", run.namespace, *render.CREDENTIALS)
    if found is None:
        sys.exit("REFUSED: the cluster stopped answering; run this again when `kubectl get --raw /readyz` says ok.")
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found["items"]}


def wait(run: Application, version: str) -> None:
    """Return when every Deployment is ready and the API answers through the UI's service as the wanted release."""
    shown: list[str] | None = None
    while True:
        missing = run.unready()
        if missing is not None and missing != shown:
            shown = missing
            rest = f", waiting for {', '.join(missing)}" if missing else ""
            print(f"== {'all deployments are ready' if not missing else 'deployments start'}{rest}", flush=True)
        health = json.loads(output(*run.cluster.argv, "get", "--raw", render.health(run.namespace)) or "{}")
        found = str(health.get("apiServerTagName", ""))
        if missing == [] and health.get("apiServerReady"):
            if found.partition("+")[0] != version:
                sys.exit(f"REFUSED: the API answers as {found}, not as {version}; another release is installed here.")
            print(f"== the API answers as {found}", flush=True)
            return
        run.check("All deployments are ready, but the API does not answer through the service ml-pipeline-ui.")
        time.sleep(3)


def note(path: Path, content: str) -> None:
    """Write a record, root-only and in one step."""
    partial = path.with_name(f".{path.name}.new")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(content)
    os.replace(partial, path)


def main(params: dict[str, Any]) -> None:
    """Apply all of it, wait, and take note."""
    run = Application(params)
    secrets_dir, directory = Path(params["secrets_dir"]), Path(params["directory"])
    establish(run, params["cluster_scoped"])
    objects = render.overlay(run.cluster.argv, params["overlay"], params["replaced"])
    repair(run, objects, drift.recorded(str(directory / "objects.json")))
    data.adopt(Path(params["kept"]), run.cluster, run.namespace)
    used = render.digest(secrets_dir)
    versions = credentials(run, secrets_dir)
    early, late = render.staged([render.stamped(item, versions) for item in objects])
    run.apply_objects("services, configuration, database and object store", early)
    run.until("database and object store", "run", lambda: run.waits_for(*render.STORES))
    proven, where = "is proven by use", (run.cluster, run.namespace, secrets_dir)
    run.until("the database", proven, lambda: stores.database(*where))
    run.until("the object store", proven, lambda: stores.object_store(*where), REFUSING)
    run.apply_objects(f"Kubeflow Pipelines {params['version']}", late)
    wait(run, params["version"])
    there = drift.live(run.cluster, run.namespace) or {}
    ours = {drift.key(item) for item in [*objects, *render.secrets(secrets_dir, run.namespace)]}
    note(directory / "objects.json", json.dumps(drift.digests(there[name] for name in sorted(ours & there.keys()))))
    note(directory / "credentials", used)
    (secrets_dir / "mysql_password.previous").unlink(missing_ok=True)
    note(directory / "applied", params["configuration"])
