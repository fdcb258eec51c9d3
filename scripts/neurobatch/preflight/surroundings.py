"""Checks of what surrounds the server: clock, name servers, proxies."""

from __future__ import annotations

from urllib.parse import urlsplit

from neurobatch.doors import INSIDE
from neurobatch.preflight.model import Facts, Finding, Wanted
from neurobatch.wording import listed

#: Seconds. The probe itself takes some, and the way to the server; beyond the second, certificates and signed
#: manifests of a young age are refused by whoever checks them.
SKEW_WARNED = 60
SKEW_REFUSED = 300
#: What a proxy must leave alone: the server itself, Docker's and Minikube's networks, services and pods, their names.
#: An administrator who names the loopback once has named it.
NO_PROXY = tuple(part for part in INSIDE if part not in {"127.0.0.0/8", "::1"})


def clock(facts: Facts, wanted: Wanted) -> list[Finding]:
    """A clock that is far off fails certificates and signatures; one that nobody sets will be."""
    seen = facts["clock"]
    remedy = "install a time service (`sudo timedatectl set-ntp true`, or chrony) and look with `timedatectl`"
    if wanted.now is not None:
        skew = seen["epoch"] - wanted.now
        if abs(skew) > SKEW_WARNED:
            way = "ahead of" if skew > 0 else "behind"
            message = f"The server's clock is {_duration(abs(skew))} {way} this machine's"
            return [Finding("clock", "refuse" if abs(skew) > SKEW_REFUSED else "warn", message, remedy)]
    if seen["synchronised"] is False:
        return [Finding("clock", "warn", "Nothing keeps the server's clock right, so that it will drift", remedy)]
    return [Finding("clock", "ok", "the clock is right" if wanted.now is not None else "the clock is kept")]


def _duration(seconds: float) -> str:
    for length, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} seconds"


def names(facts: Facts, _: Wanted) -> list[Finding]:
    """Without a name server only addresses work; without its own name every sudo waits for one."""
    seen = facts["names"]
    findings = []
    if not seen["servers"]:
        message = "The server has no name server in /etc/resolv.conf, so that it finds downloads by address only"
        findings.append(Finding("names", "warn", message, "add a line `nameserver ADDRESS`, or set it in the network"))
    if not seen["known"]:
        message = f"The server does not know its own name {seen['hostname']}, so that every sudo waits for an answer"
        findings.append(Finding("names", "warn", message, f"add `127.0.1.1 {seen['hostname']}` to /etc/hosts"))
    return findings or [Finding("names", "ok", f"asks {listed(seen['servers'])}")]


def proxy(facts: Facts, _: Wanted) -> list[Finding]:
    """A proxy must be a URL and must leave the cluster's own networks alone."""
    seen = facts["proxies"]
    urls = {name: url for name, url in seen.items() if name != "no_proxy"}
    if not urls:
        return [Finding("proxy", "ok", "no proxy")]
    wrong = [name for name, url in urls.items() if urlsplit(url).scheme not in {"http", "https"}]
    if wrong:
        name = wrong[0]
        message = f"{name} on the server is {urls[name]}, which is no URL"
        return [Finding("proxy", "refuse", message, f"write `{name}=http://{urls[name]}` in /etc/environment")]
    kept = {part.strip() for part in seen.get("no_proxy", "").split(",")}
    lacking = [] if "*" in kept else [part for part in NO_PROXY if part not in kept]
    if lacking:
        message = f"The server uses the proxy {listed(sorted(set(urls.values())))} also for its own cluster"
        return [Finding("proxy", "warn", message, f"add {','.join(lacking)} to no_proxy in /etc/environment")]
    return [Finding("proxy", "ok", f"through {listed(sorted(set(urls.values())))}")]
