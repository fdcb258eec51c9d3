"""What is read of a kernel, clock, name servers and proxies: their formats, and what an unreadable one means."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from neurobatch.remote import common
from neurobatch.remote.host import kernel, size, surroundings

RELEASE = "6.1.0-40-amd64"
MODULES = f"/lib/modules/{RELEASE}"
DEP = """\
kernel/fs/overlayfs/overlay.ko:
kernel/fs/autofs/autofs4.ko.xz:
kernel/fs/fuse/fuse.ko.zst: kernel/a.ko.zst
kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko
"""


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stand for the server's files; nothing else can be read, and no module is loaded."""
    found: dict[str, str] = {}
    monkeypatch.setattr(common, "text", found.get)
    monkeypatch.setattr(platform, "release", lambda: RELEASE)
    monkeypatch.setattr(kernel, "configuration", lambda _: found.get("config", ""))
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    return found


def test_a_feature_is_registered_built_in_or_a_module_that_lies_ready(files: dict[str, str]) -> None:
    files["/proc/filesystems"] = "nodev\tsysfs\nnodev\toverlay\n\text4\n"
    files[f"{MODULES}/modules.builtin"] = "kernel/drivers/net/veth.ko\n"
    files[f"{MODULES}/modules.dep"] = DEP
    assert kernel.features() == {
        "overlay": "there", "veth": "there", "bridge": "loadable", "autofs": "loadable", "fuse": "loadable",
        "nat": "missing", "conntrack": "missing",
    }  # fmt: skip


def test_a_kernel_without_modules_speaks_through_its_configuration(files: dict[str, str]) -> None:
    files["config"] = "CONFIG_OVERLAY_FS=y\nCONFIG_VETH=y\nCONFIG_FUSE_FS=m\n# CONFIG_AUTOFS_FS is not set\n"
    found = kernel.features()
    assert (found["overlay"], found["veth"]) == ("there", "there")
    assert found["autofs"] == "missing"
    assert found["fuse"] == "unknown"  # a module, and nothing says whether it lies ready


def test_what_cannot_be_read_is_unknown_and_not_missing(files: dict[str, str]) -> None:
    assert set(kernel.features().values()) == {"unknown"}
    assert kernel.level_2_missing() is None
    assert kernel.outer_root() is None
    assert set(kernel.settings().values()) == {None}
    assert kernel.controllers_off() == []


def test_flags_of_the_processor(files: dict[str, str]) -> None:
    files["/proc/cpuinfo"] = "processor\t: 0\nflags\t\t: fpu cx16 lahf_lm ssse3 sse4_1\n\nprocessor\t: 1\n"
    assert kernel.level_2_missing() == ["popcnt", "sse4_2"]


@pytest.mark.parametrize(
    ("uid_map", "outer"),
    [("         0          0 4294967295\n", None), ("0 100000 65536\n", 100000), ("0 1000 1\n1 100000 65536\n", 1000)],
)
def test_root_of_an_unprivileged_container(files: dict[str, str], uid_map: str, outer: int | None) -> None:
    files["/proc/self/uid_map"] = uid_map
    assert kernel.outer_root() == outer


def test_control_groups_that_were_switched_off(files: dict[str, str]) -> None:
    rows = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t78\t1\nmemory\t0\t172\t0\nrdma\t0\t1\t0\n"
    files["/proc/cgroups"] = rows
    assert kernel.controllers_off() == ["memory"]


def test_settings_are_numbers(files: dict[str, str]) -> None:
    files["/proc/sys/fs/inotify/max_user_instances"] = "128\n"
    files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n"
    found = kernel.settings()
    assert (found["inotify_instances"], found["apparmor_restrict_unprivileged_userns"]) == (128, 1)


def test_the_filesystem_of_a_path_is_that_of_the_nearest_mount(files: dict[str, str]) -> None:
    files["/proc/self/mountinfo"] = (
        "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:40 / /var/lib rw - nfs4 filer:/lib rw\n"
        "22 20 0:41 / /var/li rw - tmpfs tmpfs rw\n23 21 8:2 / /var/lib/with\\040space rw - xfs /dev/sdb rw\n"
    )
    asked = ("/home", "/var/lib/docker", "/var/lib/with space/x")
    assert [size.filesystem(path) for path in asked] == ["ext4", "nfs4", "xfs"]


def test_proxies_come_without_their_password(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in surroundings.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    files["/etc/environment"] = 'export HTTPS_PROXY="http://ann:s3cret@proxy.example:3128"\nno_proxy=.lab\n# x\n'
    monkeypatch.setenv("http_proxy", "ann:s3cret@proxy.example:3128")
    assert surroundings.proxies() == {
        "http_proxy": "proxy.example:3128",
        "https_proxy": "http://proxy.example:3128",
        "no_proxy": ".lab",
    }


@pytest.mark.parametrize(
    ("code", "max_error", "kept"), [(0, 500, True), (5, 15_999_999, True), (5, 16_000_000, False), (-1, 0, None)]
)
def test_whether_a_time_service_keeps_the_clock(
    code: int, max_error: int, kept: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def adjtimex(reference: Any) -> int:
        reference._obj[3] = max_error
        return code

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=adjtimex))
    assert surroundings.clock()["synchronised"] is kept


def test_the_kernel_of_this_machine_tells() -> None:
    assert surroundings.clock()["synchronised"] in (True, False)


def test_name_servers(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    files["/etc/resolv.conf"] = "# by hand\nsearch lab\nnameserver 192.0.2.53\nnameserver\noptions edns0\n"
    answers: dict[str, Any] = {"files": None, "myhostname": "::1 lab"}
    monkeypatch.setattr(surroundings, "output", lambda *argv, **_: answers[argv[2]])
    assert surroundings.names()["servers"] == ["192.0.2.53"]
    assert surroundings.names()["known"]
    answers["myhostname"] = None
    assert not surroundings.names()["known"]
