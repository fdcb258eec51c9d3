"""Run the project's playbooks against the rehearsal's server, as an operator does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.rehearsal.common import Refusal
from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT

_RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """How a run ended: exit code, all it printed, and how long it took (seconds)."""

    code: int
    output: str
    seconds: float

    @property
    def text(self) -> str:
        """The output with every run of white space as one blank, so that wrapped sentences can be found."""
        return " ".join(self.output.split())

    def recap(self) -> dict[str, int]:
        """Return the numbers of the recap line of the only host (ok, changed, unreachable, failed, …).

        Raises:
            ValueError: there is not exactly one such line.
        """
        lines = _RECAP.findall(self.output)
        if len(lines) != 1:
            raise ValueError(f"{len(lines)} recap lines instead of one:\n{self.output[-2000:]}")
        return {key: int(value) for key, value in (pair.split("=") for pair in lines[0][1].split())}

    def recap_hosts(self) -> list[str]:
        """Return the hosts of the recap."""
        return [name for name, _ in _RECAP.findall(self.output)]


def command(instance: Instance, *arguments: str, playbook: str = "site.yml") -> list[str]:
    """Return the argv of a run."""
    return [
        f"{os.path.dirname(sys.executable)}/ansible-playbook",
        "-i",
        instance.state["inventory"],
        playbook,
        *arguments,
    ]


def environment() -> dict[str, str]:
    """Return the environment of an operator's shell: this one, without what a test runner set for Ansible."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}


def run(instance: Instance, *arguments: str, playbook: str = "site.yml", timeout: float = 900) -> Result:
    """Run a playbook to its end.

    Raises:
        Refusal: it is not done after ``timeout`` seconds.
    """
    started = time.monotonic()
    try:
        done = subprocess.run(
            command(instance, *arguments, playbook=playbook), cwd=CHECKOUT, env=environment(), timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Refusal(f"{playbook} is not done after {timeout:.0f} s: {str(error.output)[-2000:]}") from error
    return Result(done.returncode, done.stdout, time.monotonic() - started)
