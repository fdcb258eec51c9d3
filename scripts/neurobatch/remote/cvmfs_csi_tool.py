"""Run a Neurodesk tool through its module in a pod as a step has it, on the steps' image, and say what stops it.

That the repository can be read does not mean that its containers start: Apptainer needs a user namespace and mounts
inside of it, which the host, AppArmor or the pod's seccomp profile may forbid. This never fails a run; it reports.

Parameters: cluster (kubectl, kubeconfig), namespaces (the first one's claim is mounted), claim, repository, image,
module, command, seconds (deadline), restricted (whether steps get the rights of KFP 2.16 and later), seccomp (the
profile's type to ask for, empty: none), record and configuration (what to note where).
"""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.common import Cluster
from neurobatch.remote.cvmfs import faults, step

NAME = "cvmfs-tool"
Object = dict[str, Any]
#: What the pod runs: the module by Lmod, or by its file where the image has none; then what the kernel allows here.
SCRIPT = """
exec 2>&1
export LC_ALL=C
init=
for file in /usr/share/lmod/lmod/init/bash /usr/share/module.sh; do [ -r "$file" ] && init=$file && break; done
if [ -n "$init" ] && command -v bash >/dev/null; then
    echo "TOOL by Lmod"
    bash -c 'export MODULEPATH=$(echo "$ROOT"/neurodesk-modules/* | tr " " :)
. "$0"; module load "$1" && eval "$2"' "$init" "$MODULE" "$COMMAND"
else
    echo "TOOL by its file"
    file=$(ls "$ROOT"/neurodesk-modules/*/"${MODULE%%/*}"/*.lua 2>/dev/null | tail -n 1)
    [ -n "$file" ] || echo "no module file of $MODULE"
    [ -n "$file" ] && bin=$(sed -n 's/^ *prepend_path( *"PATH" *, *"\\([^"]*\\)".*/\\1/p' "$file" | head -n 1)
    [ -n "$bin" ] && PATH=$bin:$PATH sh -c "$COMMAND"
fi
echo "TOOL ended $?"
echo "TOOL namespaces $(cat /proc/sys/user/max_user_namespaces)"
echo "TOOL clone $(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null || echo 1)"
echo "TOOL restricted $(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null || echo 0)"
echo "TOOL profile $(tr -d '\\000' < /proc/self/attr/current 2>/dev/null | head -c 80)"
echo "TOOL seccomp $(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status)"
said=$(unshare --user --map-root-user true 2>&1) && said=ok
echo "TOOL unshare $said"
said=$(unshare --user --map-root-user --mount sh -c 'mount -t tmpfs check /mnt' 2>&1) && said=ok
echo "TOOL mount $said"
"""


def marks(said: str) -> dict[str, str]:
    """Return what the pod found out about itself, by word."""
    rows = [line.split(" ", 2)[1:] for line in said.splitlines() if line.startswith("TOOL ")]
    return {row[0]: row[1] if len(row) > 1 else "" for row in rows}


def verdict(said: str, module: str) -> tuple[bool, str]:
    """Return whether the tool ran, and a sentence: what it said, or what stops it and what to do."""
    found = marks(said)
    printed = "\n".join(line for line in said.splitlines() if not line.startswith("TOOL ")).strip()
    if found.get("ended") == "0":
        first = (printed.splitlines() or ["nothing"])[-1]
        return True, f"{module} runs in a step and says: {first[:200]}"
    why, remedy = _stopped(found, printed)
    end = f"exit code {found['ended']}" if "ended" in found else "it did not end"
    last = f" It said: {printed[-300:]}" if printed else ""
    return False, f"{module} does not run in a step ({end}): {why}. {remedy}{last}"


def _stopped(found: dict[str, str], printed: str) -> tuple[str, str]:
    """Return what stops a tool and what to do, the first that holds."""
    refused = found.get("unshare", "ok") != "ok"
    stopped = refused or found.get("mount", "ok") != "ok"
    profile = (found.get("profile", "") or "unconfined").split()[0]
    fault = faults.in_output(printed)
    rows = (
        (
            found.get("namespaces") == "0",
            "user namespaces are off on this server (user.max_user_namespaces=0), and Apptainer starts no container "
            "without one",
            "Set it on the server (`sysctl -w user.max_user_namespaces=15000`, and in /etc/sysctl.d).",
        ),
        (
            found.get("clone") == "0" and refused,
            "user namespaces are off on this server (kernel.unprivileged_userns_clone=0), and Apptainer starts no "
            "container without one",
            "Set it on the server (`sysctl -w kernel.unprivileged_userns_clone=1`, and in /etc/sysctl.d).",
        ),
        (
            found.get("seccomp") == "2" and refused,
            "the pod's seccomp profile forbids user namespaces (RuntimeDefault, which Kubeflow Pipelines asks for from "
            "2.16.0 on)",
            "Take a stack with an earlier release, or give steps a Localhost profile that allows unshare and mount.",
        ),
        (
            found.get("restricted", "0") != "0" and stopped,
            "AppArmor forbids user namespaces to programs without a profile of their own "
            "(kernel.apparmor_restrict_unprivileged_userns=1)",
            "Set it on the server (`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, and in /etc/sysctl.d).",
        ),
        (
            profile != "unconfined" and stopped,
            f"the pod's AppArmor profile {profile} forbids mounts in a user namespace",
            "Let steps run unconfined (annotation container.apparmor.security.beta.kubernetes.io/main: unconfined).",
        ),
        (
            refused,
            f"the kernel refuses a user namespace ({found.get('unshare')})",
            "Look at the server's sysctl and its limits.",
        ),
        (
            stopped,
            f"the kernel refuses mounts in a user namespace ({found.get('mount')})",
            "Look at the pod's /proc and its rights.",
        ),
        (fault is not None, fault.cause if fault else "", fault.remedy if fault else ""),
        (
            re.search(r"(?i)unable to locate a modulefile|modules? .*unknown|no module file", printed) is not None,
            "there is no such module",
            "Correct cvmfs_csi_tool_module.",
        ),
    )
    known = next(((why, remedy) for holds, why, remedy in rows if holds), None)
    return known or (
        "the kernel allows what Apptainer needs: it is the tool itself, or its command",
        "See what it said.",
    )


def main(params: Object) -> None:
    """Print the verdict and take note of it."""
    cluster = Cluster(params["cluster"])
    security: Object = dict(step.RESTRICTED) if params["restricted"] else {}
    if params["seccomp"]:
        security["seccompProfile"] = {"type": params["seccomp"]}
    words = {"MODULE": params["module"], "COMMAND": params["command"]}
    settings = "".join(f"export {name}={shlex.quote(word)}\n" for name, word in words.items())
    made = step.job(NAME, params, params["image"], settings + SCRIPT, security)
    started = time.monotonic()
    _, said = step.run(cluster, made, params["seconds"])
    runs, sentence = verdict(said, params["module"])
    if "TOOL ended" not in said and (fault := faults.explain(said)):
        sentence = f"{params['module']} was not tried: {fault.cause}. {fault.remedy} {said[:300]}"
    Path(params["record"]).write_text(params["configuration"], encoding="utf-8")
    print(json.dumps({"runs": runs, "said": sentence, "seconds": round(time.monotonic() - started, 1)}))
