"""Keep one forward into the cluster up, as a systemd service: NAME is the first argument.

kubectl's forward ends with the pod behind it, and can hang while its process lives. So this asks through the port every
few seconds, starts kubectl again when it has ended, and kills it when it no longer answers. It ends itself when nothing
helps for a while: systemd starts it again, with the cluster's access data read anew. Never does it wait for the cluster
before it says that it is ready, since a boot would wait with it.

Parameters: config, path of a JSON file {kubectl, forwards}; a forward has name, namespace, service, service_port, port,
path and listen (addresses).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neurobatch.remote.common import http_status, may_bind

#: Seconds between questions, for one answer, and without any answer until systemd shall start this anew.
INTERVAL, PATIENCE, GIVE_UP = 5.0, 4.0, 30.0
#: Seconds that kubectl gets to make the forward before a question may count against it.
GRACE = 10.0
#: A forward that hangs is noticed after one interval, two questions without an answer and the pause between them.
NOTICE = INTERVAL + 2 * PATIENCE + 1.0


def notify(state: str) -> None:
    """Tell systemd something (sd_notify(3)); without systemd this is a no-op."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())


class Forward:
    """One kubectl process, replaced as often as it takes."""

    def __init__(self, kubectl: str, spec: dict[str, Any], kubeconfig: str) -> None:
        """Start nothing yet."""
        self.kubectl, self.spec, self.kubeconfig = kubectl, spec, kubeconfig
        self.process: subprocess.Popen[str] | None = None
        self.addresses: list[str] = []
        self.born = 0.0
        self.said = ""
        self.turn = 0

    def alive(self) -> bool:
        """Return whether kubectl runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start kubectl on those addresses that the machine has now: on one that it has not, kubectl would end."""
        self.stop()
        self.addresses = [address for address in self.spec["listen"] if may_bind(address)]
        argv = [
            self.kubectl,
            f"--kubeconfig={self.kubeconfig}",
            f"--namespace={self.spec['namespace']}",
            "port-forward",
            f"--address={','.join(self.addresses)}",
            f"service/{self.spec['service']}",
            f"{self.spec['port']}:{self.spec['service_port']}",
        ]
        env = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
        )
        self.born = time.monotonic()
        threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True).start()

    def _listen(self, complaints: Iterable[str]) -> None:
        """Pass on what kubectl complains about, each complaint once in a row."""
        for line in complaints:
            if line.strip() and line != self.said:
                print(line.strip(), file=sys.stderr, flush=True)
            self.said = line

    def stop(self) -> None:
        """End kubectl, at once: a process that hangs does not end when asked."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def moved(self) -> bool:
        """Return whether the machine has other addresses of those wanted than when kubectl was started."""
        return self.addresses != [address for address in self.spec["listen"] if may_bind(address)]

    def answers(self) -> bool:
        """Ask through the port, at each address in turn."""
        if not self.addresses:
            return False
        self.turn += 1
        address = self.addresses[self.turn % len(self.addresses)]
        return http_status(address, self.spec["port"], self.spec["path"], PATIENCE) > 0


def watch(forward: Forward) -> str:
    """Keep the forward up; return why that is hopeless for now."""
    answered = time.monotonic()
    up, heard, failures = False, False, 0
    while True:
        if not forward.alive() or forward.moved():
            forward.start()
            up, failures = False, 0
        ok = forward.answers()
        notify("WATCHDOG=1")
        now = time.monotonic()
        if ok:
            if not up:
                where = ", ".join(f"{address}:{forward.spec['port']}" for address in forward.addresses)
                since = f", {now - answered:.1f} s after the last answer" if heard else ""
                print(f"{forward.spec['service']} answers at {where}{since}", file=sys.stderr, flush=True)
                notify(f"STATUS=answers at {where}")
            up, heard, failures, answered = True, True, 0, now
        else:
            failures += 1
            notify("STATUS=waiting for an answer from the cluster")
            if failures >= 2 and (up or now - forward.born > GRACE):
                silent = f"no answer through the forward for {now - answered:.1f} s (noticed within {NOTICE:.0f} s)"
                print(f"{silent}; making it anew", file=sys.stderr, flush=True)
                forward.stop()
        if now - answered > GIVE_UP:
            return f"no answer from {forward.spec['service']} for {GIVE_UP:.0f} s"
        pause = now + (INTERVAL if ok else 1.0)
        while time.monotonic() < pause and (not ok or forward.alive()):
            time.sleep(0.25)


def main(params: dict[str, Any]) -> None:
    """Run until systemd ends it."""
    config = json.loads(Path(params["config"]).read_text(encoding="utf-8"))
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    spec = next((each for each in config["forwards"] if each["name"] == name), None)
    if spec is None:
        sys.exit(f"{params['config']} has no forward {name}")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    kubeconfig = f"{folder}/kubeconfig" if folder else os.environ.get("KUBECONFIG", "/etc/neurobatch/kubeconfig")
    os.environ["KUBECACHEDIR"] = "/tmp/kube-cache"  # noqa: S108  # the unit has a /tmp of its own
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    forward = Forward(config["kubectl"], spec, kubeconfig)
    notify("READY=1\nSTATUS=waiting for an answer from the cluster")
    try:
        sys.exit(watch(forward))
    finally:
        forward.stop()
