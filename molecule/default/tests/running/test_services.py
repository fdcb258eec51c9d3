"""The engine, the unit, the files: as the roles promise them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from testinfra.host import Host

SECRETS = "/etc/neurobatch/secrets/neurodesktop"


@pytest.mark.unit("docker.service", "neurodesktop.service")
@pytest.mark.parametrize("name", ["docker", "neurodesktop"])
def test_the_service_runs_and_comes_back_after_a_reboot(host: Host, name: str) -> None:
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


@pytest.mark.unit("docker.service", "neurodesktop.service", "ssh.service")
def test_no_unit_has_failed(host: Host) -> None:
    assert host.check_output("systemctl --failed --no-legend --plain") == ""


@pytest.mark.unit("neurodesktop.service")
def test_the_service_has_not_been_restarting(host: Host) -> None:
    assert host.check_output("systemctl show neurodesktop --property=NRestarts --value") == "0"


def test_the_administrators_docker_settings_are_kept(root: Callable[..., str]) -> None:
    settings = json.loads(root("cat /etc/docker/daemon.json"))
    assert settings["labels"] == ["lab=imaging"]
    assert settings["shutdown-timeout"] == 25
    info = json.loads(root("docker info --format '{{json .}}'"))
    assert info["Labels"] == ["lab=imaging"]


def test_container_logs_are_rotated(root: Callable[..., str]) -> None:
    settings = json.loads(root("cat /etc/docker/daemon.json"))
    assert settings["log-driver"] == "json-file"
    assert settings["log-opts"] == {"max-size": "50m", "max-file": "3"}
    used = json.loads(root("docker inspect --format '{{json .HostConfig.LogConfig}}' neurodesktop"))
    assert used == {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "3"}}


def test_the_login_user_may_talk_to_docker(host: Host) -> None:
    assert "docker" in host.user("engineer").groups
    assert "docker" not in host.user("guest").groups
    assert sorted(host.check_output("docker ps --format '{{.Names}}'").split()) == ["minikube", "neurodesktop"]


def test_the_storage_folder_belongs_to_the_login_user(host: Host) -> None:
    folder = host.file("/home/engineer/neurodesktop-storage")
    assert folder.is_directory
    assert (folder.user, folder.group) == ("engineer", "engineer")


def test_secrets_are_roots_alone(host: Host) -> None:
    with host.sudo():
        for path in ("/etc/neurobatch/secrets", SECRETS):
            folder = host.file(path)
            assert (folder.user, folder.group, folder.mode) == ("root", "root", 0o700), path
        assert sorted(host.file(SECRETS).listdir()) == ["desktop_password", "jupyter_token"]
        for name in ("desktop_password", "jupyter_token"):
            secret = host.file(f"{SECRETS}/{name}")
            assert (secret.user, secret.group, secret.mode) == ("root", "root", 0o600)
            assert len(secret.content_string) == 48


def test_nobody_else_can_read_the_secrets(host: Host) -> None:
    assert host.run(f"cat {SECRETS}/jupyter_token").rc != 0


def test_no_secret_shows_up_where_others_look(
    root: Callable[..., str], host: Host, token: str, desktop_password: str
) -> None:
    places = {
        "docker inspect": root("docker inspect neurodesktop $(docker images -q)"),
        "docker logs": root("docker logs neurodesktop 2>&1"),
        "the unit": host.check_output("systemctl cat neurodesktop.service"),
        "its environment": root("systemctl show neurodesktop.service"),
        "process lists": root("ps -ewwo args"),
        "files that others can read": root(
            f"find /etc /usr/local /var/lib/neurobatch /var/log -xdev -type f -perm -o=r -exec grep -lF -e {token} "
            f"-e {desktop_password} {{}} + || true"
        ),
    }
    for place, text in places.items():
        assert token not in text, place
        assert desktop_password not in text, place
    assert places["files that others can read"] == ""
