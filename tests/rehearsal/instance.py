"""One instance of the rehearsal: brought up, looked at, rebooted, taken down.

From Python::

    from tests.rehearsal.instance import Instance

    demo = Instance("demo")
    demo.up()
    demo.ssh("hostname").stdout          # over real SSH, as the unprivileged user
    demo.execute("stranger", "ip", "route").stdout
    demo.route_stranger("127.0.0.0/8")   # through the server, as a malicious neighbour would
    demo.stranger_reaches("127.0.0.1", 8888)
    demo.downloads()                     # every request that the mirror has served
    demo.down()
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from tests.rehearsal import engine, gitrepo, mirror, roots, server, wheels
from tests.rehearsal.cluster import node, programs
from tests.rehearsal.common import Refusal, locked, run, say
from tests.rehearsal.cvmfs import build as cvmfs
from tests.rehearsal.cvmfs import stratum
from tests.rehearsal.kfp import archive as kfp_archive
from tests.rehearsal.kfp import images as kfp_images
from tests.rehearsal.names import CHECKOUT, LABEL, Names, Network, address, cache_root, choose_subnet
from tests.rehearsal.stackfiles import STACK, STACKS, constraints, known_stacks, stack_file

PARTS = ("server", "mirror", "stranger")
REGISTRIES = ("docker.io", "gcr.io", "registry.k8s.io", "registry.cern.ch", "quay.io", "ghcr.io")


class Instance:
    """A named rehearsal of this checkout."""

    def __init__(self, instance: str = "demo", checkout: Path = CHECKOUT, stack: str = "") -> None:
        """Name the instance; nothing is started or read yet.

        Args:
            instance: its name.
            checkout: the checkout that it belongs to.
            stack: of `stacks/`; empty for that of the instance that is there, or the first.

        Raises:
            Refusal: no such stack.
        """
        if stack and stack not in known_stacks():
            raise Refusal(f"The rehearsal has no stack {stack}: take {' or '.join(known_stacks())}.")
        self.names = Names(instance, checkout.resolve())
        self.cache = cache_root(checkout=checkout)
        self._wanted = stack

    # --- what is there -------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Any]:
        """The record that `up` wrote last, after everything answered.

        Raises:
            Refusal: the instance is not up.
        """
        try:
            loaded: dict[str, Any] = json.loads((self.names.state_dir / "state.json").read_text())
        except (OSError, ValueError):
            name = self.names.instance
            raise Refusal(
                f"The rehearsal `{name}` is not up: start it with `python -m tests.rehearsal up --instance {name}`."
            ) from None
        return loaded

    @property
    def stack(self) -> str:
        """The stack that the server is provisioned with.

        Raises:
            Refusal: another one than it was brought up with is asked for.
        """
        try:
            running: str = self.state.get("stack", STACK)
        except Refusal:
            return self._wanted or STACK
        if self._wanted not in ("", running):
            name = self.names.instance
            raise Refusal(
                f"The rehearsal `{name}` is up with {running}, and a server keeps its stack: end it with "
                f"`python -m tests.rehearsal down --instance {name}`, then start it with {self._wanted}."
            )
        return running

    def status(self) -> dict[str, Any]:
        """Return what runs: ``{instance, up, engine, containers: {part: state}, state: {…}|None}``."""
        version = engine.daemon_version()
        containers = {part: self._container_state(part) if version else "unknown" for part in PARTS}
        try:
            state: dict[str, Any] | None = self.state
        except Refusal:
            state = None
        return {
            "instance": self.names.instance,
            "up": state is not None and all(value == "running" for value in containers.values()),
            "engine": version,
            "containers": containers,
            "state": state,
        }

    def _container_state(self, part: str) -> str:
        """Return Docker's word for a container's state (running, exited, …) or absent."""
        name = self.names.container(part)
        return engine.docker("inspect", "--format", "{{.State.Status}}", name, check=False) or "absent"

    # --- use -----------------------------------------------------------------------------------------

    def ssh(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the server over SSH, as the unprivileged user (who may sudo)."""
        return run([*server.ssh_command(self.names.state_dir, self.state["server_ip"]), command], check=check)

    def execute(self, part: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside a container of the instance; meant for the stranger and the mirror."""
        return run(["docker", "exec", self.names.container(part), *command], check=check)

    def route_stranger(self, *networks: str) -> None:
        """Give the stranger routes through the server, for example to ``127.0.0.0/8`` or to a bridge of its.

        The stranger's own loopback address goes away first: as long as it has one, it drops answers that
        come from 127.0.0.1, and the server's would never be seen.
        """
        self.execute("stranger", "ip", "address", "flush", "dev", "lo")
        for network in networks:
            self.execute("stranger", "ip", "route", "replace", network, "via", self.state["server_ip"])

    def stranger_reaches(self, address: str, port: int, *, seconds: float = 2) -> bool:
        """Tell whether the stranger can open a TCP connection; neither a refusal nor silence counts as one."""
        program = f"import socket; socket.create_connection(({address!r}, {port}), {seconds}).close()"
        return self.execute("stranger", "python3", "-c", program, check=False).returncode == 0

    def downloads(self) -> list[str]:
        """Return the mirror's access log, one request a line, whichever door it came through."""
        return (self.names.state_dir / "mirror-log" / "access.log").read_text().splitlines()

    def reboot(self) -> None:
        """Restart the server and wait until it lets us in again."""
        say("restarting the server")
        server.reboot(self.names, self.state["server_ip"])
        say("the server is back")

    # --- up ------------------------------------------------------------------------------------------

    def up(self) -> dict[str, Any]:
        """Bring the instance up, or what of it is missing, and return its state; the first time builds Kubernetes."""
        say(f"the stack is {self.stack}")
        engine.check_disk(self.cache)
        lock = self.cache / "locks" / f"{self.names.prefix}.lock"
        with engine.starting(), locked(lock, "starting or stopping this rehearsal"):
            engine.ensure(self.cache / "run")
            engine.check_disk(Path(engine.docker("info", "--format", "{{.DockerRootDir}}")))
            engine.ensure_command("git", "git")
            return self._up()

    def _up(self) -> dict[str, Any]:
        self.names.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        roots.prepare(self.cache)
        simple = wheels.ensure(constraints(self.stack), self.names, self.cache)
        registry = mirror.ensure_registry(self.names, self.cache)
        commit = gitrepo.build(self.names.state_dir / "git")
        expected = stack_file(self.stack)["neurodesktop"]["commit"]
        if commit != expected:
            raise Refusal(
                f"tests/rehearsal/neurodesktop makes commit {commit}, and tests/rehearsal/stacks/{self.stack}.yml "
                f"names {expected}: run `python -m tests.rehearsal pin`."
            )
        files = self.cache / "store" / "files"
        node.ensure(self.names, self.cache, registry)
        kfp_images.ensure(self.names, self.cache, registry)
        programs.ensure(self.names, self.cache, files)
        kfp_archive.ensure(files)
        cvmfs.ensure(self.names, self.cache, registry, files)
        log = self.names.state_dir / "mirror-log"
        for folder in (files, log):
            folder.mkdir(parents=True, exist_ok=True)
        served = self.names.state_dir / "stratum"
        stratum.write(served, stratum.load_key(self.names.state_dir / "stratum-key.pem"))
        stores = mirror.Stores(registry, files, simple, self.names.state_dir / "git", served / "cvmfs", log)

        with locked(self.cache / "locks" / "images.lock", "importing or removing images"):
            server_image = roots.image(roots.SERVER, self.cache)
            mirror_image = roots.image(roots.MIRROR, self.cache)
            fingerprint = hashlib.sha256(json.dumps([mirror_image, *stores.mounts()]).encode()).hexdigest()[:12]
            kept = self._still_good()
            if kept:
                subnet = Network(kept["subnet"])
                self._revive(subnet, fingerprint)
            else:
                self._remove_containers()
                subnet = choose_subnet(self.names.prefix, engine.networks_in_use(but=self.names.network))
                engine.docker(
                    "network", "create", *self.names.labels(), f"--subnet={subnet}", "--driver=bridge",
                    self.names.network,
                )  # fmt: skip
                server.make_keys(self.names.state_dir, address(subnet, "server"))
                say(f"booting the server at {address(subnet, 'server')}")
                server.create(self.names, server_image, address(subnet, "server"))
            if self._container_state("mirror") == "absent":
                mirror.create(self.names, mirror_image, stores, address(subnet, "mirror"), fingerprint)
            if self._container_state("stranger") == "absent":
                server.create_stranger(self.names, mirror_image, address(subnet, "stranger"))
        mirror.wait_for(self.names, address(subnet, "mirror"))
        server.wait_for(self.names, address(subnet, "server"))
        state = self._write_state(subnet, commit)
        say(f"the server answers at {state['server_ip']}")
        return state

    def _still_good(self) -> dict[str, Any] | None:
        """Return the state of an instance whose server and network still exist, else None."""
        try:
            state = self.state
        except Refusal:
            return None
        network = engine.docker("network", "ls", "-q", "--filter", f"name=^{self.names.network}$")
        return state if network and self._container_state("server") != "absent" else None

    def _revive(self, subnet: Network, fingerprint: str) -> None:
        """Start what is stopped (the server keeps what was installed), and drop a mirror of other stores."""
        name = self.names.container("mirror")
        found = engine.docker(
            "inspect", "--format", '{{index .Config.Labels "neurobatch.fingerprint"}}', name, check=False
        )
        if found and found != fingerprint:
            say("the mirror's stores have changed; making the mirror anew")
            engine.docker("rm", "-f", "-v", name)
        for part in PARTS:
            if self._container_state(part) not in ("running", "absent"):
                say(f"starting the stopped {part} at {address(subnet, part)}")
                engine.docker("start", self.names.container(part))

    def _write_state(self, subnet: Network, commit: str) -> dict[str, Any]:
        """Write state.json and the inventory, and return the state."""
        names = self.names
        doors = mirror.Doors.at(address(subnet, "mirror"))
        state: dict[str, Any] = {
            "instance": names.instance,
            "stack": self.stack,
            "checkout": str(names.checkout),
            "network": names.network,
            "subnet": str(subnet),
            **{f"{part}_ip": address(subnet, part) for part in PARTS},
            "containers": {part: names.container(part) for part in PARTS},
            "user": server.USER,
            "private_key": str(names.state_dir / "id_ed25519"),
            "known_hosts": str(names.state_dir / "known_hosts"),
            "access_log": str(names.state_dir / "mirror-log" / "access.log"),
            "inventory": str(names.inventory),
            "doors": asdict(doors),
            "neurodesktop_commit": commit,
        }
        names.inventory.parent.mkdir(parents=True, exist_ok=True)
        names.inventory.write_text(self._inventory(state, doors))
        temporary = names.state_dir / "state.json.new"
        temporary.write_text(json.dumps(state, indent=2) + "\n")
        temporary.replace(names.state_dir / "state.json")
        return state

    def _inventory(self, state: dict[str, Any], doors: mirror.Doors) -> str:
        """Return the inventory: one host, and what an operator of a closed network would set."""
        host = {
            "ansible_host": state["server_ip"],
            "ansible_user": server.USER,
            "ansible_ssh_private_key_file": state["private_key"],
            "ansible_ssh_common_args": server.ssh_common_args(self.names.state_dir),
            "ansible_python_interpreter": "/usr/bin/python3",
            "stack": state["stack"],
            "stack_dirs": [str(STACKS)],
            "registry_mirrors": dict.fromkeys(REGISTRIES, doors.registry),
            "artifact_mirror": doors.artifact_mirror,
            "pip_index_url": doors.pip_index_url,
            "neurodesktop_repo": doors.neurodesktop_repo,
            "cvmfs_servers": list(doors.cvmfs_servers),
            "cvmfs_public_key": stratum.public_pem(stratum.load_key(self.names.state_dir / "stratum-key.pem")),
            # The toy that starts as an unpacked container does.
            "cvmfs_csi_tool_module": "unpacked",
            "cvmfs_csi_tool_command": "unpacked",
            "preflight_min_free_gb": {"/var/lib/docker": 8, "~": 1},
        }
        text = yaml.safe_dump({"all": {"hosts": {server.HOSTNAME: host}}}, sort_keys=False, width=200)
        return (
            f"---\n# Written by `python -m tests.rehearsal up --instance {self.names.instance}`; do not edit.\n{text}"
        )

    # --- down ----------------------------------------------------------------------------------------

    def down(self) -> None:
        """Remove everything of the instance but the cache; stop Docker if we started it and are the last."""
        with locked(self.cache / "locks" / f"{self.names.prefix}.lock", "starting or stopping this rehearsal"):
            if engine.daemon_version() is None and self.names.state_dir.exists():
                # Its containers are on the disk and would come back with the next daemon.
                engine.ensure(self.cache / "run")
            if engine.daemon_version() is not None:
                self._remove_containers()
            self._remove_files()
            with engine.nobody_starting() as alone:
                # Otherwise the one that is started needs both, and takes them away with its own `down`.
                if alone and engine.daemon_version() is not None:
                    _remove_unused_images()
                    engine.stop_if_ours(self.cache / "run")

    def _remove_containers(self) -> None:
        """Remove this instance's containers, network and volumes, found by label."""
        mine = f"label={LABEL}={self.names.prefix}"
        running = engine.docker("ps", "-q", "--filter", mine, "--filter", f"name={self.names.container('server')}")
        if running:
            # In order, so that the server's own Docker takes down its containers' networks and cgroups.
            engine.docker("stop", "--time=20", self.names.container("server"), check=False)
        containers = engine.docker("ps", "-aq", "--filter", mine).split()
        if containers:
            engine.docker("rm", "-f", "-v", *containers)
        for network in engine.docker("network", "ls", "-q", "--filter", mine).split():
            engine.docker("network", "rm", network)
        volumes = engine.docker("volume", "ls", "-q", "--filter", mine).split()
        if volumes:
            engine.docker("volume", "rm", *volumes)

    def _remove_files(self) -> None:
        """Remove the state folder and the inventory, and their parents when nothing else is in them."""
        shutil.rmtree(self.names.state_dir, ignore_errors=True)
        inventory = self.names.inventory
        inventory.unlink(missing_ok=True)
        for folder in (inventory.parent, self.names.state_dir.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _remove_unused_images() -> None:
    """Remove the rehearsal's image tags that no container (of any checkout) uses."""
    tags = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "nb-rehearsal/*").split()
    for tag in tags:
        if not engine.docker("ps", "-aq", "--filter", f"ancestor={tag}"):
            engine.docker("rmi", tag, check=False)
