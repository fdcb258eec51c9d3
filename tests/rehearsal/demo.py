"""`make demo`: a server is booted, provisioned over SSH with site.yml, and proven by a notebook and a pipeline."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from neurobatch import jupyter

from tests.rehearsal import server
from tests.rehearsal.common import Refusal, say
from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.rehearsal.stackfiles import known_stacks
from tests.rehearsal.tunnel import tunnel

CELLS = (
    "import os, platform\n"
    "print('Hello from', platform.node(), 'as', os.environ['USER'], 'on Python', platform.python_version())",
    "from importlib.metadata import version\n{name: version(name) for name in ('elyra', 'jupyterlab', 'kfp')}",
    "from pathlib import Path\n"
    "proof = Path('/neurodesktop-storage/hello.txt')\n"
    "proof.write_text('written by a notebook')\n"
    "proof.read_text(), proof.stat().st_uid == os.getuid()",
)

FAREWELL = """
Rehearsed with the stack {stack}. Real: the server, SSH, systemd, Docker, JupyterLab, Elyra,
Kubernetes and its containers, the database, the object store. Stand-ins, all from the mirror on this machine:
Neurodesktop's base image and repository, Minikube, the packages of kubectl and helm, Kubeflow's images, CVMFS
(what differs: tests/rehearsal/README.md).

JupyterLab:          {link}
Kubeflow Pipelines:  http://127.0.0.1:31380
both after:          ssh -N -L 8888:127.0.0.1:8888 -L 31380:127.0.0.1:31380 -i {key} \\
                       -o UserKnownHostsFile={known_hosts} {user}@{ip}
Done in {seconds:.0f} s. Next: open the tunnel and the link; `make demo-ssh` logs in, `make demo-down` ends it.
For a real server: cp -r inventories/example inventories/mylab, edit it, ansible-playbook -i inventories/mylab site.yml

The smoke pipeline on the server, as it ran; once more: make demo-ssh, sudo neurobatch-smoke
{smoke}\
"""


def last_smoke(instance: Instance) -> str:
    """Return what the smoke pipeline that the playbook ran has said, its verdict last."""
    return instance.ssh("sudo cat /var/log/neurobatch/smoke-pipeline.log").stdout.strip()


def token(instance: Instance) -> str:
    """Return JupyterLab's token, read on the server as its administrator does."""
    return instance.ssh("sudo cat /etc/neurobatch/secrets/neurodesktop/jupyter_token").stdout


def run_notebook(instance: Instance, port: int = 8888) -> str:
    """Execute a notebook with JupyterLab's own kernel, over its HTTP API, and return it as text."""
    with tunnel(instance, port) as url:
        executed = jupyter.run(url, token(instance), "neurobatch-demo.ipynb", jupyter.notebook(*CELLS))
    return jupyter.as_text(executed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0, or the code of what failed first."""
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsal.demo", description=__doc__)
    parser.add_argument(
        "--stack",
        default=os.environ.get("STACK", ""),
        metavar="NAME",
        help=f"{' or '.join(known_stacks())} (default: $STACK, else the first, or what runs)",
    )
    args = parser.parse_args(argv)
    started = time.monotonic()
    try:
        instance = Instance("demo", stack=args.stack)
        state = instance.up()
        say("provisioning the server over SSH: ansible-playbook -i inventories/sandbox site.yml")
        playbook = Path(sys.executable).with_name("ansible-playbook")
        code = subprocess.run([playbook, "-i", "inventories/sandbox", "site.yml"], cwd=CHECKOUT, check=False).returncode
        if code:
            say("the server stays as it is, to look at (make demo-ssh) or to run again (make demo)")
            return code
        say("running a notebook on the server through JupyterLab's API")
        print(run_notebook(instance), flush=True)
        secret = token(instance)
        smoke = last_smoke(instance)
    except (Refusal, jupyter.JupyterError) as refusal:
        print(f"make demo: {refusal}", file=sys.stderr)
        return 1
    print(
        FAREWELL.format(
            stack=state["stack"],
            link=f"http://127.0.0.1:8888/lab?token={secret}",
            key=os.path.relpath(state["private_key"], CHECKOUT),
            known_hosts=os.path.relpath(state["known_hosts"], CHECKOUT),
            user=server.USER,
            ip=state["server_ip"],
            seconds=time.monotonic() - started,
            smoke=smoke,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
