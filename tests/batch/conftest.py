"""A server of its own with the whole workstation on it, and a scientist who works there.

``NEUROBATCH_BATCH_INSTANCE=demo`` takes the server that `make demo` left; it is not brought down then.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rehearsal import server
from tests.rehearsal.instance import Instance
from tests.server import playbook

OWN = "batch"
STUDY = "/neurodesktop-storage/study"
PARAMETERS = "subject = 'none'\nseconds = 0"
CELLS = (
    PARAMETERS,
    # What steps need of their installation: the lab's data, the tools, a working folder of their own.
    "import os, pathlib, time\n"
    "data = pathlib.Path('/neurodesktop-storage/study/data', f'{subject}.txt').read_text().strip()\n"
    "tools = os.listdir('/cvmfs/neurodesk.ardc.edu.au/neurodesk-modules')\n"
    "print(subject, 'has', data, 'and', len(tools), 'categories of tools')",
    "deadline = time.monotonic() + seconds\n"
    "while time.monotonic() < deadline:\n"
    "    print('working', flush=True)\n"
    "    time.sleep(1)",
    "value = int(data)\n"
    "pathlib.Path('result.txt').write_text(f'{subject} {value * 2}')",
)  # fmt: skip


class Scientist:
    """Somebody with an account on the server, who has no other rights than a terminal gives."""

    def __init__(self, instance: Instance) -> None:
        """Know the server."""
        self.instance = instance

    def shell(self, command: str, *, check: bool = True, timeout: float = 300, stdin: str = "") -> Any:
        """Run a shell command on the server and return the finished process."""
        argv = server.ssh_command(self.instance.names.state_dir, self.instance.state["server_ip"])
        done = subprocess.run(
            [*argv, command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a shell command on the server."""
        argv = server.ssh_command(self.instance.names.state_dir, self.instance.state["server_ip"])
        return subprocess.Popen(
            [*argv, command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def neurobatch(self, *argv: str, timeout: float = 300) -> tuple[int, str, str]:
        """Run the command in the study's folder; return exit code, output and errors."""
        done = self.shell(f"cd ~{STUDY} && neurobatch {shlex.join(argv)}", check=False, timeout=timeout)
        return done.returncode, done.stdout, done.stderr

    def inside(self, *argv: str, timeout: float = 300) -> tuple[int, str, str]:
        """Run the command inside Neurodesktop as the notebook user does, in the study's folder."""
        words = shlex.join(
            ["docker", "exec", "--user=jovyan", f"--workdir={STUDY}", "neurodesktop", "neurobatch", *argv]
        )
        done = self.shell(f"sudo -n {words}", check=False, timeout=timeout)
        return done.returncode, done.stdout, done.stderr

    def status(self, run: str) -> dict[str, Any]:
        """Return what `neurobatch status --json` prints."""
        loaded: dict[str, Any] = json.loads(self.neurobatch("status", run, "--json")[1])
        return loaded

    def write(self, name: str, text: str) -> None:
        """Write a file in the study's folder."""
        path = f"~{STUDY}/{shlex.quote(name)}"
        self.shell(f"mkdir -p $(dirname {path}) && cat > {path}", stdin=text)

    def read(self, name: str) -> str:
        """Return a file of the study's folder."""
        return str(self.shell(f"cat ~{STUDY}/{shlex.quote(name)}").stdout)

    def files(self, folder: str) -> dict[str, str]:
        """Return the files below a folder of the study and what tells one state of them from another."""
        listed = self.shell(f"cd ~{STUDY}/{shlex.quote(folder)} && find . -type f -printf '%p\\t%i %s %T@\\n'").stdout
        return dict(line.split("\t") for line in listed.splitlines())


def notebook() -> str:
    """Return the study's notebook."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for n, source in enumerate(CELLS)
    ]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    """Yield a provisioned server."""
    name = os.environ.get("NEUROBATCH_BATCH_INSTANCE", OWN)
    made = Instance(name)
    made.up()
    try:
        done = playbook.run(made, timeout=2400)
        assert done.code == 0, done.output[-3000:]
        yield made
    finally:
        if name == OWN:
            made.down()


@pytest.fixture(scope="session")
def scientist(instance: Instance) -> Scientist:
    """Return a scientist with a study of twelve subjects, two of them without usable data."""
    person = Scientist(instance)
    person.shell("rm -rf ~/neurodesktop-storage/study ~/neurodesktop-storage/.neurobatch")
    person.write("double.ipynb", notebook())
    names = [f"sub-{number:02}" for number in range(1, 13)]
    person.write("participants.tsv", "subject\tage\n" + "".join(f"{name}\t30\n" for name in names))
    for number, name in enumerate(names):
        person.write(f"data/{name}.txt", "spoilt" if name in ("sub-03", "sub-08") else str(number))
    return person
