"""Which incarnation of each service, container, pod and Job runs, to prove that nothing was restarted."""

from __future__ import annotations

from tests.rehearsal.instance import Instance
from tests.server.remote import call


def read_incarnations() -> dict[str, str]:
    """Return what changes with every start of a service, container, pod or Job. Runs on the server, as root.

    Sessions (user@1000.service) come and go with logins and are left out.
    """
    import json
    import os
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
    kubeconfig = "/etc/neurobatch/kubeconfig"
    if os.path.exists(kubeconfig):
        kinds = "pods,jobs,workflows.argoproj.io,persistentvolumeclaims"
        answer = output("kubectl", f"--kubeconfig={kubeconfig}", "get", kinds, "--all-namespaces", "--output=json")
        for item in json.loads(answer)["items"]:
            meta = item["metadata"]
            containers = item.get("status", {}).get("containerStatuses") or []
            restarts = [each["restartCount"] for each in containers]
            # A Job of a schedule is no sign of us; nothing here makes any.
            found[f"{item['kind']} {meta['namespace']}/{meta['name']}"] = f"{meta['uid']} {restarts}"
    return found


def take(instance: Instance) -> dict[str, str]:
    """Return service, container, pod or Job to what changes with every start."""
    found: dict[str, str] = call(instance, read_incarnations)
    return found
