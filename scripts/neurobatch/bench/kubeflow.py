"""What Kubeflow Pipelines costs: to install from nothing until it is ready, to find nothing to do, in API calls."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurobatch import remote
from neurobatch.bench.access import Server
from neurobatch.bench.noop import play
from neurobatch.bench.sandbox import ROOT, figure, need_sandbox

ROLE = "kubeflow_pipelines"
DIRECTORY = f"/var/lib/neurobatch/{ROLE}"
KUBECTL, KUBECONFIG = "/usr/local/bin/kubectl", "/etc/neurobatch/kubeconfig"
#: Runs a command as root, with a text as its input, for no longer than some seconds.
Run = Callable[[str, str, float], "subprocess.CompletedProcess[str]"]
#: Seconds that a run of the role with nothing to do may take, Ansible's own start included.
BOUND = 6.0
#: What goes with an installation: the namespace, and the volume of the lab's storage, which outlives its claim.
FORGET = (
    f"{KUBECTL} --kubeconfig={KUBECONFIG} delete namespace kubeflow --wait --timeout=300s && "
    f"{KUBECTL} --kubeconfig={KUBECONFIG} delete pv neurodesktop-storage --ignore-not-found --wait --timeout=60s"
)


def counting(kubectl: str) -> str:
    """Return a script in place of kubectl that notes each of its requests beside itself, and is else as quiet."""
    return f"""\
#!/bin/sh
# A forward is ended by its process, and is left alone: its three requests are not counted.
case " $* " in *" port-forward "*) exec {kubectl} "$@" ;; esac
said=$(mktemp)
{kubectl} -v=6 "$@" 2> "$said"
code=$?
grep -E 'round_trippers' "$said" >> "$0.calls"
grep -vE '^[IW][0-9]{{4}} ' "$said" >&2
rm -f "$said"
exit $code
"""


class Pipelines:
    """Kubeflow Pipelines on the sandbox."""

    def __init__(self, run: Run, kubectl: str = KUBECTL) -> None:
        """Remember how to run a command as root, and where kubectl is."""
        self.run, self.kubectl = run, kubectl

    def root(self, script: str, seconds: float = 900) -> str:
        """Return what a shell script prints, run as root.

        Raises:
            RuntimeError: it failed.
        """
        run = self.run("/bin/sh -s", script, seconds)
        if run.returncode:
            raise RuntimeError((run.stderr or run.stdout).strip()[-2000:])
        return run.stdout.strip()

    def apply(self) -> float:
        """Install from nothing, with the role's own program, and return the seconds until the API answers."""
        self.root(f"{FORGET}; rm -f {DIRECTORY}/applied {DIRECTORY}/objects.json {DIRECTORY}/credentials")
        clock = "cut -d' ' -f1 /proc/uptime"
        said = self.root(f"{clock}; {DIRECTORY}/apply >&2 || exit 1; {clock}", 2400).split()
        return float(said[-1]) - float(said[0])

    def calls(self, program: str) -> int:
        """Return how many requests kubectl sends while one of the role's programs runs."""
        script = (
            "set -e; folder=$(mktemp -d); trap 'rm -rf \"$folder\"' EXIT; cat > $folder/kubectl <<'END'\n"
            f"{counting(self.kubectl)}END\nchmod +x $folder/kubectl; : > $folder/kubectl.calls\n"
            "cat > $folder/program <<'END'\n"
            f'{program}\nEND\nsed -i "s|{self.kubectl}|$folder/kubectl|" $folder/program\n'
            "/usr/bin/python3 $folder/program >&2; wc -l < $folder/kubectl.calls"
        )
        return int(self.root(script))

    def probe(self) -> str:
        """Return the program that a run with nothing to do consists of, as the role runs it."""
        secrets = "/etc/neurobatch/secrets/kubeflow_pipelines"
        params: dict[str, Any] = {
            "kubectl": KUBECTL, "kubeconfig": KUBECONFIG, "namespace": "kubeflow", "files": [],
            "record": f"/var/lib/neurobatch/downloads/{ROLE}.json", "manifests": f"{DIRECTORY}/manifests",
            "secrets_dir": secrets, "secrets": self.root(f"ls {secrets}").split(), "directory": DIRECTORY,
            "configuration": self.root(f"cat {DIRECTORY}/applied"),
        }  # fmt: skip
        return remote.program("kubeflow_probe", params)


def restore() -> None:
    """Bring back what went with the namespace: claims, Elyra's Secret, the proof.

    Raises:
        RuntimeError: site.yml failed.
    """
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [str(playbook), "-i", str(need_sandbox()), "site.yml"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"site.yml failed:\n{run.stdout[-3000:]}")


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Installing from nothing removes the sandbox's runs and artifacts. Exit codes: 0, 1 a failure, or a run "
        f"with nothing to do that took more than {BOUND:g} s, 2 no sandbox.",
    )
    parser.add_argument("--runs", type=int, default=5, help="how often the no-op is taken (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave what is installed: no apply_to_ready_s")
    options = parser.parse_args(argv)
    pipelines = Pipelines(Server(need_sandbox()).run)
    try:
        if not options.keep:
            figure("apply_to_ready_s", pipelines.apply())
            restore()
        play("--tags", ROLE)  # opens the SSH connection that the others share
        noop = statistics.median(play("--tags", ROLE)[0] for _ in range(options.runs))
        figure("noop_s", noop)
        figure("api_calls", pipelines.calls(pipelines.probe()))
        figure("apply_api_calls", pipelines.calls(pipelines.root(f"cat {DIRECTORY}/apply")))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if noop < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
