"""Checks of what the processor and the kernel can do: for Docker, for CVMFS, for Apptainer, for many pods."""

from __future__ import annotations

from neurobatch.preflight.model import Facts, Finding, Wanted
from neurobatch.wording import listed

#: What each feature of the kernel is needed for.
PURPOSES = {
    "overlay": "Docker's layers",
    "bridge": "Docker's networks",
    "veth": "Docker's networks",
    "nat": "Docker's networks",
    "conntrack": "Docker's networks",
    "autofs": "CVMFS' mounts",
    "fuse": "CVMFS' mounts",
}
#: What kind recommends for one cluster, and what Kubeflow's manifests ask for; below the first, pods crash with
#: "too many open files".
ENOUGH_INOTIFY = {"inotify_instances": 512, "inotify_watches": 524288}
SET_INOTIFY = {"max_user_instances": 2280, "max_user_watches": 1255360}
DROP_IN = "/etc/sysctl.d/60-neurobatch.conf"


def level_2(facts: Facts, _: Wanted) -> list[Finding]:
    """Today's images (UBI 9, as of the CVMFS driver) do not start on a processor below x86-64-v2."""
    missing = facts["kernel"]["level_2_missing"]
    if facts["arch"] != "x86_64" or missing is None:
        return []
    if not missing:
        return [Finding("x86-64-v2", "ok", "the processor has x86-64-v2")]
    message = f"The processor lacks {listed(missing)} of x86-64-v2, without which the CVMFS driver does not start"
    virtual = facts["virtualisation"]["kind"] not in {"none", "wsl"}
    remedy = (
        "give the virtual machine the host's CPU model (libvirt: host-passthrough; Proxmox: host)"
        if virtual
        else "choose a server with a processor made after 2010"
    )
    return [Finding("x86-64-v2", "refuse", message, remedy)]


def features(facts: Facts, _: Wanted) -> list[Finding]:
    """Docker needs overlays, bridges and address translation; CVMFS needs autofs and FUSE."""
    kernel = facts["kernel"]
    findings = [
        Finding("kernel", "refuse", f"The kernel has no {name}, which {PURPOSES[name]} need", _module_remedy(facts))
        for name, state in kernel["features"].items()
        if state == "missing"
    ]
    if kernel["controllers_off"]:
        named = listed(kernel["controllers_off"])
        message = f"The kernel was booted without control groups for {named}, which limits of containers need"
        remedy = "remove `cgroup_disable=` from the kernel's command line (/etc/default/grub), run update-grub, reboot"
        findings.append(Finding("kernel", "refuse", message, remedy))
    return findings or [Finding("kernel", "ok", f"Linux {facts['release']} can carry Docker and CVMFS")]


def _module_remedy(facts: Facts) -> str:
    release = facts["release"]
    if facts["virtualisation"]["wsl"]:
        return "run `wsl --update` in PowerShell, then `wsl --shutdown`"
    if facts["os"].get("ID") == "ubuntu":
        return f"run `sudo apt-get install linux-modules-extra-{release}`"
    if "PLATFORM_ID" in facts["os"]:
        return f"run `sudo dnf install kernel-modules-{release}`"
    return "boot the distribution's own kernel (`sudo apt-get install linux-image-amd64`)"


def apptainer(facts: Facts, _: Wanted) -> list[Finding]:
    """Neurodesk's tools run in Apptainer, which makes user namespaces; hardened systems forbid them."""
    settings = facts["kernel"]["settings"]
    wrong = []
    if settings["max_user_namespaces"] == 0:
        wrong.append("user.max_user_namespaces = 15000")
    if settings["unprivileged_userns_clone"] == 0:
        wrong.append("kernel.unprivileged_userns_clone = 1")
    if settings["apparmor_restrict_unprivileged_userns"] == 1:
        wrong.append("kernel.apparmor_restrict_unprivileged_userns = 0")
    if not wrong:
        return [Finding("apptainer", "ok", "user namespaces are allowed")]
    message = "User namespaces are restricted, so that Neurodesk's tools cannot start in Apptainer"
    if settings["apparmor_restrict_unprivileged_userns"] == 1 and len(wrong) == 1:
        # Neurodesktop's container gets an AppArmor profile with that right (S0-21); pods have none.
        message = "AppArmor restricts user namespaces, so that Neurodesk's tools cannot start in steps of a pipeline"
    lines = listed(f"`{line}`" for line in wrong)
    return [Finding("apptainer", "warn", message, f"write {lines} into {DROP_IN} and run `sudo sysctl --system`")]


def mysqld(facts: Facts, _: Wanted) -> list[Finding]:
    """A host's AppArmor profile for /usr/sbin/mysqld also binds the mysqld in Kubeflow's pod, which then dies."""
    profile = facts["kernel"]["mysqld_profile"]
    if not profile:
        return [Finding("mysqld", "ok", "no AppArmor profile for mysqld")]
    message = f"AppArmor's profile {profile} also confines the database of Kubeflow Pipelines, which then cannot start"
    remedy = f"run `sudo ln -s {profile} /etc/apparmor.d/disable/` and `sudo apparmor_parser -R {profile}`"
    return [Finding("mysqld", "refuse", message, remedy)]


def inotify(facts: Facts, _: Wanted) -> list[Finding]:
    """S0-08: every pod takes inotify instances of root's."""
    settings = facts["kernel"]["settings"]
    low = [name for name, least in ENOUGH_INOTIFY.items() if settings[name] is not None and settings[name] < least]
    if not low:
        return [Finding("inotify", "ok", "enough inotify instances and watches")]
    named = listed(f"{settings[name]} {name.replace('_', ' ')}" for name in low)
    message = f"The kernel allows only {named}, and with many pods some crash with `too many open files`"
    lines = listed(f"`fs.inotify.{name} = {value}`" for name, value in SET_INOTIFY.items())
    return [Finding("inotify", "warn", message, f"write {lines} into {DROP_IN} and run `sudo sysctl --system`")]
