"""Which incarnation of each service and container runs, to prove that nothing was restarted."""

from __future__ import annotations

from tests.rehearsal.instance import Instance
from tests.server.remote import call


def read_incarnations() -> dict[str, str]:
    """Return every running service's invocation and main process, and every container's start. Runs on the server.

    Sessions (user@1000.service) come and go with logins and are left out.
    """
    import subprocess

    def output(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    listed = output(
        "systemctl", "list-units", "--type=service", "--state=running", "--plain", "--no-legend"
    ).splitlines()
    names = [line.split()[0] for line in listed if not line.startswith("user@")]
    found = {
        name: " ".join(output("systemctl", "show", name, "--property=InvocationID,MainPID", "--value").split())
        for name in names
    }
    for container in output("docker", "ps", "-aq", "--no-trunc").split():
        found[container] = output(
            "docker", "inspect", "--format", "{{.Name}} {{.State.StartedAt}} {{.State.Pid}}", container
        )
    return found


def take(instance: Instance) -> dict[str, str]:
    """Return service or container to what changes with every start."""
    found: dict[str, str] = call(instance, read_incarnations)
    return found
