"""From what Kubernetes says of its objects to findings: which deployment, pod and container, why, and what to do.

Everything here is pure: objects as `kubectl get --output=json` prints them in, findings out, the cause of others first.
The words that are looked for are Kubernetes' own (kubelet, scheduler and admission of 1.20 to 1.35).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from neurobatch.remote.cvmfs import faults

Object = dict[str, Any]
#: What others need is named before them: a database that is away makes three other programs crash.
FIRST = ("mysql", "minio", "metadata-grpc-deployment", "ml-pipeline", "workflow-controller")
PULLING = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_GONE = re.compile(r"not found|manifest unknown|does not exist|name unknown", re.IGNORECASE)
_LOGIN = re.compile(r"unauthorized|denied|forbidden|authentication required|\b40[13]\b", re.IGNORECASE)
_LACKING = re.compile(r"(?:Insufficient|Too many) ([\w./-]*\w)")
_NAMED = re.compile(r'(secret|configmap|persistentvolumeclaim) "?([\w.-]+)"? (?:is )?not found', re.IGNORECASE)
_HOOK = re.compile(r'(?:admission|failed calling) webhook "([^"]+)"')
_TAINT = re.compile(r"taint \{?([\w./-]+)")
#: How many findings of one severity are worth reading.
LINES = 12


def finding(rank: int, where: str, why: str, remedy: str, said: str = "") -> Object:
    """Return a finding; ``rank`` orders them, ``said`` are the program's or Kubernetes' own words."""
    return {"rank": rank, "where": where, "why": why, "remedy": remedy, "said": said.strip()}


def text(found: Object) -> str:
    """Return a finding as a sentence or two, and the words it rests on below."""
    said = "".join(f"\n    {line}" for line in found["said"].splitlines()[-LINES:])
    return f"{found['where']}: {found['why']}. {found['remedy']}{said}"


def findings(objects: dict[str, list[Object]], logs: dict[str, str]) -> list[Object]:
    """Return what is wrong, the cause of others first; empty where nothing is.

    Args:
        objects: nodes, deployments, replicasets, pods, persistentvolumeclaims and events of the namespaces looked at.
        logs: last lines of containers that ended, by `log_key`, and what mirrors say of images, by `image_key`.
    """
    found = [each for node in objects["nodes"] for each in _node(node)]
    found += [each for claim in objects["persistentvolumeclaims"] for each in _claim(claim, objects["events"])]
    owners = {each["metadata"]["uid"]: each for each in objects["replicasets"]}
    troubled = set()
    for pod in objects["pods"]:
        deployment = _deployment(pod, owners)
        rows = _pod(pod, deployment, objects, logs)
        troubled |= {deployment} if rows else set()
        found += rows
    for each in objects["deployments"]:
        if each["metadata"]["name"] not in troubled and not well(each):
            found.append(_podless(each, objects))
    unique = {each["where"] + each["why"]: each for each in reversed(found)}
    return sorted(unique.values(), key=lambda each: (each["rank"], each["where"]))


def well(deployment: Object) -> bool:
    """Return whether a Deployment runs as it is described now; one that is scaled to nothing is not."""
    status = deployment.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) >= 1
        and status.get("availableReplicas", 0) >= 1
        # Rolled out to the end: no pod of the version before is left.
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
    )


def log_key(pod: str, container: str) -> str:
    """Return the key of a container's log."""
    return f"{pod}/{container}"


def image_key(image: str) -> str:
    """Return the key of what a mirror says of an image."""
    return f"image {image}"


def unpulled(pods: Iterable[Object]) -> set[str]:
    """Return the images that could not be pulled."""
    waiting = [
        (state["image"], (state.get("state") or {}).get("waiting") or {}) for pod in pods for state in _states(pod)
    ]
    return {image for image, why in waiting if why.get("reason") in PULLING}


def ended(pods: Iterable[Object]) -> list[tuple[str, str, str, bool]]:
    """Return namespace, pod, container of those whose last lines matter, and whether those before a restart do."""
    rows = []
    for pod in pods:
        for state in _states(pod):
            crashed = (state.get("lastState") or {}).get("terminated")
            now = state.get("state") or {}
            if "terminated" in now and now["terminated"].get("exitCode"):
                rows.append((pod["metadata"]["namespace"], pod["metadata"]["name"], state["name"], False))
            elif crashed and ("waiting" in now or not state.get("ready")):
                rows.append((pod["metadata"]["namespace"], pod["metadata"]["name"], state["name"], True))
            elif "running" in now and not state.get("ready"):
                rows.append((pod["metadata"]["namespace"], pod["metadata"]["name"], state["name"], False))
    return rows


def restarted(pod: Object) -> list[str]:
    """Return the containers of a pod that ran before."""
    return [state["name"] for state in _states(pod) if state.get("restartCount")]


def _states(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _deployment(pod: Object, replicasets: dict[str, Object]) -> str:
    """Return the Deployment that a pod belongs to, empty where it is nobody's."""
    for owner in pod["metadata"].get("ownerReferences") or []:
        for above in (replicasets.get(owner["uid"], {}).get("metadata", {}).get("ownerReferences")) or []:
            return str(above["name"])
    return ""


def _rank(name: str) -> int:
    return 20 + (FIRST.index(name) if name in FIRST else len(FIRST))


def _node(node: Object) -> list[Object]:
    where, rows = f"Node {node['metadata']['name']}", []
    for condition in node["status"].get("conditions") or []:
        kind, status, said = condition["type"], condition["status"], condition.get("message", "")
        if kind == "Ready" and status != "True":
            remedy = "Restart it with `sudo systemctl restart minikube` and look at `journalctl -u minikube`."
            rows.append(finding(0, where, "the node is not ready", remedy, said))
        elif kind == "DiskPressure" and status == "True":
            remedy = "Free disk space on the server (`df -h /var/lib/docker`); pods are evicted until there is some."
            rows.append(finding(0, where, "the disk is nearly full", remedy, said))
        elif kind in {"MemoryPressure", "PIDPressure"} and status == "True":
            remedy = (
                "End what uses most (`kubectl top pods -A`), or make the cluster anew with a larger minikube_memory_mb."
            )
            rows.append(finding(1, where, f"the node reports {kind}", remedy, said))
    return rows


def _about(events: list[Object], name: str, *reasons: str) -> str:
    """Return the newest message about an object, of one of the reasons where any is given."""
    fitting = [
        each for each in events
        if each.get("involvedObject", {}).get("name") == name and (not reasons or each.get("reason") in reasons)
    ]  # fmt: skip
    fitting.sort(key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")
    return str(fitting[-1].get("message", "")) if fitting else ""


def _claim(claim: Object, events: list[Object]) -> list[Object]:
    name, status = claim["metadata"]["name"], claim.get("status", {})
    if status.get("phase") == "Bound":
        return []
    said = _about(events, name)
    if "waiting for first consumer" in said:
        return []  # as its storage class wants it: a pod that waits for more than that is named for itself
    wanted = claim["spec"].get("storageClassName")
    if wanted and "not found" in said:
        why, remedy = f"its storage class {wanted} does not exist", "Take one that `kubectl get storageclass` lists."
    elif claim["spec"].get("volumeName"):
        why = f"it waits for the volume {claim['spec']['volumeName']}"
        remedy = "Look at `kubectl get pv`: a volume that was Released for another claim has to be deleted first."
    elif wanted is None and "no persistent volumes available" in said:
        why, remedy = (
            "the cluster has no default storage class",
            "Mark one as the default, see `kubectl get storageclass`.",
        )
    else:
        why, remedy = (
            f"it is {status.get('phase', 'Pending')}",
            "Look at `kubectl get storageclass` and the provisioner.",
        )
    return [finding(10, f"Claim {name}", why, remedy, said)]


def _pod(pod: Object, deployment: str, objects: dict[str, list[Object]], logs: dict[str, str]) -> list[Object]:
    meta, status = pod["metadata"], pod.get("status", {})
    # A finished step, and a pod that is being replaced, are no trouble.
    if status.get("phase") == "Succeeded" or meta.get("deletionTimestamp"):
        return []
    who = f"Deployment {deployment}, pod {meta['name']}" if deployment else f"Pod {meta['name']}"
    rank = _rank(deployment)
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return [_unscheduled(rank, who, pod, condition.get("message", ""), objects)]
    if status.get("reason") == "Evicted":
        return [finding(rank, who, "the node threw it out", "Free what the node lacks.", status.get("message", ""))]
    heard = {kind: _about(objects["events"], meta["name"], kind) for kind in ("Failed", "Unhealthy")}
    rows = [
        row
        for state in _states(pod)
        for row in _container(
            rank,
            f"{who}, container {state['name']}",
            state,
            {**heard, "mirror": logs.get(image_key(state.get("image", "")), "")},
            logs.get(log_key(meta["name"], state["name"]), ""),
        )
    ]
    if not rows and status.get("phase") == "Pending":
        said = _about(objects["events"], meta["name"], "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
        tools = [each for each in objects["events"] if "/cvmfs/" in str(each.get("message"))]
        # The kubelet sums up what it waited for in vain; the mount's own words say more.
        said = _about(tools, meta["name"], "FailedMount") or said
        if said:
            rows.append(_unmounted(rank, who, said))
    return rows


def _unscheduled(rank: int, who: str, pod: Object, said: str, objects: dict[str, list[Object]]) -> Object:
    lacking = sorted(set(_LACKING.findall(said)))
    if lacking:
        asked = ", ".join(f"{_asked(pod, each)} {each}" for each in lacking)
        has = "; ".join(
            f"{node['metadata']['name']} has {node['status'].get('allocatable', {}).get(each, '?')} {each} in all"
            for node in objects["nodes"]
            for each in lacking
        )
        remedy = (
            f"It asks for {asked}; {has}. End other pods, or make the cluster anew with a larger "
            f"{'minikube_memory_mb' if 'memory' in lacking else 'minikube_cpus'} (playbooks/reset.yml, then site.yml)."
        )
        return finding(rank, who, f"there is too little {' and '.join(lacking)} for it", remedy, said)
    if "PersistentVolumeClaim" in said or "persistentvolumeclaim" in said:
        named = _NAMED.search(said)
        claims = [each["persistentVolumeClaim"]["claimName"] for each in pod["spec"].get("volumes") or []
                  if "persistentVolumeClaim" in each]  # fmt: skip
        which = named[2] if named else " or ".join(claims)
        why = f"the claim {which} {'does not exist' if named else 'is not bound'}"
        return finding(rank, who, why, f"Look at `kubectl describe pvc {claims[0] if claims else which}`.", said)
    if taint := _TAINT.search(said):
        if "disk-pressure" in taint[1]:
            return finding(0, who, "the node's disk is nearly full", "Free disk space on the server (`df -h`).", said)
        return finding(rank, who, f"the node takes no pods ({taint[1]})", "Look at `kubectl describe node`.", said)
    return finding(rank, who, "no node takes it", "Look at `kubectl describe node`.", said)


def _asked(pod: Object, resource: str) -> str:
    each = [row.get("resources", {}).get("requests", {}).get(resource) for row in pod["spec"].get("containers") or []]
    return " + ".join(str(value) for value in each if value) or "some"


def _unmounted(rank: int, who: str, said: str) -> Object:
    if named := _NAMED.search(said):
        remedy = "Run site.yml again; where another program makes it, look at that program."
        if named[2] == "webhook-server-tls":
            remedy = "The cache's webhook is not set up: the Deployment cache-deployer-deployment makes this Secret."
        return finding(rank, who, f"the {named[1]} {named[2]} that it mounts does not exist", remedy, said)
    if "/cvmfs/" in said:
        # The driver's mount has failed; what the client says of it is in the node plugin's log.
        fault = faults.explain(said) or faults.named("FailedMount")
        return finding(rank, who, fault.cause, fault.remedy, said)
    return finding(rank, who, "a volume cannot be mounted", "The message below names it.", said)


def _container(rank: int, where: str, state: Object, heard: dict[str, str], log: str) -> list[Object]:
    now, image = state.get("state") or {}, state.get("image", "")
    waiting = now.get("waiting") or {}
    reason, said = waiting.get("reason", ""), waiting.get("message", "")
    if reason in PULLING:
        return [_image(rank, where, image, reason, f"{said}\n{heard['Failed']}\n{heard['mirror']}")]
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        named = _NAMED.search(said)
        why = f"the {named[1]} {named[2]} does not exist" if named else "the container cannot be made"
        return [finding(rank, where, why, "Run site.yml again, which makes what is missing.", said)]
    last = now.get("terminated") or (state.get("lastState") or {}).get("terminated") or {}
    if last.get("reason") == "OOMKilled":
        remedy = "Give it more memory, or the cluster (minikube_memory_mb)."
        return [finding(rank, where, "it used more memory than it may and was killed", remedy, log)]
    if reason == "CrashLoopBackOff" or (last.get("exitCode") and not state.get("ready")):
        code, restarts = last.get("exitCode", "?"), state.get("restartCount", 0)
        why = f"its program ends again and again (exit code {code}, {restarts} restarts)"
        if "terminated" in now:
            why = f"its program ended (exit code {code})"
        fault = faults.in_output(log)
        remedy = fault.remedy if fault else "Its last lines say why:" if log else "It printed nothing."
        return [finding(rank, where, f"{why}: {fault.cause}" if fault else why, remedy, log or said)]
    if "running" in now and not state.get("ready"):
        why = "it runs, but does not answer its probe yet"
        return [finding(rank + 10, where, why, "Its last lines:" if log else "", f"{heard['Unhealthy']}\n{log}")]
    return []


def _image(rank: int, where: str, image: str, reason: str, said: str) -> Object:
    if reason == "InvalidImageName":
        return finding(rank, where, f"{image} is no valid name of an image", "Correct it in the stack.", said)
    if _LOGIN.search(said) and not _GONE.search(said):
        remedy = "The registry wants a login: name a mirror in registry_mirrors that has the image."
        return finding(rank, where, f"the image {image} is refused", remedy, said)
    if _GONE.search(said):
        remedy = (
            "Correct its name, or name a mirror that has it (registry_mirrors), or take a stack whose images exist."
        )
        return finding(rank, where, f"the image {image} does not exist", remedy, said)
    remedy = "Look at the network, proxies and registry_mirrors of the server; it is tried again by itself."
    return finding(rank, where, f"the image {image} cannot be pulled", remedy, said)


def _podless(deployment: Object, objects: dict[str, list[Object]]) -> Object:
    """Return why a Deployment is not ready, of which no pod is in trouble."""
    name, rank = deployment["metadata"]["name"], _rank(deployment["metadata"]["name"])
    where, said = f"Deployment {name}", ""
    if not deployment["spec"].get("replicas", 1):
        return finding(
            rank, where, "it was scaled to nothing", "Run site.yml, which brings back what was changed by hand."
        )
    for condition in deployment.get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            said = condition.get("message", "")
    for replicaset in objects["replicasets"]:
        if any(owner["name"] == name for owner in replicaset["metadata"].get("ownerReferences") or []):
            said = said or _about(objects["events"], replicaset["metadata"]["name"], "FailedCreate")
    if hook := _HOOK.search(said):
        kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
        remedy = f"It has to answer, or to go: `kubectl get {kinds}` shows whose it is."
        return finding(rank, where, f"the webhook {hook[1]} lets no pod of it be made", remedy, said)
    if said:
        return finding(rank, where, "no pod of it may be made", "The message names the rule or quota.", said)
    return finding(rank + 10, where, "it is not ready yet, and no pod of it is in trouble", "Give it time.", said)
