"""A second run of site.yml changes, restarts and downloads nothing."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.rehearsal.instance import Instance
from tests.server import playbook, services, traffic

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="counting packets in the server's network needs root here")


@needs_root
def test_a_second_run_leaves_everything_alone(instance: Instance, measured: Callable[[str], None]) -> None:
    before = services.take(instance)
    requests = instance.downloads()
    with traffic.counted(instance) as received:
        result = playbook.run(instance)
        bytes_outside_ssh, bytes_over_ssh = received()
    measured(
        f"a second run: {result.seconds:.1f} s, {bytes_outside_ssh} bytes outside of SSH, {bytes_over_ssh} over SSH"
    )
    assert result.code == 0, result.output
    assert result.recap()["changed"] == 0, result.output
    assert services.take(instance) == before
    assert instance.downloads() == requests
    assert bytes_outside_ssh < 1_000_000
    assert bytes_over_ssh > 1_000  # the counter sees what comes in


@needs_root
def test_the_instruments_would_have_seen_a_download(instance: Instance) -> None:
    requests = instance.downloads()
    url = f"{instance.state['doors']['pip_index_url']}/"
    with traffic.counted(instance) as received:
        instance.ssh(f"python3 -c 'import urllib.request as u; u.urlopen(\"{url}\").read()'")
        assert received()[0] > 100
    assert len(instance.downloads()) == len(requests) + 1
