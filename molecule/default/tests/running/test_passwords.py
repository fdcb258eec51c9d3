"""The passwords that the image ships with are gone, and the one that was made for this server is in their place."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from tests.rehearsal.instance import Instance
from tests.server.remote import call, http

Root = Callable[..., str]
DEFAULT = "password"


def log_in(address: str, port: int, user: str, password: str) -> list[Any]:
    """Return exit code and output of a login by ssh with a password alone. Runs on the server."""
    import os
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        answer = os.path.join(folder, "answer")
        with open(os.open(answer, os.O_WRONLY | os.O_CREAT, 0o700), "w") as stream:
            stream.write('#!/bin/sh\nprintf "%s\\n" "$ANSWER"\n')
        options = {
            "UserKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "no",
            "PubkeyAuthentication": "no",
            "PreferredAuthentications": "password,keyboard-interactive",
            "NumberOfPasswordPrompts": "1",
            "ConnectTimeout": "10",
        }
        flags = [f"-o{key}={value}" for key, value in options.items()]
        run = subprocess.run(
            ["ssh", "-F", "/dev/null", "-p", str(port), *flags, f"{user}@{address}", "id -un"],
            env={**os.environ, "SSH_ASKPASS": answer, "SSH_ASKPASS_REQUIRE": "force", "ANSWER": password},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    return [run.returncode, run.stdout + run.stderr]


def test_ssh_refuses_the_default_password(instance: Instance, container_ip: str) -> None:
    code, said = call(instance, log_in, container_ip, 2222, "jovyan", DEFAULT)
    assert code == 255
    assert "Permission denied" in said


def test_ssh_takes_the_one_made_here(instance: Instance, container_ip: str, desktop_password: str) -> None:
    code, said = call(instance, log_in, container_ip, 2222, "jovyan", desktop_password)
    assert (code, said.splitlines()[0]) == (0, "jovyan"), said


def test_the_desktops_gateway_refuses_the_default_and_takes_the_new(
    instance: Instance, container_ip: str, desktop_password: str
) -> None:
    for password, expected in ((DEFAULT, 403), (desktop_password, 200)):
        basic = base64.b64encode(f"jovyan:{password}".encode()).decode()
        status, _ = call(instance, http, container_ip, 8080, "/", {"Authorization": f"Basic {basic}"})
        assert status == expected


def test_vncs_password_is_another_than_the_images(root: Root, container: dict[str, Any]) -> None:
    path = "/home/jovyan/.vnc/passwd"
    shipped = root(f"docker run --rm --entrypoint sha256sum {container['Image']} {path}").split()[0]
    now = root(f"docker exec neurodesktop sha256sum {path}").split()[0]
    assert now != shipped
    assert root(f"docker exec neurodesktop stat -c '%U %a' {path}") == "jovyan 600"
    # The backup, from which an empty home is filled again, holds the default no longer either.
    backup = root("docker exec neurodesktop sha256sum /tmp/jovyan/.vnc/passwd").split()[0]
    assert backup != shipped


def test_vncs_password_is_the_one_made_here(root: Root, desktop_password: str) -> None:
    made = root(f"printf '%s\\n' {desktop_password} | docker exec -i neurodesktop vncpasswd -f | sha256sum").split()[0]
    assert root("docker exec neurodesktop sha256sum /home/jovyan/.vnc/passwd").split()[0] == made


def test_no_configuration_holds_a_default(root: Root, desktop_password: str) -> None:
    mapping = root("docker exec neurodesktop cat /etc/guacamole/user-mapping.xml")
    hashed = hashlib.md5(DEFAULT.encode(), usedforsecurity=False).hexdigest()
    assert f'password="{DEFAULT}"' not in mapping
    assert f">{DEFAULT}<" not in mapping
    assert hashed not in mapping
    assert mapping.count(desktop_password) == 2
    settings = root("docker exec neurodesktop cat /etc/jupyter/jupyter_notebook_config.py")
    basic = {given: base64.b64encode(f"jovyan:{given}".encode()).decode() for given in (DEFAULT, desktop_password)}
    assert basic[DEFAULT] not in settings
    assert basic[desktop_password] in settings
