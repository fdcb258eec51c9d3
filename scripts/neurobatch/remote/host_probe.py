"""Read what a server is: machine, system, kernel, user, room, ports, engine. Changes nothing, leaves nothing behind.

Parameters: paths, where room is needed ("~" is the login user's home); ports_program, the text of `host_ports`, which
runs through `sudo -n` where that needs no password: without it a foreign port's owner has a user, but no name; cvmfs
and network, parameters of `cvmfs.servers` and `network.probe` in this package, left out where nobody is to be asked;
network only on a server that has no stack yet, unless it says `always`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from neurobatch.remote.common import TIMEOUT, Facts, text, unit_state
from neurobatch.remote.cvmfs import servers
from neurobatch.remote.host import engine, kernel, login, size, surroundings, system
from neurobatch.remote.network import probe
from neurobatch.remote.stack_record import stack_record

#: Changes when a fact changes its name or meaning; the reader refuses what it does not know.
SCHEMA = 2
#: What the role minikube records when it creates the cluster.
CLUSTER = "/etc/neurobatch/minikube-created.json"


def ports_and_containers(program: str, may_sudo: bool) -> Facts:
    """Return what `host_ports` prints, run as root where that is possible."""
    plain = [sys.executable, "-I", "-"]
    for argv in [["sudo", "-n", *plain], plain] if may_sudo and os.getuid() != 0 else [plain]:
        try:
            run = subprocess.run(argv, input=program, capture_output=True, text=True, timeout=2 * TIMEOUT, check=True)
            facts: Facts = json.loads(run.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        return facts
    return {"ports": None, "containers": None, "engine": None}


class Waiting:
    """Questions to the network, asked while the server itself is read. Without parameters nothing is asked."""

    def __init__(self, ask: Callable[[Facts], Facts], params: Facts | None) -> None:
        """Begin to ask."""
        self.found: Facts | None = None
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=(ask, params), daemon=True)
        self.thread.start()

    def _run(self, ask: Callable[[Facts], Facts], params: Facts | None) -> None:
        try:
            self.found = ask(params) if params else None
        except Exception as error:  # raised where the answers are wanted
            self.error = error

    def result(self) -> Facts | None:
        """Return the answers; whoever asks has a deadline of its own.

        Raises:
            Exception: what the asking ended with.
        """
        self.thread.join()
        if self.error:
            raise self.error
        return self.found


def main(params: Facts) -> None:
    """Print everything as one JSON object."""
    record, question = stack_record(), params.get("network")
    # A server that was installed has what it needs: a run that finds nothing to do asks nobody.
    due = record is None or bool(question and question["always"])
    network = Waiting(probe.answers, question if due else None)
    strata = Waiting(servers.answers, params.get("cvmfs") if due else None)
    user = login.user_facts()
    allowed = login.rights()
    docker = engine.docker(user)
    seen = ports_and_containers(params["ports_program"], allowed["passwordless"])
    facts = {
        "schema": SCHEMA,
        "arch": platform.machine(),
        "cpus": size.cpus(),
        "memory": size.memory(),
        "os": system.os_release(),
        "release": platform.release(),
        "kernel": kernel.facts(),
        **surroundings.facts(),
        "virtualisation": system.virtualisation(),
        "systemd": Path("/run/systemd/system").is_dir(),  # sd_booted(3)
        "python": platform.python_version(),
        "user": user,
        "rights": allowed,
        "disks": [size.disk(path, docker["data_root"] or "", user["home"]) for path in params["paths"]],
        "ports": seen["ports"],
        "docker": {**docker, "containers": seen["containers"], "engine": seen["engine"]},
        "nvidia": Path("/dev/nvidiactl").exists(),
        "service": unit_state("neurodesktop.service"),
        "cluster": json.loads(text(CLUSTER) or "null"),
        "cvmfs": strata.result(),
        "stack": record,
        "network": network.result(),
    }
    print(json.dumps(facts))
