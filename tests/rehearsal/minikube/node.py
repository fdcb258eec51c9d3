"""The node: one container of the server's own Docker, as Minikube's docker driver makes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .outcome import (
    GUEST_ERROR,
    PROVIDER_NOT_FOUND,
    PROVIDER_NOT_RUNNING,
    PROVIDER_UNAVAILABLE,
    Failure,
)

MARK = "created_by.minikube.sigs.k8s.io=true"
OWN_PORTS = (22, 2376, 5000, 8443, 32443)
"""What Minikube's node publishes beside --ports: sshd, dockerd, a registry, the API, the auto-pause proxy."""


def docker(*args: str, check: bool = True, stdin: bytes | None = None) -> str:
    """Run the Docker client and return what it printed, stripped.

    Raises:
        Failure: it failed; carries what it said.
    """
    try:
        done = subprocess.run(["docker", *args], input=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Failure(
            "PROVIDER_DOCKER_NOT_FOUND",
            PROVIDER_NOT_FOUND,
            "The 'docker' provider was not found: exec: \"docker\": executable file not found in $PATH",
            "Install Docker",
        ) from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Failure("GUEST_PROVISION", GUEST_ERROR, f"docker {' '.join(args[:3])}: {said}")
    return done.stdout.decode(errors="replace").strip()


def check_docker() -> None:
    """See that Docker answers this user (pkg/minikube/registry/drvs/docker/docker.go).

    Raises:
        Failure: it does not, with Minikube's identifier for why.
    """
    form = "{{.Server.Os}}-{{.Server.Version}}:{{.Server.Platform.Name}}"
    try:
        done = subprocess.run(["docker", "version", "--format", form], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        docker("version")
        return
    if done.returncode == 0:
        return
    said = f'"docker version --format {form}" exit status {done.returncode}: {done.stderr.strip()}'
    if "permission denied" in said:
        raise Failure(
            "PROVIDER_DOCKER_NEWGRP",
            PROVIDER_UNAVAILABLE,
            said,
            "Add your user to the 'docker' group: 'sudo usermod -aG docker $USER && newgrp docker'",
        )
    raise Failure("PROVIDER_DOCKER_NOT_RUNNING", PROVIDER_NOT_RUNNING, said, "Start the Docker service")


def state(name: str) -> str:
    """Return Docker's word for the node's state (running, exited, …), or `absent`."""
    return docker("container", "inspect", "--format", "{{.State.Status}}", name, check=False) or "absent"


def machine() -> tuple[int, int]:
    """Return the CPUs and the memory in MiB that Docker has."""
    cpus, memory = docker("info", "--format", "{{.NCPU}} {{.MemTotal}}").split()
    return int(cpus), int(memory) // 2**20


def ensure_network(name: str) -> tuple[str, str]:
    """Return the node's address and its gateway in the profile's network, making the network when it is missing."""
    if not docker("network", "ls", "-q", "--filter", f"name=^{name}$"):
        for third in range(49, 221, 9):  # pkg/drivers/kic/oci/network_create.go
            try:
                docker(
                    "network", "create", "--driver=bridge", f"--subnet=192.168.{third}.0/24",
                    f"--gateway=192.168.{third}.1", "-o", "--ip-masq", "-o", "--icc",
                    "-o", "com.docker.network.driver.mtu=1500", f"--label={MARK}",
                    f"--label=name.minikube.sigs.k8s.io={name}", name,
                )  # fmt: skip
            except Failure as failure:
                if "overlaps" not in failure.message and "conflict" not in failure.message:
                    raise
            else:
                break
        else:
            raise Failure("IF_DOCKER_NETWORK", GUEST_ERROR, f"no free subnet for the network {name}")
    config = json.loads(docker("network", "inspect", name))[0]["IPAM"]["Config"][0]
    return re.sub(r"\.\d+$", ".2", config["Gateway"]), config["Gateway"]


def ensure_image(image: str) -> bool:
    """Pull an image that is not there yet; tell whether it was pulled."""
    if docker("image", "inspect", "--format", "ok", image, check=False) == "ok":
        return False
    docker("pull", "--quiet", image)
    return True


def kubernetes_of(image: str) -> str:
    """Return the version of Kubernetes in a node image.

    Raises:
        Failure: it is another image than the rehearsal's.
    """
    label = '{{index .Config.Labels "neurobatch.kubernetes"}}'
    version = docker("image", "inspect", "--format", label, image)
    if not version.startswith("v"):
        raise Failure("GUEST_PROVISION", GUEST_ERROR, f"this stand-in cannot start {image}: it is not the rehearsal's")
    return version


def privileges() -> list[str]:
    """Return the flags of a container that runs systemd, containerd and privileged pods.

    Minikube asks for --privileged; on machines that lack CAP_SYS_RESOURCE (bit 24 of the bounding set) that fails,
    and the second list gives everything else.
    """
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found and int(found.group(1), 16) >> 24 & 1:
        return ["--privileged"]
    return ["--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--device-cgroup-rule=a *:* rwm", "--device=/dev/fuse"]


def create(profile: dict[str, Any], ip: str) -> None:
    """Create and start the node (pkg/drivers/kic/oci/oci.go, CreateContainerNode); it gets no restart policy."""
    name = profile["Name"]
    if not docker("volume", "ls", "-q", "--filter", f"name=^{name}$"):
        docker("volume", "create", f"--label={MARK}", f"--label=name.minikube.sigs.k8s.io={name}", name)
    limits = []
    if profile["Memory"]:
        limits += [f"--memory={profile['Memory']}mb", f"--memory-swap={profile['Memory']}mb"]
    if profile["CPUs"]:
        limits.append(f"--cpus={profile['CPUs']}")
    extra = [word for port in profile["ExposedPorts"] for word in ("-p", port)]
    for spec in profile["ContainerVolumeMounts"]:
        extra.append(f"--volume={spec}")
    modules = ["--volume=/lib/modules:/lib/modules:ro"] if Path("/lib/modules").is_dir() else []
    listen = profile["ListenAddress"] or "127.0.0.1"
    docker(
        "run", "--detach", "--tty", *privileges(), "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined", "--cgroupns=private", "--tmpfs=/tmp:exec", "--tmpfs=/run:exec",
        *modules, f"--hostname={name}", f"--name={name}", f"--label={MARK}",
        f"--label=name.minikube.sigs.k8s.io={name}", "--label=role.minikube.sigs.k8s.io=",
        f"--label=mode.minikube.sigs.k8s.io={name}", f"--network={name}", f"--ip={ip}", f"--volume={name}:/var",
        *limits, "--env=container=docker", *extra, *(f"--publish={listen}::{port}" for port in OWN_PORTS),
        profile["KicBaseImage"],
    )  # fmt: skip


def execute(name: str, *command: str, stdin: bytes | None = None, check: bool = True) -> str:
    """Run a command as root in the node and return what it printed."""
    return docker("exec", *(["-i"] if stdin is not None else []), name, *command, check=check, stdin=stdin)


def shell(name: str, words: Sequence[str]) -> int:
    """Run a command in the node as Minikube's user `docker`, or a shell, with our terminal; return its code."""
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    command = ["sh", "-c", " ".join(words)] if words else ["bash", "-l"]
    argv = ["docker", "exec", "-i", *terminal, "--user=docker", "--workdir=/home/docker", name, *command]
    return subprocess.run(argv, env={**os.environ}, check=False).returncode


def remove(name: str) -> None:
    """Remove the node, its volume and its network."""
    for kind, argv in (
        ("container", ["rm", "-f", "-v", name]),
        ("volume", ["volume", "rm", name]),
        ("network", ["network", "rm", name]),
    ):
        if docker(kind, "inspect", "--format", "ok", name, check=False) == "ok":
            docker(*argv)
