"""Names, places and addresses of the rehearsal: derived from the checkout, and never meeting another clone's."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.rehearsal.common import Refusal
from tests.rehearsal.names import Names, address, cache_root, checkout_hash, choose_subnet, subnet_candidates


def test_names_carry_the_checkout_and_the_instance(tmp_path: Path) -> None:
    demo = Names("demo", tmp_path)
    assert demo.prefix == f"nb-{checkout_hash(tmp_path)}-demo"
    assert demo.container("server") == f"{demo.prefix}-server"
    assert demo.network == f"{demo.prefix}-net"
    assert demo.state_dir == tmp_path / ".rehearsal" / "demo"


def test_two_checkouts_differ_and_a_link_does_not(tmp_path: Path) -> None:
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    one.mkdir()
    two.mkdir()
    link.symlink_to(one)
    assert checkout_hash(one) != checkout_hash(two)
    assert checkout_hash(one) == checkout_hash(link)


def test_only_the_demo_writes_the_sandbox_inventory(tmp_path: Path) -> None:
    assert Names("demo", tmp_path).inventory == tmp_path / "inventories" / "sandbox" / "hosts.yml"
    assert Names("test", tmp_path).inventory == tmp_path / ".rehearsal" / "test" / "inventory" / "hosts.yml"


@pytest.mark.parametrize("name", ["", "Demo", "../up", "a b", "-x", "a" * 21])
def test_a_name_that_docker_or_a_path_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="instance's name"):
        Names(name)


def test_subnets_are_stable_and_out_of_the_way_of_docker_and_kubernetes() -> None:
    first = list(subnet_candidates("nb-00000000-demo"))
    assert first == list(subnet_candidates("nb-00000000-demo"))
    used = [IPv4Network(text) for text in ("172.16.0.0/12", "192.168.0.0/16", "10.96.0.0/12", "10.244.0.0/16")]
    for candidate in first:
        assert candidate.prefixlen == 24
        assert candidate.subnet_of(IPv4Network("10.128.0.0/9"))
        assert not any(candidate.overlaps(net) for net in used)


def test_a_subnet_in_use_is_passed_over() -> None:
    first, second, *_ = subnet_candidates("nb-00000000-demo")
    assert choose_subnet("nb-00000000-demo", [IPv4Network("0.0.0.0/0")]) == first
    assert choose_subnet("nb-00000000-demo", [IPv4Network(f"{first.network_address + 7}/32")]) == second
    with pytest.raises(Refusal, match="No free /24"):
        choose_subnet("nb-00000000-demo", [IPv4Network("10.0.0.0/8")])


def test_addresses_are_fixed_within_the_subnet() -> None:
    subnet = IPv4Network("10.200.7.0/24")
    assert [address(subnet, part) for part in ("server", "mirror", "stranger")] == [
        "10.200.7.10",
        "10.200.7.11",
        "10.200.7.12",
    ]


def test_the_cache_follows_the_environment_and_stays_out_of_the_checkout(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    assert cache_root({"NEUROBATCH_CACHE": str(tmp_path / "c")}, checkout) == tmp_path / "c"
    assert cache_root({"XDG_CACHE_HOME": str(tmp_path / "x")}, checkout) == tmp_path / "x" / "neurobatch"
    assert cache_root({"HOME": str(tmp_path)}, checkout) == tmp_path / ".cache" / "neurobatch"
    with pytest.raises(Refusal, match="into the checkout"):
        cache_root({"NEUROBATCH_CACHE": str(checkout / "cache")}, checkout)
