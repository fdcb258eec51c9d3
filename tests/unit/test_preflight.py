"""The verdict on a server, from recorded facts: who is refused, with which sentence, and who passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from neurobatch import preflight
from neurobatch.pages.hosts import facts, known
from neurobatch.preflight import Wanted, WantedPort, cvmfs
from neurobatch.preflight.model import Facts
from neurobatch.preflight.room import needed

JUPYTER = WantedPort(
    8888, "JupyterLab", "neurodesktop_port", units=["neurodesktop.service"], containers=["neurodesktop"]
)
UI = WantedPort(31380, "Kubeflow Pipelines", "port_forward_ui_port", units=["neurobatch-forward@ui.service"])
STORE = WantedPort(9000, "object store", units=["neurobatch-forward@object-store.service"])
NOW = 1795273200.0
WANTED = Wanted(min_free_gb={"/var/lib/docker": 60, "~": 20}, ports=[JUPYTER, UI, STORE], now=NOW)


def sentences(name: str, severity: str, wanted: Wanted = WANTED) -> list[str]:
    return [row.sentence() for row in preflight.verdict(facts(name), wanted) if row.severity == severity]


SUPPORTED = "install Debian 12, Debian 13, Ubuntu 22.04, Ubuntu 24.04 or a RHEL-compatible 9"
HOLDS = "Port 8888 (JupyterLab) is held by"
REFUSED = {
    # S0-01
    "arm64-debian-12": "This server is arm64, but Neurodesk's tools exist for x86-64 only: choose an x86-64 server",
    # S0-30
    "one-cpu": "This server may use 1 CPU, but at least 2 are needed: give the machine more CPUs or lift the limit",
    "quota-1.5-of-8-cpus": "This server may use 1.5 CPUs of its 8, but at least 2 are needed: "
    "give the machine more CPUs or lift the limit",
    "affinity-1-of-4-cpus": "This server may use 1 CPU of its 4, but at least 2 are needed: "
    "give the machine more CPUs or lift the limit",
    "memory-8-gib": "This server has 7.7 GiB of memory, but at least 10 GiB are needed: give the machine more memory",
    "memory-limit-8-of-32-gib": "A control group limits this server to 8.0 GiB of memory, "
    "but at least 10 GiB are needed: raise that limit",
    "centos-7": f"This server runs CentOS Linux 7 (Core), which is not supported: {SUPPORTED}",
    "rhel-8": f"This server runs Red Hat Enterprise Linux 8.10 (Ootpa), which is not supported: {SUPPORTED}",
    "ubuntu-20.04": f"This server runs Ubuntu 20.04.6 LTS, which is not supported: {SUPPORTED}",
    "debian-testing": f"This server runs Debian GNU/Linux forky/sid, which is not supported: {SUPPORTED}",
    "wsl2-no-systemd": "systemd is not running on this server: write `[boot]` and `systemd=true` into /etc/wsl.conf, "
    "run `wsl --shutdown` in PowerShell, and start again",  # S0-06
    "container-no-systemd": "systemd is not running on this server: boot the server with systemd as its init; "
    "a container without an init will not do",
    "disk-shared-72-gb": "/var/lib/docker and ~ have 71.9 GB free, but 80 GB are needed: free or add space, "
    "or lower preflight_min_free_gb if you know that less will do",  # S0-07
    "disk-separate-home-12-gb": "~ has 12.0 GB free, but 20 GB are needed: free or add space, "
    "or lower preflight_min_free_gb if you know that less will do",
    "port-stranger-unit": f"{HOLDS} jupyter-lab (process 812, lab-notebooks.service): stop it "
    "(`sudo systemctl stop lab-notebooks.service`) or set neurodesktop_port to a free port",
    "port-stranger-session": f"{HOLDS} python3 (process 4711, user@1001.service): stop it (`sudo kill 4711`) "
    "or set neurodesktop_port to a free port",
    "port-stranger-ipv6-loopback": f"{HOLDS} code-server (process 4711, user alice): stop it (`sudo kill 4711`) "
    "or set neurodesktop_port to a free port",
    "port-stranger-container": f"{HOLDS} the container neurodeskapp: stop it (`sudo docker stop neurodeskapp`) "
    "or set neurodesktop_port to a free port",
    "no-sudo-right": "engineer cannot use sudo without a password (sudo says: a password is required): run with "
    "--ask-become-pass, or as root write `engineer ALL=(ALL) NOPASSWD: ALL` into /etc/sudoers.d/engineer "
    "with `visudo -f`",
    "sudo-missing": "sudo is not installed, and engineer is not root: as root, install sudo and allow it to engineer "
    "in /etc/sudoers.d/engineer, or log in as root",
    "docker-snap": "Docker is installed as a snap (/snap/bin/docker), which may not mount the server's folders: "
    "move what you need out of it and run `sudo snap remove docker`",
    "docker-rootless": "engineer runs a rootless Docker (/run/user/1000/docker.sock), which cannot give devices to "
    "containers: as engineer, run `dockerd-rootless-setuptool.sh uninstall`",
    "docker-on-nfs": "/var/lib/docker lies on nfs4, on which Docker's overlays do not work: "
    "put Docker's data-root on a local disk",
    "port-31380": "Port 31380 (Kubeflow Pipelines) is held by nginx (process 880, nginx.service): stop it "
    "(`sudo systemctl stop nginx.service`) or set port_forward_ui_port to a free port",
    "port-minio": "Port 9000 (object store) is held by minio (process 1204, minio.service): stop it "
    "(`sudo systemctl stop minio.service`), or let it listen on another port",
    "docker-rootless-engine": "The server's Docker runs rootless, where CVMFS cannot be mounted: "
    "uninstall it and let site.yml install Docker Engine",
    "unprivileged-lxc": "This server is an unprivileged container (its root is user 100000 outside), which cannot "
    "mount CVMFS: take a virtual machine, or make the container a privileged one",
    "qemu64-cpu": "The processor lacks popcnt, sse4_1, sse4_2 and ssse3 of x86-64-v2, without which the CVMFS driver "
    "does not start: give the virtual machine the host's CPU model (libvirt: host-passthrough; Proxmox: host)",
    "core2-cpu": "The processor lacks popcnt and sse4_2 of x86-64-v2, without which the CVMFS driver does not start: "
    "choose a server with a processor made after 2010",
    "no-overlay": "The kernel has no overlay, which Docker's layers need: boot the distribution's own kernel "
    "(`sudo apt-get install linux-image-amd64`)",
    "no-autofs": "The kernel has no autofs, which CVMFS' mounts need: "
    "run `sudo apt-get install linux-modules-extra-5.15.0-157-generic`",
    "no-fuse": "The kernel has no fuse, which CVMFS' mounts need: "
    "run `sudo dnf install kernel-modules-5.14.0-570.49.1.el9_6.x86_64`",
    "wsl2-no-autofs": "The kernel has no autofs, which CVMFS' mounts need: "
    "run `wsl --update` in PowerShell, then `wsl --shutdown`",
    "cgroup-memory-off": "The kernel was booted without control groups for memory, which limits of containers need: "
    "remove `cgroup_disable=` from the kernel's command line (/etc/default/grub), run update-grub, reboot",
    "mysqld-profile": "AppArmor's profile /etc/apparmor.d/usr.sbin.mysqld also confines the database of Kubeflow "
    "Pipelines, which then cannot start: run `sudo ln -s /etc/apparmor.d/usr.sbin.mysqld /etc/apparmor.d/disable/` and "
    "`sudo apparmor_parser -R /etc/apparmor.d/usr.sbin.mysqld`",
    "clock-2-days-behind": "The server's clock is 2 days behind this machine's: install a time service "
    "(`sudo timedatectl set-ntp true`, or chrony) and look with `timedatectl`",
    "proxy-without-scheme": "https_proxy on the server is proxy.example:3128, which is no URL: "
    "write `https_proxy=http://proxy.example:3128` in /etc/environment",
    "cvmfs-walled-off": "No CVMFS server can be used (http://cvmfs-geoproximity.neurodesk.org: no answer in time, "
    "http://cvmfs.neurodesk.org: no answer in time, http://s1brisbane-cvmfs.openhtc.io: no answer in time and "
    "http://s1nikhef-cvmfs.openhtc.io: no answer in time): open the way to them (TCP 80 or 8000), set "
    "cvmfs_http_proxy, or name others in cvmfs_servers",
    "docker-podman": "The docker command is podman's imitation (podman-docker): run `sudo dnf remove podman-docker`; "
    "podman itself may stay",
}


@pytest.mark.parametrize(("host", "sentence"), REFUSED.items(), ids=REFUSED)
def test_a_server_is_refused_for_one_reason_in_one_sentence(host: str, sentence: str) -> None:
    assert sentences(host, "refuse") == [sentence]
    assert preflight.refusal(preflight.verdict(facts(host), WANTED), "lab") == sentence


@pytest.mark.parametrize(
    "host",
    ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "rocky-9", "centos-stream-9", "wsl2-ubuntu",
     "port-ours-forwards", "small-cluster", "port-ours-container", "port-ours-unit", "port-other-address",
     "root-login"],
)  # fmt: skip
def test_a_healthy_server_passes_without_a_warning(host: str) -> None:
    findings = preflight.verdict(facts(host), WANTED)
    assert [row for row in findings if row.severity != "ok"] == []
    assert {row.check for row in findings} >= {
        "architecture",
        "os",
        "systemd",
        "cpus",
        "memory",
        "rights",
        "disk",
        "port",
    }
    assert preflight.refusal(findings) == ""


def test_a_fixture_for_every_case_and_a_case_for_every_fixture() -> None:
    source = Path(__file__).read_text()
    assert [name for name in known() if f'"{name}"' not in source] == []


def test_wsl1_is_refused_first_by_its_kernel() -> None:  # S0-06
    assert sentences("wsl1", "refuse")[0].startswith("This is WSL 1, which has no Linux kernel")


WARNED = {
    "installed-disk-72-gb": "/var/lib/docker and ~ have 71.9 GB free, but 80 GB are needed",  # its image takes the room
    "memory-nominal-10-gib": "The cluster gets 5732 of the guide's 9216 MiB: its steps may ask for 1226 together",
    "userns-off": "User namespaces are restricted, so that Neurodesk's tools cannot start in Apptainer: "
    "write `user.max_user_namespaces = 15000` into /etc/sysctl.d/60-neurobatch.conf",
    "clock-unkept": "Nothing keeps the server's clock right",
    "clock-90-s-ahead": "The server's clock is 90 seconds ahead of this machine's",
    "no-name-server": "The server has no name server in /etc/resolv.conf",
    "unknown-hostname": "The server does not know its own name lab-7, so that every sudo waits for an answer: "
    "add `127.0.1.1 lab-7` to /etc/hosts",
    "proxy-without-no-proxy": "The server uses the proxy http://proxy.example:3128 also for its own cluster: "
    "add 172.16.0.0/12,192.168.49.0/24,10.96.0.0/12,10.244.0.0/16,.svc,.cluster.local to no_proxy",
    "cvmfs-one-server": "Only one CVMFS server can be used, http://cvmfs-geoproximity.neurodesk.org "
    "(http://cvmfs.neurodesk.org: no answer in time, ",
    "cvmfs-mixed": "Only one CVMFS server can be used, http://cvmfs.neurodesk.org "
    "(http://cvmfs-geoproximity.neurodesk.org: its whitelist expired on 2026-10-02, "
    "http://s1brisbane-cvmfs.openhtc.io: its name is not known and http://s1nikhef-cvmfs.openhtc.io: HTTP 404), "
    "and without it no tool starts",
    "wsl2-docker-desktop": "Docker comes from Docker Desktop, which this project has not been run with",
}


@pytest.mark.parametrize(("host", "start"), WARNED.items(), ids=WARNED)
def test_some_things_only_warn(host: str, start: str) -> None:
    findings = preflight.verdict(facts(host), WANTED)
    [warning] = preflight.warnings(findings)
    assert warning.startswith(start)
    assert preflight.refusal(findings) == ""


def test_a_stock_ubuntu_24_04_is_warned_about_apptainer_and_many_pods() -> None:  # S0-08
    assert sentences("ubuntu-24.04-stock", "refuse") == []
    apptainer, inotify = sentences("ubuntu-24.04-stock", "warn")
    assert apptainer.startswith(
        "AppArmor restricts user namespaces, so that Neurodesk's tools cannot start in steps of"
    )
    assert "write `kernel.apparmor_restrict_unprivileged_userns = 0` into" in apptainer
    assert inotify == (
        "The kernel allows only 128 inotify instances and 249216 inotify watches, and with many pods some crash with "
        "`too many open files`: write `fs.inotify.max_user_instances = 2280` and `fs.inotify.max_user_watches = "
        "1255360` into /etc/sysctl.d/60-neurobatch.conf and run `sudo sysctl --system`"
    )


def test_a_small_server_hears_what_will_not_fit_and_a_cluster_that_exists_keeps_its_size() -> None:  # S0-29, S0-32
    cpus, memory = sentences("2-cpus-12-gib", "warn")
    assert cpus.startswith("The cluster gets 2 of the guide's 5 CPUs: its steps may ask for 0.5 together")
    assert memory.startswith("The cluster gets 8192 of the guide's 9216 MiB: its steps may ask for 3686 together")
    larger = Wanted(minikube_cpus=4, now=NOW)
    assert sentences("small-cluster", "warn", larger) == [
        "minikube_cpus is 4, but the cluster was created with 2 and keeps that: to change it, back up, remove the "
        "cluster (playbooks/reset.yml) and install it again"
    ]
    assert sentences("2-cpus-12-gib", "refuse", larger) == [
        "minikube_cpus is 4: it must be 0 (automatic) or from 2 to 2"
    ]
    assert [row.check for row in preflight.verdict(facts("memory-8-gib"), WANTED) if row.check == "size"] == []


def test_cvmfs_servers_are_ranked_by_what_they_serve_and_how_fast() -> None:  # S0-46
    rows = cvmfs.ranked(facts("debian-12")["cvmfs"], NOW)
    assert [(row.state, row.url.partition("//")[2]) for row in rows] == [
        ("genuine", "s1brisbane-cvmfs.openhtc.io"),
        ("genuine", "cvmfs-geoproximity.neurodesk.org"),
        ("genuine", "cvmfs.neurodesk.org"),
        ("refused", "s1nikhef-cvmfs.openhtc.io"),
    ]
    [ok] = [row for row in preflight.verdict(facts("debian-12"), WANTED) if row.check == "cvmfs"]
    assert ok.message.startswith("3 of 4 servers, http://s1brisbane-cvmfs.openhtc.io (0.1 s), ")
    [refused] = sentences("cvmfs-other-key", "refuse")
    assert refused.endswith(": correct cvmfs_servers, or cvmfs_public_key if the repository has a new one")


def test_a_first_server_that_cannot_be_used_matters_where_the_order_is_the_inventory_s() -> None:  # S0-46
    stale = (
        "http://cvmfs-geoproximity.neurodesk.org: 299 revisions behind, from 2026-10-01 and "
        "http://s1nikhef-cvmfs.openhtc.io: 1 revision behind"
    )
    [ok] = [row for row in preflight.verdict(facts("cvmfs-first-stale"), WANTED) if row.check == "cvmfs"]
    assert ok.severity == "ok"
    assert f"; asked last: {stale}" in ok.message
    [warning] = sentences("cvmfs-first-stale", "warn", replace(WANTED, cvmfs_rank_servers=False))
    assert warning.startswith(f"The first CVMFS server cannot be used ({stale}")


def test_the_order_of_servers_is_measured_once_and_kept_while_its_first_is_good() -> None:  # S0-46
    servers = ["http://slow", "http://dead", "http://quick"]
    dead: Facts = {"state": "silent", "detail": "no answer in time"}
    answers = {"http://slow": genuine(0.9), "http://dead": dead, "http://quick": genuine(0.1)}
    measured = ["http://quick", "http://slow", "http://dead"]
    assert cvmfs.order(servers, None, None, NOW) == servers
    assert cvmfs.order(servers, None, answers, NOW) == measured
    kept = {"wanted": servers, "order": measured}
    assert cvmfs.order(servers, kept, None, NOW) == measured
    slower = {**answers, "http://quick": genuine(1.5)}
    assert cvmfs.order(servers, kept, slower, NOW) == measured
    gone = {**answers, "http://quick": dead}
    assert cvmfs.order(servers, kept, gone, NOW) == ["http://slow", "http://dead", "http://quick"]
    for changed in (servers[::-1], servers[:2], [*servers, "http://new"]):
        assert cvmfs.order(changed, kept, None, NOW) == changed
    damages: list[Facts] = [{}, {"wanted": servers, "order": servers[:1]}, {"wanted": servers}]
    for damaged in damages:
        assert cvmfs.order(servers, damaged, None, NOW) == servers


def genuine(seconds: float) -> Facts:
    return {"state": "genuine", "revision": 8, "published": NOW - 3600, "seconds": seconds}


def test_a_server_has_a_day_to_replicate() -> None:
    answers = {
        "http://a": {"state": "genuine", "revision": 8, "published": NOW - 3600, "seconds": 0.2},
        "http://b": {"state": "genuine", "revision": 7, "published": NOW - 9 * 86400, "seconds": 0.1},
    }
    assert [row.state for row in cvmfs.ranked(answers, NOW)] == ["genuine", "genuine"]
    assert [row.state for row in cvmfs.ranked(answers, NOW + 86400)] == ["genuine", "stale"]


def test_systems_that_nobody_has_rehearsed_are_marked() -> None:  # S0-06
    said = {
        name: row.message for name in known() for row in preflight.verdict(facts(name), WANTED) if row.check == "os"
    }
    assert said["debian-12"] == "Debian GNU/Linux 12 (bookworm)"
    for name in ("debian-13", "ubuntu-22.04", "ubuntu-24.04", "rocky-9", "centos-stream-9"):
        assert said[name].endswith(", not rehearsed")
    assert said["wsl2-ubuntu"] == "Ubuntu 24.04.3 LTS on WSL2, not rehearsed"


def test_a_port_whose_owner_is_hidden_passes_only_while_our_service_runs() -> None:
    password = Wanted(ports=[JUPYTER], become_password=True)
    assert sentences("port-ours-unseen", "refuse", password) == []
    assert sentences("port-ours-unseen", "warn", password)[0].startswith(
        "Port 8888 (JupyterLab) is in use, and only root"
    )
    assert sentences("port-stranger-unseen", "refuse", password) == [
        f"{HOLDS} a process of user alice: stop it (`sudo ss -ltnp` names it) or set neurodesktop_port to a free port"
    ]


def test_a_wider_listener_meets_other_addresses() -> None:
    wide = Wanted(ports=[WantedPort(8888, "JupyterLab", "neurodesktop_port", address="0.0.0.0")])
    assert len(sentences("port-other-address", "refuse", wide)) == 1


def test_a_configured_password_or_another_method_stands_for_sudo() -> None:
    assert sentences("no-sudo-right", "refuse", Wanted(become_password=True)) == []
    assert sentences("no-sudo-right", "refuse", Wanted(become_method="su")) == []
    assert sentences("sudo-missing", "refuse", Wanted(become_password=True)) != []


def test_all_reasons_are_listed() -> None:
    lines = preflight.refusal(preflight.verdict(facts("many-faults"), WANTED), "lab").splitlines()
    assert lines[0].startswith("This server is arm64")
    assert lines[1] == "2 more about lab:"
    assert [line[:4] for line in lines[2:]] == ["(2) ", "(3) "]


def test_facts_of_another_schema_are_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="schema 3 cannot be read, only 2"):
        preflight.verdict({**facts("debian-12"), "schema": 3}, WANTED)


def test_what_is_wanted_comes_from_plain_maps() -> None:
    plain = {
        "min_free_gb": {"/": "5"},
        "ports": [{"port": "8888", "purpose": "JupyterLab", "variable": "neurodesktop_port"}],
        "become_password": True,
    }
    wanted = Wanted.of(plain)
    assert wanted.min_free_gb == {"/": 5.0}
    assert wanted.ports[0].port == 8888
    with pytest.raises(ValueError, match="preflight_min_free_gb must map paths to numbers of GB"):
        Wanted.of({"min_free_gb": {"/": "lots"}})


def test_room_is_asked_for_where_the_lab_s_data_will_lie() -> None:  # S0-07
    wish = {"/var/lib/docker": 60.0, "~": 20.0}
    assert needed(wish, "") == wish
    assert needed(wish, "/srv/lab") == {"/var/lib/docker": 60.0, "/srv/lab": 20.0}
    assert needed({**wish, "/srv/lab": 500.0}, "/srv/lab") == {**wish, "/srv/lab": 500.0}
