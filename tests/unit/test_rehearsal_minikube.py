"""The stand-in for Minikube: what it takes, what it refuses, and what it writes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.cluster import pack
from tests.rehearsal.minikube import commands, flags, home, kubeconfig, main, node, start, validate
from tests.rehearsal.minikube.outcome import Exit, Failure, Say

START = ["start", "--driver=docker", "--container-runtime=containerd", "--kubernetes-version=v1.20.2"]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a home of its own and no Docker."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kube" / "config"))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    return tmp_path


def profile(**changes: Any) -> dict[str, Any]:
    call = flags.parse([*START, "--cpus=2", "--memory=4096mb"], {})
    made = start._new(call, "minikube")
    made["Nodes"] = [{"IP": "192.168.49.2"}]
    return made | changes


# --- arguments -----------------------------------------------------------------------------------------------------


def test_values_come_with_an_equals_sign_or_as_the_next_word_or_from_the_environment() -> None:
    call = flags.parse(
        ["start", "--cpus", "4", "--memory=9216mb", "-p", "lab", "--ports=1:1,2:2", "--ports=3:3"],
        {"MINIKUBE_DRIVER": "docker", "MINIKUBE_CPUS": "2", "MINIKUBE_HOME": "/x", "MINIKUBE_IN_STYLE": "0"},
    )
    assert (call.text("cpus"), call.text("memory"), call.text("profile")) == ("4", "9216mb", "lab")
    assert call.listed("ports") == ["1:1", "2:2", "3:3"]
    assert call.text("driver") == "docker"


@pytest.mark.parametrize("argv", [["-p", "lab", "status"], ["--profile=lab", "status"], ["status", "-plab"]])
def test_the_profile_may_stand_before_or_after_the_command(argv: list[str]) -> None:
    assert flags.parse(argv, {}).text("profile") == "lab"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["start", "--extra-config=kubelet.max-pods=5"], "unknown flag: --extra-config"),
        (["start", "--nodes=2"], "unknown flag: --nodes"),
        (["start", "--driver=none"], "takes --driver=docker only"),
        (["start", "--container-runtime=docker"], "takes --container-runtime=containerd only"),
        (["start", "--interactive=maybe"], "a boolean is needed"),
        (["start", "please"], 'unknown argument "please"'),
        (["start", "--cpus"], "flag needs an argument: --cpus"),
        (["--alsologtostderr", "start"], "unknown flag: --alsologtostderr"),
        (["addons", "list"], 'unknown command "addons"'),
        (["image", "build"], 'unknown command "image build"'),
        (["image"], '"minikube image" needs a command'),
        ([], "a command is needed"),
        (["status", "--format={{.Host}}"], "unknown flag: --format"),
        (["profile", "list", "-o", "yaml"], "takes --output=table or json only"),
    ],
)
def test_what_it_does_not_know_it_refuses(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(argv) == 1
    assert said in capsys.readouterr().err


def test_what_follows_ssh_is_the_nodes() -> None:
    assert flags.parse(["ssh", "-p", "lab", "--", "ls", "-l", "--all"], {}).arguments == ["ls", "-l", "--all"]
    assert flags.parse(["ssh", "sudo", "ls", "-l"], {}).arguments == ["sudo", "ls", "-l"]


def test_version_is_that_of_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["version", "--short"]) == 0
    assert capsys.readouterr().out == "v1.38.1\n"
    main.main(["version", "-o", "json"])
    assert json.loads(capsys.readouterr().out)["minikubeVersion"] == "v1.38.1"


# --- what is seen to before a start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mib"), [("9216", 9216), ("9216mb", 9216), ("9g", 9216), ("1.5GiB", 1536), ("no-limit", 0)]
)
def test_memory_is_read_in_powers_of_two(text: str, mib: int) -> None:
    assert validate.memory_mib(text) == mib


@pytest.mark.parametrize("text", ["much", "4x", "-1"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(Failure, match="Unable to parse memory"):
        validate.memory_mib(text)


@pytest.mark.parametrize(
    ("changes", "identifier", "code"),
    [
        ({"CPUs": 1}, "RSRC_INSUFFICIENT_CORES", 29),
        ({"CPUs": 5}, "RSRC_INSUFFICIENT_CORES", 29),
        ({"Memory": 1024}, "RSRC_INSUFFICIENT_REQ_MEMORY", 23),
        ({"Memory": 16385}, "RSRC_OVER_ALLOC_MEM", 10),
    ],
)
def test_a_node_that_does_not_fit_is_refused_with_minikubes_reason(
    changes: dict[str, int], identifier: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "machine", lambda: (4, 16384))
    validate.size(profile(), forced=False, say=Say())
    with pytest.raises(Failure) as caught:
        validate.size(profile(**changes), forced=False, say=Say())
    assert (caught.value.identifier, caught.value.code) == (identifier, code)
    validate.size(profile(**changes), forced=True, say=Say())


def test_root_is_refused_unless_forced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(node, "check_docker", lambda: None)
    assert main.main(START) == 57
    assert "Exiting due to DRV_AS_ROOT" in capsys.readouterr().err
    validate.user(flags.parse([*START, "--force"], {}), Say())


@pytest.mark.parametrize(
    ("version", "identifier"), [("v1.19.0", "K8S_OLD_UNSUPPORTED"), ("1.30.0", "K8S_NEW_UNSUPPORTED")]
)
def test_another_kubernetes_is_refused(version: str, identifier: str) -> None:
    call = flags.parse(["start", f"--kubernetes-version={version}"], {})
    with pytest.raises(Failure) as caught:
        validate.version(call, None, "minikube")
    assert (caught.value.identifier, caught.value.code) == (identifier, 106)
    existing = profile()
    existing["KubernetesConfig"]["KubernetesVersion"] = "v1.31.0"
    with pytest.raises(Failure) as caught:
        validate.version(call, existing, "minikube")
    assert caught.value.identifier == "K8S_DOWNGRADE_UNSUPPORTED"


def test_without_docker_the_reason_is_minikubes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*START, "--output=json"]) == 65
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["type"] == "io.k8s.sigs.minikube.error"
    assert events[-1]["data"]["name"] == "PROVIDER_DOCKER_NOT_FOUND"


def test_a_user_outside_of_the_docker_group_is_told_so(own_home: Path) -> None:
    program = own_home / "no-programs" / "docker"
    program.parent.mkdir()
    said = "permission denied while trying to connect to the Docker daemon socket"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Failure, match=said) as caught:
        node.check_docker()
    assert (caught.value.identifier, caught.value.code) == ("PROVIDER_DOCKER_NEWGRP", 69)


def test_waiting_for_what_does_not_exist_is_refused() -> None:
    assert start._waits(flags.parse(["start"], {})) == ("apiserver", "system_pods")
    assert "node_ready" in start._waits(flags.parse(["start", "--wait=all"], {}))
    with pytest.raises(Exit):
        start._waits(flags.parse(["start", "--wait=moon"], {}))
    assert start._seconds("6m30s") == 390
    with pytest.raises(Exit):
        start._seconds("6 minutes")


# --- the node -------------------------------------------------------------------------------------------------------


def test_the_node_is_made_as_minikubes_docker_driver_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []

    def docker(*args: str, check: bool = True, stdin: bytes | None = None) -> str:
        calls.append(args)
        return ""

    monkeypatch.setattr(node, "docker", docker)
    node.create(
        profile(ExposedPorts=["127.0.0.1:30080:30080"], ContainerVolumeMounts=["/srv/lab:/neurodesktop-storage"]),
        "192.168.49.2",
    )
    run = calls[-1]
    assert not [word for word in run if "restart" in word]
    for word in (
        "--name=minikube", "--network=minikube", "--ip=192.168.49.2", "--volume=minikube:/var", "--memory=4096mb",
        "--memory-swap=4096mb", "--cpus=2", "--volume=/srv/lab:/neurodesktop-storage", "--publish=127.0.0.1::8443",
    ):  # fmt: skip
        assert word in run
    assert run[run.index("-p") + 1] == "127.0.0.1:30080:30080"


def test_what_was_fixed_at_creation_stays(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "machine", lambda: (8, 32768))
    existing = profile()
    found = start._existing(flags.parse([*START, "--cpus=4", "--memory=8g"], {}), existing, Say())
    assert (found["CPUs"], found["Memory"]) == (2, 4096)
    said = capsys.readouterr().err
    assert "You cannot change the memory size" in said
    assert "You cannot change the CPUs" in said


def test_files_of_the_home_go_into_the_node_with_their_modes(own_home: Path) -> None:
    assert home.files_tar() is None
    place = own_home / ".minikube" / "files" / "etc" / "containerd" / "certs.d" / "gcr.io" / "hosts.toml"
    place.parent.mkdir(parents=True)
    place.write_text("server = 'x'\n")
    place.chmod(0o640)
    data = home.files_tar()
    assert data
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
    assert (member.name, member.mode, member.uid) == ("etc/containerd/certs.d/gcr.io/hosts.toml", 0o640, 0)


def test_the_home_is_found_as_minikube_finds_it(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.folder() == own_home / ".minikube"
    monkeypatch.setenv("MINIKUBE_HOME", "/srv/.minikube")
    assert home.folder() == Path("/srv/.minikube")
    monkeypatch.delenv("MINIKUBE_HOME")
    assert home.folder() == own_home / ".minikube"


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "inside", "config", "code"),
    [
        ("Running", "Running", "Configured", 0),
        ("Running", "Stopped", "Configured", 2),
        ("Running", "Running", "Misconfigured", 4),
        ("Stopped", "Stopped", "Stopped", 7),
    ],
)
def test_the_bits_of_status(host: str, inside: str, config: str, code: int) -> None:
    assert commands.exit_code({"Host": host, "Kubelet": inside, "APIServer": inside, "Kubeconfig": config}) == code


def test_without_a_profile_status_ends_with_85(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["status"]) == 85
    assert 'Profile "minikube" not found' in capsys.readouterr().out


def test_a_stopped_node_has_no_address(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    home.save(profile())
    monkeypatch.setattr(node, "check_docker", lambda: None)
    monkeypatch.setattr(node, "state", lambda name: "exited")
    assert main.main(["ip"]) == 83
    assert "host is not running: state=Stopped" in capsys.readouterr().out
    assert main.main(["status", "-o", "json"]) == 7
    assert json.loads(capsys.readouterr().out)["Host"] == "Stopped"
    main.main(["profile", "list", "-o", "json"])
    listed = json.loads(capsys.readouterr().out)
    assert [(each["Name"], each["Status"]) for each in listed["valid"]] == [("minikube", "Stopped")]


def test_images_get_their_full_names() -> None:
    assert commands.full_name("mysql") == "docker.io/library/mysql:latest"
    assert commands.full_name("a/b:1") == "docker.io/a/b:1"
    assert commands.full_name("gcr.io/a/b@sha256:00") == "gcr.io/a/b@sha256:00"


# --- kubeconfig -------------------------------------------------------------------------------------------------------

KUBECTLS = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: QUJD
    server: https://lab.example:6443
  name: lab
contexts:
- context:
    cluster: lab
    namespace: "1234"
    user: lab
  name: lab
current-context: lab
kind: Config
preferences: {}
users:
- name: lab
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args:
      - get-token
      - --cluster
      command: login
      env: null
      provideClusterInfo: false
"""


def test_others_entries_survive(own_home: Path) -> None:
    file = kubeconfig.path()
    file.parent.mkdir()
    file.write_text(KUBECTLS)
    config = kubeconfig.read(file)
    assert config["contexts"][0]["context"]["namespace"] == "1234"
    lab = {kind: kubeconfig.entry(config, kind, "lab") for kind in ("clusters", "contexts", "users")}
    for name in ("ca.crt", "profiles/minikube/client.crt", "profiles/minikube/client.key"):
        (own_home / ".minikube" / name).parent.mkdir(parents=True, exist_ok=True)
        (own_home / ".minikube" / name).write_text("PEM")
    assert not commands._configured(profile())
    start.point_kubectl(profile(EmbedCerts=True))
    assert commands._configured(profile())
    again = kubeconfig.read(file)
    assert again["current-context"] == "minikube"
    assert {kind: kubeconfig.entry(again, kind, "lab") for kind in lab} == lab
    assert (kubeconfig.entry(again, "clusters", "minikube") or {})["cluster"]["server"] == "https://192.168.49.2:8443"
    assert file.stat().st_mode & 0o777 == 0o600
    kubeconfig.drop(again, "minikube")
    assert again["current-context"] == ""
    assert len(again["users"]) == 1


@pytest.mark.parametrize("text", ["a: &x 1\n", "a: |\n  b\n", "- 1\n", "a: {b: c}\n"])
def test_yaml_of_another_sort_is_refused_rather_than_damaged(text: str) -> None:
    file = kubeconfig.path()
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(Failure, match="Failed to update kubeconfig"):
        start.point_kubectl(profile())
    assert file.read_text() == text


# --- the file that is served ------------------------------------------------------------------------------------------


def test_the_program_is_one_file_with_the_same_bytes_every_time(tmp_path: Path) -> None:
    package = Path(flags.__file__).parent
    program = tmp_path / "minikube-linux-amd64"
    program.write_bytes(pack.executable(package))
    assert program.read_bytes() == pack.executable(package)
    done = subprocess.run(
        [sys.executable, "-I", program, "version", "--short"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "v1.38.1\n"), done.stderr
