"""What the rehearsal finds out about the machine before it touches anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rehearsal import engine, gitrepo, roots, server, wheels
from tests.rehearsal.common import Refusal, run


def _status(tmp_path: Path, bounding: str) -> Path:
    path = tmp_path / "status"
    path.write_text(f"Name:\tx\nCapPrm:\t000001ffffffffff\nCapBnd:\t{bounding}\n")
    return path


def test_the_missing_capability_is_read_from_the_bounding_set(tmp_path: Path) -> None:
    assert engine.has_capability(engine.CAP_SYS_RESOURCE, _status(tmp_path, "000001ffffffffff"))
    assert not engine.has_capability(engine.CAP_SYS_RESOURCE, _status(tmp_path, "000001fffeffffff"))


def test_privileged_is_asked_for_only_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "has_capability", lambda bit: True)
    assert engine.privilege_flags() == ["--privileged"]
    monkeypatch.setattr(engine, "has_capability", lambda bit: False)
    assert "--privileged" not in engine.privilege_flags()
    assert "--cap-drop=SYS_RESOURCE" in engine.privilege_flags()


def test_too_little_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROBATCH_MIN_FREE_GB", "1e9")
    with pytest.raises(Refusal, match=r"GB free and the rehearsal needs 1e\+09 GB") as caught:
        engine.check_disk(tmp_path / "not" / "there" / "yet")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("NEUROBATCH_MIN_FREE_GB", "plenty")
    with pytest.raises(Refusal, match="number of gigabytes"):
        engine.check_disk(tmp_path)
    monkeypatch.setenv("NEUROBATCH_MIN_FREE_GB", "0")
    engine.check_disk(tmp_path)


def test_without_a_daemon_and_without_root_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "daemon_version", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refusal, match="No Docker daemon answers and you are not root"):
        engine.ensure(tmp_path)


def test_only_the_very_process_that_we_started_counts_as_ours(tmp_path: Path) -> None:
    assert engine._our_daemon(tmp_path) is None
    # This test's own process is alive, and is no dockerd.
    (tmp_path / "dockerd.json").write_text(f'{{"pid": {os.getpid()}, "started": "{engine._start_time(os.getpid())}"}}')
    assert engine._our_daemon(tmp_path) is None


def test_a_failed_command_is_a_sentence_with_its_last_words() -> None:
    with pytest.raises(Refusal, match="failed with code 3:\nno luck"):
        run(["sh", "-c", "echo no luck >&2; exit 3"])
    with pytest.raises(Refusal, match="is needed and not installed"):
        run(["no-such-command-anywhere"])


def test_a_recipe_is_the_same_for_every_umask_and_changes_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "server" / "etc"
    folder.mkdir(parents=True)
    (folder / "motd").write_text("hello\n")
    monkeypatch.setattr(roots, "FILES", tmp_path)
    key = roots.SERVER.key()
    (folder / "motd").chmod(0o600)
    assert roots.SERVER.key() == key
    (folder / "motd").write_text("goodbye\n")
    assert roots.SERVER.key() != key


def test_the_server_is_bare() -> None:
    asked = set(roots.SERVER.packages)
    assert not asked & {"docker.io", "git", "curl", "python3-pip", "python3-venv", "kubectl", "kubernetes-client"}


def test_the_wheel_index_asks_for_what_the_dockerfile_installs() -> None:
    assert wheels.requested(gitrepo.SOURCE / "Dockerfile") == ["elyra", "jupyter-server-proxy", "jupyterlab"]


def test_the_wheel_index_is_keyed_by_versions_not_by_spelling() -> None:
    assert wheels.store_key({"jupyter_server": "2", "a": "1"}) == wheels.store_key({"a": "1", "Jupyter.Server": "2"})
    assert wheels.store_key({"a": "1"}) != wheels.store_key({"a": "2"})


def test_ssh_pins_the_host_key_also_in_a_path_with_spaces(tmp_path: Path) -> None:
    state = tmp_path / "my check out"
    options = server.ssh_options(state)
    assert f'UserKnownHostsFile="{state}/known_hosts"' in options
    assert "StrictHostKeyChecking=yes" in options
    # ssh itself reads the option back as one path.
    shown = run(["ssh", "-G", "-F", "/dev/null", *options, "nowhere.invalid"]).stdout
    assert f"userknownhostsfile {state}/known_hosts" in shown
