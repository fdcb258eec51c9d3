"""/etc/hosts: one line, the same to the byte after another run, and as it was after removal (S0-60, S0-61)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.access import use
from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.server import playbook

Root = Callable[..., str]
NAME = "minio-service.kubeflow.svc.cluster.local"
DIGEST = "sha256sum /etc/hosts; stat -c '%a %U %G' /etc/hosts"


def test_the_name_is_there_once_and_known_in_the_container(instance: Instance, root: Root) -> None:
    text = root("cat /etc/hosts")
    assert len(re.findall(rf"^\S+.*{re.escape(NAME)}", text, re.MULTILINE)) == 1
    assert use.inside(instance, f"getent hosts {NAME}").startswith("172.29.88.1")
    assert root(f"getent hosts {NAME}").startswith("127.0.0.1")


@pytest.fixture
def removal(tmp_path: Path) -> str:
    """A playbook that undoes the role."""
    book = tmp_path / "remove.yml"
    task = "ansible.builtin.include_role:\n        name: port_forward\n        tasks_from: remove"
    book.write_text(f"- hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n    - {task}\n")
    return str(book)


def test_removal_gives_the_file_back_and_another_run_brings_it_all_again(
    instance: Instance, root: Root, removal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", str(CHECKOUT / "roles"))
    with_entry = root(DIGEST)
    before = root(
        'python3 -c \'import json; print(json.load(open("/var/lib/neurobatch/port_forward/hosts-before.json"))'
        '["before"], end="")\' | sha256sum'
    )
    result = playbook.run(instance, playbook=removal)
    assert result.code == 0, result.output
    assert root("sha256sum < /etc/hosts") == before
    assert NAME not in root("cat /etc/hosts")
    assert root("systemctl list-units --no-legend 'neurobatch-forward@*' neurobatch-hosts.service") == ""
    again = playbook.run(instance)
    assert again.code == 0, again.output
    assert root(DIGEST) == with_entry
    last = playbook.run(instance)
    assert (last.code, last.recap()["changed"]) == (0, 0), last.output
    assert root(DIGEST) == with_entry
