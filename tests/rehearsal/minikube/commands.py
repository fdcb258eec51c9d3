"""The other commands: what the profile is like, and its end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import VERSION, home, kubeconfig, node, start
from .cluster import Cluster
from .flags import Call, refuse
from .outcome import FAILURE, GUEST_ERROR, GUEST_NOT_FOUND, GUEST_NOT_RUNNING, Exit, Failure, Say

STATES = {"running": "Running", "exited": "Stopped", "created": "Stopped", "paused": "Paused"}
"""Docker's words for a container's state, and Minikube's (pkg/drivers/kic/oci/oci.go, ContainerStatus)."""

UNITS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "containerd",
    "cluster-dns", "node-agent",
)  # fmt: skip


def version(call: Call) -> None:
    """Print our version."""
    if call.text("output") == "json":
        print(json.dumps({"commit": "rehearsal", "minikubeVersion": VERSION}))
    elif call.on("short"):
        print(VERSION)
    else:
        print(f"minikube version: {VERSION}\ncommit: rehearsal (a stand-in, not Minikube)")


def _profile(name: str, say: Say) -> dict[str, Any]:
    """Return a profile's record.

    Raises:
        Exit: there is none (code 85).
    """
    found = home.load(name)
    if found is None:
        say.info("🤷", f'Profile "{name}" not found. Run "minikube profile list" to view all profiles.')
        say.info("👉", f'To start a cluster, run: "minikube start{"" if name == "minikube" else f" -p {name}"}"')
        raise Exit(GUEST_NOT_FOUND)
    return found


def _running(name: str, say: Say) -> dict[str, Any]:
    """Return the record of a profile whose node runs.

    Raises:
        Exit: it does not run (83) or does not exist (85).
    """
    profile = _profile(name, say)
    node.check_docker()
    state = node.state(name)
    if state != "running":
        if state == "absent":
            say.info("🤷", f"The control-plane node {name} host does not exist")
        else:
            stopped = STATES.get(state, "Error")
            say.info("🤷", f"The control-plane node {name} host is not running: state={stopped}")
        say.info("👉", f'To start a cluster, run: "minikube start{"" if name == "minikube" else f" -p {name}"}"')
        raise Exit(GUEST_NOT_FOUND if state == "absent" else GUEST_NOT_RUNNING)
    return profile


def look(name: str) -> dict[str, Any]:
    """Return a profile's status as `minikube status -o json` prints it."""
    profile = home.load(name)
    state = node.state(name)
    host = "Nonexistent" if state == "absent" else STATES.get(state, "Error")
    found = {"Name": name, "Host": host, "Kubelet": host, "APIServer": host, "Kubeconfig": host, "Worker": False}
    if host != "Running" or profile is None:
        return found
    found["Kubelet"] = (
        "Running"
        if node.execute(name, "systemctl", "is-active", "kubelet.service", check=False) == "active"
        else "Stopped"
    )
    ip = profile["Nodes"][0]["IP"]
    try:
        cluster = Cluster(name, ip)
        up = node.execute(name, "systemctl", "is-active", "kube-apiserver.service", check=False) == "active"
        found["APIServer"] = "Running" if cluster.ready() else "Error" if up else "Stopped"
    except OSError:  # no certificates yet
        found["APIServer"] = "Stopped"
    found["Kubeconfig"] = "Configured" if _configured(profile) else "Misconfigured"
    return found


def exit_code(found: dict[str, Any]) -> int:
    """Return the bits of `minikube status`: 1 the node, 2 the cluster, 4 the kubeconfig."""
    bits = (
        found["Host"] != "Running",
        found["APIServer"] != "Running" or found["Kubelet"] != "Running",
        found["Kubeconfig"] != "Configured",
    )
    return sum(bit << place for place, bit in enumerate(bits))


def status(call: Call, name: str, say: Say) -> None:
    """Print the status and end with its bits."""
    _profile(name, say)
    node.check_docker()
    found = look(name)
    if found["Host"] == "Nonexistent":
        # Minikube logs the reason, prints nothing, and its bits of nothing are 0 … but for the text on stderr.
        print(f'E status error: the "{name}" host does not exist', file=sys.stderr)
        if call.text("output", "text") == "json":
            print("null", end="")
        raise Exit(0)
    if call.text("output", "text") == "json":
        print(json.dumps(found, separators=(",", ":")), end="")
    else:
        print(
            f"{name}\ntype: Control Plane\nhost: {found['Host']}\nkubelet: {found['Kubelet']}\n"
            f"apiserver: {found['APIServer']}\nkubeconfig: {found['Kubeconfig']}\n"
        )
        if found["Kubeconfig"] == "Misconfigured":
            print(
                "\nWARNING: Your kubectl is pointing to stale minikube-vm.\n"
                "To fix the kubectl context, run `minikube update-context`"
            )
    raise Exit(exit_code(found))


def stop(call: Call, name: str, say: Say) -> None:
    """Stop pods, Kubernetes and the node, in this order."""
    say.steps = ["Stopping", "PowerOff", "Done"]
    _profile(name, say)
    node.check_docker()
    if node.state(name) == "running":
        say.step("Stopping", "✋", f'Stopping node "{name}"  ...')
        node.execute(name, "node-down", check=False)
        say.step("PowerOff", "🛑", f'Powering off "{name}" via SSH ...')
        node.docker("stop", "--time=20", name)
    say.step("Done", "🛑", "1 node stopped.")


def delete(call: Call, name: str, say: Say) -> None:
    """Remove the node with all it holds, the profile and its entries in the kubeconfig."""
    say.steps = ["Deleting", "Stopping", "Done", "Puring home dir"]
    node.check_docker()
    if home.load(name) is None and node.state(name) == "absent":
        say.info("🙄", f'"{name}" profile does not exist, trying anyways.')
    else:
        say.step("Deleting", "🔥", f'Deleting "{name}" in docker ...')
    node.remove(name)
    home.forget(name)
    try:
        config = kubeconfig.read(kubeconfig.path())
        if kubeconfig.entry(config, "clusters", name):
            kubeconfig.drop(config, name)
            kubeconfig.write(kubeconfig.path(), config)
    except (kubeconfig.Unreadable, OSError, ValueError) as error:
        raise Failure("HOST_KUBECONFIG_DELETE_CTX", GUEST_ERROR, f"failed to delete context: {error}") from error
    say.step("Done", "💀", f'Removed all traces of the "{name}" cluster.')


def ip(call: Call, name: str, say: Say) -> None:
    """Print the node's address."""
    print(_running(name, say)["Nodes"][0]["IP"])


def ssh(call: Call, name: str, say: Say) -> None:
    """Run a command in the node; its own exit code becomes 1, as with Minikube."""
    _running(name, say)
    code = node.shell(name, call.arguments)
    if code:
        print(f"ssh: Process exited with status {code}", file=sys.stderr)
        raise Exit(FAILURE)


def kubectl(call: Call, name: str, say: Say) -> None:
    """Run the kubectl that is installed (Minikube would download its own) for this cluster."""
    _running(name, say)
    program = shutil.which("kubectl")
    if program is None:
        said = "Failed to download kubectl (this stand-in uses the installed one)"
        raise Failure("INET_CACHE_KUBECTL", FAILURE, said)
    argv = [program, "--kubeconfig", str(kubeconfig.path()), "--context", name, *call.arguments]
    raise Exit(subprocess.run(argv, check=False).returncode)


def image_load(call: Call, name: str, say: Say) -> None:
    """Put images of the server's Docker, or of tar files, into the node."""
    _running(name, say)
    if not call.arguments:
        raise refuse("image load needs the name of an image or of a file")
    for image in call.arguments:
        source = ["cat", image] if Path(image).is_file() else ["docker", "save", image]
        with subprocess.Popen(source, stdout=subprocess.PIPE) as saved:
            load = ["docker", "exec", "-i", name, "ctr", "-n", "k8s.io", "images", "import", "-"]
            done = subprocess.run(load, stdin=saved.stdout, capture_output=True, text=True, check=False)
        if saved.returncode or done.returncode:
            raise Failure("GUEST_IMAGE_LOAD", GUEST_ERROR, f"Failed to load image: {image}: {done.stderr.strip()}")


def image_ls(call: Call, name: str, say: Say) -> None:
    """Print the names of the node's images."""
    _running(name, say)
    names = node.execute(name, "ctr", "-n", "k8s.io", "images", "ls", "-q").splitlines()
    print("\n".join(sorted({each for each in names if "@" not in each and not each.startswith("sha256:")})))


def image_pull(call: Call, name: str, say: Say) -> None:
    """Have the node pull images, through the mirrors of its certs.d."""
    _running(name, say)
    pull = ("ctr", "-n", "k8s.io", "images", "pull", "--hosts-dir", "/etc/containerd/certs.d")
    for image in call.arguments:
        try:
            node.execute(name, *pull, full_name(image))
        except Failure as failure:
            raise Failure("GUEST_IMAGE_PULL", GUEST_ERROR, f"Failed to pull images: {failure.message}") from failure


def full_name(image: str) -> str:
    """Return an image's name with its registry and its tag."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif "." not in first and ":" not in first and first != "localhost":
        image = f"docker.io/{image}"
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def profile_list(call: Call, name: str, say: Say) -> None:
    """Print the profiles with their status."""
    valid: list[dict[str, Any]] = []
    invalid: list[dict[str, Any]] = []
    for each in home.profiles():
        try:
            config = home.load(each)
        except (OSError, ValueError):
            config = None
        if not config:
            invalid.append({"Name": each, "Status": "", "Config": None})
            continue
        found = "Skipped"
        if not call.on("light"):
            looked = look(each)
            found = "OK" if exit_code(looked) == 0 else looked["APIServer"]
        valid.append(
            {"Name": each, "Status": found, "Config": config, "Active": False, "ActiveKubeContext": each == _context()}
        )
    if call.text("output", "table") == "json":
        print(json.dumps({"invalid": invalid, "valid": valid}), end="")
        return
    for item in valid:
        config = item["Config"]
        version = config["KubernetesConfig"]["KubernetesVersion"]
        print(f"| {item['Name']} | docker | containerd | {config['Nodes'][0]['IP']} | {version} | {item['Status']} |")


def _context() -> str:
    try:
        return str(kubeconfig.read(kubeconfig.path()).get("current-context"))
    except (kubeconfig.Unreadable, OSError, ValueError):
        return ""


def update_context(call: Call, name: str, say: Say) -> None:
    """Write the kubeconfig anew if it points somewhere else."""
    profile = _running(name, say)
    if _configured(profile):
        say.info("💗", f'No changes required for the "{name}" context')
        return
    start.point_kubectl(profile)
    say.info("🎉", f'"{name}" context has been updated to point to {profile["Nodes"][0]["IP"]}:8443')


def _configured(profile: dict[str, Any]) -> bool:
    """Tell whether the kubeconfig points to a profile's API."""
    try:
        entry = kubeconfig.entry(kubeconfig.read(kubeconfig.path()), "clusters", profile["Name"])
    except (kubeconfig.Unreadable, OSError, ValueError):
        return False
    server: str = (entry or {}).get("cluster", {}).get("server", "")
    return server == f"https://{profile['Nodes'][0]['IP']}:8443"


def logs(call: Call, name: str, say: Say) -> None:
    """Print the end of the journals of the node's services."""
    _running(name, say)
    units = [word for unit in UNITS for word in ("-u", unit)]
    text = node.execute(name, "journalctl", "--no-pager", "-n", call.text("length", "60"), *units)
    if call.text("file"):
        Path(call.text("file")).write_text(text + "\n")
    else:
        print(text)
