"""Names, places and addresses, all derived from the checkout's path, so that clones do not meet."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal.common import Refusal

CHECKOUT = Path(__file__).resolve().parents[2]
"""The checkout that this file belongs to."""

LABEL = "neurobatch.rehearsal"
"""Docker label of everything the rehearsal makes; its value is the instance's prefix."""

Network = ipaddress.IPv4Network

_LAST_OCTETS = {"server": 10, "mirror": 11, "stranger": 12}


def checkout_hash(checkout: Path) -> str:
    """Return eight hex digits that stand for a checkout's real path."""
    return hashlib.sha256(os.path.realpath(checkout).encode()).hexdigest()[:8]


def cache_root(environ: dict[str, str] | None = None, checkout: Path = CHECKOUT) -> Path:
    """Return the folder of everything that may be kept between rehearsals.

    Raises:
        Refusal: it would lie inside the checkout.
    """
    env = dict(os.environ) if environ is None else environ
    base = env.get("NEUROBATCH_CACHE") or os.path.join(
        env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or str(Path.home()), ".cache"), "neurobatch"
    )
    root = Path(os.path.realpath(base))
    if root == checkout.resolve() or checkout.resolve() in root.parents:
        raise Refusal(f"NEUROBATCH_CACHE points into the checkout ({root}); choose a folder outside of it.")
    return root


def subnet_candidates(prefix: str) -> Iterator[Network]:
    """Yield /24 networks for an instance, the same ones in the same order every time.

    They lie in 10.128.0.0 - 10.239.255.0: out of the way of Docker's own pools (172.17.0.0/12, 192.168.0.0/16),
    of Minikube's node (192.168.49.0/24), and of Kubernetes' usual service and pod ranges (10.96.0.0/12,
    10.244.0.0/16), all of which come to live inside the server.
    """
    for attempt in range(64):
        digest = hashlib.sha256(f"{prefix}/{attempt}".encode()).digest()
        yield Network(f"10.{128 + digest[0] % 112}.{digest[1]}.0/24")


def choose_subnet(prefix: str, taken: Iterable[Network]) -> Network:
    """Return the first candidate that overlaps with none of the networks in use.

    Raises:
        Refusal: every candidate overlaps.
    """
    used = [net for net in taken if net.prefixlen > 0]
    for candidate in subnet_candidates(prefix):
        if not any(candidate.overlaps(net) for net in used):
            return candidate
    raise Refusal("No free /24 network is left in 10.128.0.0 - 10.239.255.0 on this machine: free one of its routes.")


@dataclass(frozen=True)
class Names:
    """What one instance of one checkout calls its things.

    Attributes:
        instance: ``demo``, ``test`` or another short name.
        checkout: the checkout's path.
    """

    instance: str
    checkout: Path = CHECKOUT

    def __post_init__(self) -> None:
        """Refuse a name that Docker, ssh or a path would not take."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", self.instance):
            raise Refusal(
                f"An instance's name is up to 20 lower-case letters, digits and dashes, not `{self.instance}`."
            )

    @property
    def prefix(self) -> str:
        """``nb-<8 hex>-<instance>``, with which every name begins."""
        return f"nb-{checkout_hash(self.checkout)}-{self.instance}"

    @property
    def network(self) -> str:
        """Name of the Docker network."""
        return f"{self.prefix}-net"

    @property
    def state_dir(self) -> Path:
        """Folder of the instance's keys and state, git-ignored; gone after `down`."""
        return self.checkout / ".rehearsal" / self.instance

    @property
    def inventory(self) -> Path:
        """The inventory file that `up` writes."""
        if self.instance == "demo":
            return self.checkout / "inventories" / "sandbox" / "hosts.yml"
        return self.state_dir / "inventory" / "hosts.yml"

    def container(self, part: str) -> str:
        """Name of the container ``server``, ``mirror`` or ``stranger`` (or of a helper)."""
        return f"{self.prefix}-{part}"

    def volume(self, purpose: str) -> str:
        """Name of one of the server's volumes."""
        return f"{self.prefix}-server-{purpose}"

    def labels(self) -> list[str]:
        """Arguments that label a container, network or volume as this instance's."""
        return ["--label", f"{LABEL}={self.prefix}", "--label", f"{LABEL}.checkout={self.checkout}"]


def address(subnet: Network, part: str) -> str:
    """Return the fixed address of ``server``, ``mirror`` or ``stranger`` in an instance's network."""
    return str(subnet.network_address + _LAST_OCTETS[part])
