"""Checks of who may install, and of the Docker that is there."""

from __future__ import annotations

from neurobatch.preflight.model import Facts, Finding, Wanted


def privileges(facts: Facts, wanted: Wanted) -> list[Finding]:
    """Installing needs root: by login, by sudo without a password, or by a password given to Ansible."""
    rights, user = facts["rights"], facts["user"]["name"]
    if rights["root"] or rights["passwordless"]:
        return [Finding("rights", "ok", "may become root")]
    if wanted.become_method != "sudo":
        return [Finding("rights", "ok", f"becomes root by {wanted.become_method}")]
    if not rights["sudo"]:
        remedy = f"as root, install sudo and allow it to {user} in /etc/sudoers.d/{user}, or log in as root"
        return [Finding("rights", "refuse", f"sudo is not installed, and {user} is not root", remedy)]
    if wanted.become_password:
        return [Finding("rights", "ok", "a password for sudo is configured")]
    said = f" (sudo says: {rights['says']})" if rights["says"] else ""
    remedy = (
        "run with --ask-become-pass, or as root write "
        f"`{user} ALL=(ALL) NOPASSWD: ALL` into /etc/sudoers.d/{user} with `visudo -f`"
    )
    return [Finding("rights", "refuse", f"{user} cannot use sudo without a password{said}", remedy)]


def own_cluster(facts: Facts, wanted: Wanted) -> list[Finding]:
    """A server has one cluster: its own, or one that was there; both are found at the same place."""
    if wanted.cluster_kind == "minikube" or not facts["cluster"]:
        return []
    message = f"This server has a Minikube cluster of its own, but cluster_kind is {wanted.cluster_kind}"
    return [Finding("cluster", "refuse", message, "take another server, or remove that one (playbooks/reset.yml)")]


def docker(facts: Facts, _: Wanted) -> list[Finding]:
    """Snap, rootless and podman's imitation cannot carry the stack (mounts, devices, cgroups)."""
    engine, user = facts["docker"], facts["user"]["name"]
    said = engine["engine"] or {}
    # A snap's engine calls itself Ubuntu Core, whatever the server is; its folder tells.
    snap = engine["snap"] or (said.get("root", "") if "/snap/docker/" in said.get("root", "") else None)
    if snap:
        message = f"Docker is installed as a snap ({snap}), which may not mount the server's folders"
        return [Finding("docker", "refuse", message, "move what you need out of it and run `sudo snap remove docker`")]
    if engine["podman"]:
        message = "The docker command is podman's imitation (podman-docker)"
        remove = (
            "`sudo dnf remove podman-docker`" if "PLATFORM_ID" in facts["os"] else "`sudo apt-get remove podman-docker`"
        )
        return [Finding("docker", "refuse", message, f"run {remove}; podman itself may stay")]
    if engine["rootless"]:
        message = f"{user} runs a rootless Docker ({engine['rootless']}), which cannot give devices to containers"
        remedy = f"as {user}, run `dockerd-rootless-setuptool.sh uninstall`"
        return [Finding("docker", "refuse", message, remedy)]
    if any("rootless" in option for option in said.get("security", [])):
        message = "The server's Docker runs rootless, where CVMFS cannot be mounted"
        return [Finding("docker", "refuse", message, "uninstall it and let site.yml install Docker Engine")]
    if engine["desktop"] or said.get("system") == "Docker Desktop":
        message = "Docker comes from Docker Desktop, which this project has not been run with"
        return [Finding("docker", "warn", message, "turn its WSL integration off to get Docker Engine instead")]
    version = f"Docker {said['version']}" if said.get("version") else engine["version"]
    return [Finding("docker", "ok", version or "no Docker yet")]
