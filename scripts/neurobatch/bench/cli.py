"""What the command for batches costs, inside JupyterLab's container, beside Elyra's submission of the same notebook."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

from neurobatch.bench.sandbox import ROOT, figure, need_sandbox

PROGRAM = Path(__file__).with_name("inside.py")
#: As the notebook user, with the environment that a terminal in JupyterLab has.
COMMAND = "sudo -n docker exec -i --user jovyan neurodesktop bash -lc 'exec python3 - {times}'"


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit codes: 0, 1 it failed, 2 no sandbox.")
    parser.add_argument("--runs", type=int, default=9, help="how often each time is taken (default: %(default)s)")
    runs = parser.parse_args(argv).runs
    inventory = need_sandbox()
    ansible = Path(sys.executable).with_name("ansible-inventory")
    listed = subprocess.run([ansible, "-i", inventory, "--list"], capture_output=True, text=True, check=True, cwd=ROOT)
    (host,) = json.loads(listed.stdout)["_meta"]["hostvars"].values()
    ssh = ["ssh", *shlex.split(host.get("ansible_ssh_common_args", "")), "-o", "BatchMode=yes"]
    ssh += ["-i", str(host["ansible_ssh_private_key_file"]), f"{host['ansible_user']}@{host['ansible_host']}"]
    done = subprocess.run(
        [*ssh, COMMAND.format(times=runs)],
        input=PROGRAM.read_text(encoding="utf-8"),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        print(f"the bench inside Neurodesktop has failed:\n{done.stdout[-2000:]}", file=sys.stderr)
        return 1
    for name, value in json.loads(done.stdout.splitlines()[-1]).items():
        figure(name, value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
