"""The cluster's size: rules that hold on every host, and the figures of the guide (S0-29, S0-30)."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st
from neurobatch import sizing
from neurobatch.sizing import GIB, MIB, Size, SizingError, size

#: No time limit per example and no database: the suite also runs on a loaded machine and leaves nothing behind.
everywhere = settings(deadline=None, database=None, max_examples=300)
CPUS = st.integers(2, 256)
MEMORY = st.integers(10 * GIB, 2048 * GIB)
TOO_LITTLE_MEMORY = st.integers(0, int(10 * GIB * (1 - sizing.MEMORY_TOLERANCE)) - 1)


@everywhere
@given(CPUS, MEMORY)
def test_every_host_that_is_large_enough_gets_a_cluster_and_keeps_its_share(cpus: int, memory: int) -> None:
    chosen = size(cpus, memory)
    assert sizing.MIN_CPUS <= chosen.cpus <= min(cpus, sizing.GUIDE_CPUS)
    assert sizing.FLOOR_MEMORY_MIB <= chosen.memory_mib <= sizing.GUIDE_MEMORY_MIB
    assert memory // MIB - chosen.memory_mib >= sizing.RESERVED_MIB
    assert chosen.step_cpus > 0
    assert chosen.step_memory_mib >= 1024  # one notebook


@everywhere
@given(CPUS, MEMORY)
def test_a_warning_tells_what_the_guide_has_more_and_nothing_else(cpus: int, memory: int) -> None:
    chosen = size(cpus, memory)
    short = [chosen.cpus < 5, chosen.memory_mib < 9216]
    assert len(chosen.warnings) == sum(short)
    assert all("never starts" in warning for warning in chosen.warnings)


@everywhere
@given(CPUS, MEMORY, st.integers(0, 64), st.integers(0, 512 * GIB))
def test_more_host_never_means_less_cluster(cpus: int, memory: int, more_cpus: int, more_memory: int) -> None:
    small, large = size(cpus, memory), size(cpus + more_cpus, memory + more_memory)
    assert (large.cpus, large.memory_mib) >= (small.cpus, small.memory_mib)
    assert len(large.warnings) <= len(small.warnings)


@everywhere
@given(CPUS, MEMORY, st.integers(-5, 300), st.integers(-5, 3 * 2**20))
def test_a_wish_is_granted_to_the_letter_or_refused_with_its_limits(
    cpus: int, memory: int, wish_cpus: int, wish_mib: int
) -> None:
    room = memory // MIB - sizing.RESERVED_MIB
    fits = wish_cpus in {0, *range(2, cpus + 1)} and (wish_mib == 0 or sizing.FLOOR_MEMORY_MIB <= wish_mib <= room)
    if fits:
        chosen = size(cpus, memory, wish_cpus, wish_mib)
        assert wish_cpus in {0, chosen.cpus}
        assert wish_mib in {0, chosen.memory_mib}
    else:
        with pytest.raises(SizingError, match=r"must be 0 \(automatic\) or from \d+ .*to \d+"):
            size(cpus, memory, wish_cpus, wish_mib)


@everywhere
@given(st.integers(0, 256), st.integers(0, 2048 * GIB), st.integers(0, 300), st.integers(0, 10**6))
def test_what_exists_is_never_resized(host_cpus: int, memory: int, cpus: int, memory_mib: int) -> None:
    existing = Size(4, 8000)
    kept = size(host_cpus, memory, cpus, memory_mib, existing=existing)
    assert (kept.cpus, kept.memory_mib) == (4, 8000)
    assert len(kept.warnings) == (cpus not in {0, 4}) + (memory_mib not in {0, 8000})


@everywhere
@given(st.integers(0, 1), MEMORY)
def test_fewer_than_two_cpus_are_refused(cpus: int, memory: int) -> None:
    with pytest.raises(SizingError, match="at least 2 are needed"):
        size(cpus, memory)


@everywhere
@given(CPUS, TOO_LITTLE_MEMORY)
def test_less_than_a_nominal_10_gib_is_refused(cpus: int, memory: int) -> None:
    with pytest.raises(SizingError, match="at least 10 GiB are needed"):
        size(cpus, memory)


@pytest.mark.parametrize(
    ("cpus", "gib", "chosen"),
    [(2, 10, (2, 6144)), (4, 16, (4, 9216)), (5, 13, (5, 9216)), (8, 32, (5, 9216)), (64, 512, (5, 9216))],
)
def test_the_guide_s_size_where_it_fits(cpus: int, gib: int, chosen: tuple[int, int]) -> None:
    got = size(cpus, gib * GIB)
    assert (got.cpus, got.memory_mib) == chosen


def test_a_nominal_10_gib_as_linux_counts_it_carries_a_notebook() -> None:
    smallest = size(2, int(10 * GIB * (1 - sizing.MEMORY_TOLERANCE)) + 1)
    assert smallest.memory_mib == 5529
    assert smallest.step_memory_mib == 1023


def test_what_is_said_about_a_small_host() -> None:
    assert size(2, 12 * GIB).warnings == (
        "The cluster gets 2 of the guide's 5 CPUs: its steps may ask for 0.5 together, and one that asks for more "
        "never starts.",
        "The cluster gets 8192 of the guide's 9216 MiB: its steps may ask for 3686 together, and one that asks for "
        "more never starts.",
    )


def test_the_filter_takes_numbers_as_the_command_line_gives_them() -> None:
    path = Path(__file__).resolve().parents[2] / "filter_plugins" / "sizing.py"
    plugin = runpy.run_path(str(path))["FilterModule"]().filters()["neurobatch_cluster_size"]
    host = {"cpus": 8, "memory_bytes": 32 * GIB}
    assert plugin(host, "4", "8192")["memory_mib"] == 8192
    assert plugin(host, 0, 0, {"cpus": 2, "memory_mib": 6144, "kubernetes": "v1.29.15"})["cpus"] == 2
    with pytest.raises(AnsibleFilterError, match="minikube_cpus is 9, but must be 0"):
        plugin(host, "9", 0)
