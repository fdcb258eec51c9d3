"""The container as Docker describes it: upstream's run script (S0-13 to S0-20), detached, behind a private bridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

from tests.rehearsal.stackfiles import STACK, constraints

Described = dict[str, Any]


def test_the_flags_of_upstreams_run_script(container: Described) -> None:
    settings = container["HostConfig"]
    assert settings["ShmSize"] == 2**30  # S0-16
    assert settings["CapAdd"] in (["SYS_ADMIN"], ["CAP_SYS_ADMIN"])
    assert "apparmor=unconfined" in settings["SecurityOpt"]
    assert [device["PathOnHost"] for device in settings["Devices"]] == ["/dev/fuse"]
    assert settings["Privileged"] is False
    assert container["Config"]["User"] == "root"


def test_it_has_the_numbers_of_the_login_user(container: Described, host: Host) -> None:
    user = host.user("engineer")
    assert {f"NB_UID={user.uid}", f"NB_GID={user.gid}"} <= set(container["Config"]["Env"])  # S0-17
    assert host.check_output("docker exec --user jovyan neurodesktop id -u") == str(user.uid)


def test_home_and_storage_are_mounted(container: Described) -> None:
    mounts = {mount["Destination"]: mount for mount in container["Mounts"]}
    assert (mounts["/home/jovyan"]["Type"], mounts["/home/jovyan"]["Name"]) == ("volume", "neurodesk-home")  # S0-14
    storage = mounts["/neurodesktop-storage"]  # S0-15
    assert (storage["Source"], storage["RW"]) == ("/home/engineer/neurodesktop-storage", True)
    assert mounts["/run/neurobatch-secrets"]["RW"] is False


def test_the_scientist_can_write_where_data_goes(host: Host) -> None:
    for folder in ("/home/jovyan", "/neurodesktop-storage"):
        host.check_output(f"docker exec --user jovyan neurodesktop sh -c 'touch {folder}/.probe && rm {folder}/.probe'")


def test_it_lives_on_a_private_bridge_and_jupyter_on_loopback(container: Described) -> None:
    settings = container["HostConfig"]
    assert settings["NetworkMode"] == "neurobatch"  # instead of the host's network (S0-18, S0-19)
    assert settings["PortBindings"] == {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8888"}]}


def test_systemd_restarts_it_and_docker_does_not(container: Described, host: Host) -> None:
    assert container["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")  # S0-20: one supervisor, not two
    assert host.check_output("systemctl show neurodesktop --property=Restart --value") == "always"
    assert container["Config"]["Tty"] is False


def test_no_gpu_is_asked_for_where_there_is_none(container: Described, root: Callable[..., str]) -> None:
    assert root("ls /dev/nvidiactl 2>/dev/null || echo none") == "none"
    assert not container["HostConfig"]["DeviceRequests"]  # S0-24


def test_the_image_was_built_from_the_stack(container: Described, root: Callable[..., str]) -> None:
    assert container["Config"]["Image"].startswith("neurodesktop:")
    assert container["Config"]["Labels"]["org.neurobatch.stack"] == STACK
    # The name that the Dockerfile starts FROM is the base image again, without our layer.
    history = root("docker history --no-trunc --format '{{.CreatedBy}}' jupyter/base-notebook:2023-10-20")
    assert "constraints" not in history


def test_versions_are_the_stacks(host: Host) -> None:
    listed = host.check_output("docker exec neurodesktop /opt/conda/bin/python -m pip list --format=freeze")
    found = {
        name.lower().replace("_", "-"): version for name, _, version in (row.partition("==") for row in listed.split())
    }
    wanted = {name.lower().replace("_", "-"): version for name, version in constraints().items()}
    assert {name: found.get(name) for name in ("elyra", "jupyterlab", "kfp")} == {
        name: wanted[name] for name in ("elyra", "jupyterlab", "kfp")
    }
    assert {name: version for name, version in found.items() if wanted.get(name, version) != version} == {}


def test_the_constraints_do_not_bind_the_scientist(container: Described) -> None:
    assert "PIP_CONSTRAINT=" in container["Config"]["Env"]
