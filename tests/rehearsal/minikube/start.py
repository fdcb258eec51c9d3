"""`minikube start`: the node made or started again, Kubernetes in it, and a kubeconfig that reaches it."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from . import BASE_IMAGE, VERSION, home, kubeconfig, node, validate
from .cluster import DEFAULT_WAITS, WAITS, Cluster, certificates
from .flags import Call, refuse
from .outcome import GUEST_CONFLICT, GUEST_ERROR, HOST_ERROR, USAGE, Failure, Say

STEPS = (
    "Initial Minikube Setup", "Selecting Driver", "Starting Node", "Pulling Base Image", "Creating Container",
    "Preparing Kubernetes", "Configuring CNI", "Verifying Kubernetes", "Enabling Addons", "Done",
)  # fmt: skip


def run(call: Call, name: str, say: Say) -> None:
    """Start a profile.

    Raises:
        Failure: something is not as it has to be.
        Exit: a value that this stand-in does not take.
    """
    say.steps = list(STEPS)
    waits, seconds = _waits(call), _seconds(call.text("wait-timeout", "6m0s"))
    say.step(STEPS[0], "😄", f"minikube {VERSION} on {_system()}")
    if call.on("force"):
        say.warning("minikube skips various validations when --force is supplied; this may lead to unexpected behavior")
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]+", name):
        say.warning(f"Profile name '{name}' is not valid")
        raise Failure(
            "MK_USAGE",
            USAGE,
            "Only alphanumeric and dashes '-' are permitted. Minimum 2 characters, starting with alphanumeric.",
        )
    try:
        existing = home.load(name)
    except (OSError, ValueError) as error:
        raise Failure("HOST_CONFIG_LOAD", HOST_ERROR, f"Unable to load config: {error}") from error
    validate.version(call, existing, name)
    if not existing and not call.text("container-runtime"):
        raise refuse("this stand-in's node has containerd only: pass --container-runtime=containerd")
    basis = "existing profile" if existing else "user configuration"
    say.step(STEPS[1], "✨", f"Using the docker driver based on {basis}")
    if not call.on("force"):
        node.check_docker()
    validate.user(call, say)
    profile = _existing(call, existing, say) if existing else _new(call, name)
    validate.size(profile, forced=call.on("force"), say=say)
    say.step(STEPS[2], "👍", f'Starting "{name}" primary control-plane node in "{name}" cluster')
    _bring_up(profile, existing is not None, say)
    if existing and call.text("mount-string"):
        old = (existing["ContainerVolumeMounts"] or [""])[0]
        if call.text("mount-string") != old:
            raise Failure(
                "GUEST_MOUNT_CONFLICT",
                GUEST_CONFLICT,
                "Sorry, docker does not allow mounts to be changed after container creation "
                f"(previous mount: '{old}', new mount: '{call.text('mount-string')})'",
            )
    version = profile["KubernetesConfig"]["KubernetesVersion"]
    say.step(STEPS[5], "📦", f"Preparing Kubernetes {version} on containerd ...")
    cluster = _prepare(profile)
    say.step(STEPS[6], "🔗", "Configuring CNI (Container Networking Interface) ...")
    say.step(STEPS[7], "🔎", "Verifying Kubernetes components...")
    missing = cluster.wait(waits, seconds)
    if missing:
        raise Failure(
            "GUEST_START", GUEST_ERROR, f"failed to start node: wait {seconds:g}s for node: wait for healthy {missing}"
        )
    say.step(STEPS[8], "🌟", "Enabled addons: storage-provisioner, default-storageclass")
    context = "" if profile["KeepContext"] else " by default"
    say.step(
        STEPS[9],
        "🏄",
        f'Done! kubectl is now configured to use "{name}" cluster and "default" namespace{context}',
    )


def _waits(call: Call) -> tuple[str, ...]:
    """Return what to wait for, in the order in which it comes."""
    given = call.listed("wait")
    if given in (["all"], ["true"]):
        return WAITS
    if given in (["none"], ["false"]):
        return ()
    wrong = [each for each in given if each not in WAITS]
    if wrong:
        raise refuse(f'invalid wait component "{wrong[0]}": one of {", ".join(WAITS)}, all, none, true, false')
    return tuple(each for each in WAITS if each in (given or DEFAULT_WAITS))


def _seconds(text: str) -> float:
    """Return the seconds of a Go duration such as 6m0s."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|m|s|ms)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise refuse(f'invalid argument "{text}" for "--wait-timeout" flag: time: invalid duration "{text}"')
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1, "ms": 0.001}[unit] for number, unit in parts)


def _system() -> str:
    """Return the system's name and version."""
    text = Path("/etc/os-release").read_text()
    found = dict(re.findall(r'^(NAME|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    return f"{found.get('NAME', 'Linux').split()[0]} {found.get('VERSION_ID', '')}".strip()


def _new(call: Call, name: str) -> dict[str, Any]:
    """Return the record of a profile that is to be made."""
    mount = call.text("mount-string")
    if mount and not re.fullmatch(r"/[^:]*:/[^:]+(:ro)?", mount):
        raise refuse(f'--mount-string has to be /folder/here:/folder/in/the/node, not "{mount}"')
    for port in call.listed("ports"):
        if not all(1 <= int(number) <= 65535 for number in re.findall(r"(?::|^)(\d+)(?=:|/|$)", port)):
            raise Failure(
                "MK_USAGE", USAGE, f"Sorry, one of the ports provided with --ports flag is outside range: {port}"
            )
    version = call.text("kubernetes-version")
    version = version if version.startswith("v") else f"v{version}"
    return {
        "Name": name,
        "Driver": "docker",
        "KicBaseImage": call.text("base-image", BASE_IMAGE),
        "CPUs": validate.cpus(call.text("cpus", "2")),
        "Memory": validate.memory_mib(call.text("memory")) if call.text("memory") else validate.default_memory(),
        "KeepContext": call.on("keep-context"),
        "EmbedCerts": call.on("embed-certs"),
        "ExposedPorts": call.listed("ports"),
        "ListenAddress": call.text("listen-address"),
        "ContainerVolumeMounts": [mount] if mount else [],
        "KubernetesConfig": {
            "KubernetesVersion": version,
            "ClusterName": name,
            "ContainerRuntime": "containerd",
            "APIServerIPs": call.listed("apiserver-ips"),
            "APIServerNames": call.listed("apiserver-names"),
            "ImageRepository": call.text("image-repository"),
            "ServiceCIDR": "10.96.0.0/12",
        },
        "Nodes": [],
    }


def _existing(call: Call, existing: dict[str, Any], say: Say) -> dict[str, Any]:
    """Return an existing profile's record with what may still change; say what may not."""
    if call.text("memory") and validate.memory_mib(call.text("memory")) != existing["Memory"]:
        say.warning(
            "You cannot change the memory size for an existing minikube cluster. Please first delete the cluster."
        )
    if call.text("cpus") and validate.cpus(call.text("cpus")) != existing["CPUs"]:
        say.warning("You cannot change the CPUs for an existing minikube cluster. Please first delete the cluster.")
    profile = {**existing, "KubernetesConfig": dict(existing["KubernetesConfig"])}
    for flag, key in (("keep-context", "KeepContext"), ("embed-certs", "EmbedCerts")):
        if flag in call.given:
            profile[key] = call.on(flag)
    if "ports" in call.given:  # recorded, and without effect on the container that there is, as in Minikube
        profile["ExposedPorts"] = call.listed("ports")
    if "base-image" in call.given:
        profile["KicBaseImage"] = call.text("base-image")
    for flag, key in (("apiserver-ips", "APIServerIPs"), ("apiserver-names", "APIServerNames")):
        if flag in call.given:
            profile["KubernetesConfig"][key] = call.listed(flag)
    return profile


def _bring_up(profile: dict[str, Any], known: bool, say: Say) -> None:
    """Have the node's container running."""
    name = profile["Name"]
    state = node.state(name)
    if state == "running":
        say.info("🏃", f'Updating the running docker "{name}" container ...')
    elif state == "absent":
        say.step(STEPS[3], "🚜", f"Pulling base image {profile['KicBaseImage']} ...")
        node.ensure_image(profile["KicBaseImage"])
        node.kubernetes_of(profile["KicBaseImage"])
        if known:
            say.info("🤦", f'docker "{name}" container is missing, will recreate.')
        ip, _ = node.ensure_network(name)
        limits = f"CPUs={profile['CPUs'] or 'no-limit'}, Memory={profile['Memory'] or 'no-limit'}MB"
        say.step(STEPS[4], "🔥", f"Creating docker container ({limits}) ...")
        profile["Nodes"] = [
            {
                "Name": "",
                "IP": ip,
                "Port": 8443,
                "KubernetesVersion": profile["KubernetesConfig"]["KubernetesVersion"],
                "ContainerRuntime": "containerd",
                "ControlPlane": True,
                "Worker": True,
            }
        ]
        home.save(profile)
        node.create(profile, ip)
    else:
        say.info("🔄", f'Restarting existing docker container for "{name}" ...')
        node.docker("start", name)
    home.save(profile)


def _prepare(profile: dict[str, Any]) -> Cluster:
    """Copy $MINIKUBE_HOME/files, have Kubernetes started in the node, and write certificates and kubeconfig."""
    name = profile["Name"]
    _, gateway = node.ensure_network(name)
    ip = profile["Nodes"][0]["IP"]
    node.execute(name, "systemctl", "is-system-running", "--wait", check=False)
    files = home.files_tar()
    if files:
        node.execute(name, "tar", "-x", "--no-same-owner", "-C", "/", stdin=files)
    config = profile["KubernetesConfig"]
    node.execute(name, "node-up", name, ip, gateway, *config["APIServerIPs"], *config["APIServerNames"])
    authority, certificate, key = certificates(name)
    for path, inside in ((authority, "ca.crt"), (certificate, "admin.crt"), (key, "admin.key")):
        text = node.execute(name, "cat", f"/var/lib/minikube/certs/{inside}") + "\n"
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
    point_kubectl(profile)
    return Cluster(name, ip)


def point_kubectl(profile: dict[str, Any]) -> None:
    """Write the profile's entries into the kubeconfig.

    Raises:
        Failure: the file is not one that we may rewrite.
    """
    name, file = profile["Name"], kubeconfig.path()
    try:
        config = kubeconfig.read(file)
    except (kubeconfig.Unreadable, OSError, ValueError) as error:
        raise Failure("HOST_KUBECONFIG_UPDATE", HOST_ERROR, f"Failed to update kubeconfig file: {error}") from error
    authority, certificate, key = certificates(name)
    cluster: dict[str, Any] = {"server": f"https://{profile['Nodes'][0]['IP']}:8443"}
    user: dict[str, Any] = {}
    if profile["EmbedCerts"]:
        cluster["certificate-authority-data"] = base64.b64encode(authority.read_bytes()).decode()
        user["client-certificate-data"] = base64.b64encode(certificate.read_bytes()).decode()
        user["client-key-data"] = base64.b64encode(key.read_bytes()).decode()
    else:
        cluster["certificate-authority"] = str(authority)
        user |= {"client-certificate": str(certificate), "client-key": str(key)}
    kubeconfig.put(config, "clusters", {"cluster": cluster, "name": name})
    kubeconfig.put(
        config, "contexts", {"context": {"cluster": name, "namespace": "default", "user": name}, "name": name}
    )
    kubeconfig.put(config, "users", {"name": name, "user": user})
    if not profile["KeepContext"]:
        config["current-context"] = name
    kubeconfig.write(file, config)
