"""The inventory that operators copy: Ansible reads it, our own check passes it, and its comments tell the truth."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from neurobatch import specs

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "inventories" / "example"
VARIABLES = EXAMPLE / "group_vars" / "all.yml"


def program(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name(name), *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)


def uncommented() -> str:
    """Return the variables as an operator has them who takes away every comment sign before a variable."""
    return re.sub(r"^# (?=[a-z_]+:(?: |$)(?!.*[a-z]\.$)|  \S+: \d)", "", VARIABLES.read_text(), flags=re.MULTILINE)


def test_ansible_lists_one_host_that_belongs_to_nobody() -> None:
    listed = program("ansible-inventory", "-i", EXAMPLE, "--list")
    assert listed.returncode == 0, listed.stderr
    assert listed.stderr == ""
    [(name, variables)] = json.loads(listed.stdout)["_meta"]["hostvars"].items()
    assert name == "lab"
    assert variables["ansible_host"] == "192.0.2.10"  # RFC 5737: for documentation


def test_the_inventory_check_passes_it() -> None:
    run = program("ansible-playbook", "-i", EXAMPLE, "playbooks/inventory.yml")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "failed=0" in run.stdout


def test_nothing_is_set_and_every_default_is_the_true_one() -> None:
    assert yaml.safe_load(VARIABLES.read_text()) is None
    shown = yaml.safe_load(uncommented())
    options = specs.settable(specs.load())
    assert set(re.findall(r"^# (\w+):", VARIABLES.read_text(), re.MULTILINE)) & options.keys() == shown.keys()
    assert shown == {name: options[name].spec["default"] for name in shown}


@pytest.mark.parametrize(
    "page",
    ["docs/closed-network.md", "docs/neurodesktop.md", "docs/preflight.md", "docs/sizing.md", "docs/stacks.md"],
)
def test_the_variables_of_the_docs_pass_the_check(tmp_path: Path, page: str) -> None:
    blocks = re.findall(r"```yaml\n(?!# )(.*?)```", (PROJECT / page).read_text(), re.DOTALL)
    assert blocks
    values = {key: value for block in blocks for key, value in yaml.safe_load(block).items()}
    if "stack_dirs" in values:  # the operator's own directory is not on this machine; its file has a test of its own
        del values["stack_dirs"], values["stack"]
    hosts = {"all": {"hosts": {"lab": {"ansible_host": "192.0.2.10", **values}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    run = program("ansible-playbook", "-i", tmp_path / "hosts.yml", "playbooks/inventory.yml")
    assert run.returncode == 0, run.stdout + run.stderr
