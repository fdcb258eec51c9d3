"""`registry_mirrors`: what an entry may be, and the files that it becomes for Docker and for the node's containerd."""

from __future__ import annotations

import base64
import json
import ssl
import tomllib
from pathlib import Path
from typing import Any

import pytest
from neurobatch import daemon_json, mirrors
from neurobatch.images import pull_reference, qualified
from neurobatch.mirrors import Mirror, MirrorError
from neurobatch.remote import docker_probe
from neurobatch.remote.docker_probe import AUTHORITY_MARK as MARK

from tests.doors.certificates import self_signed

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
GUARDED = {"url": "https://mirror.lab:5000/hub/", "username": "lab", "password": "s3cr3t", "ca": CA}


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("mirror.lab:5000", " does not give the mirror's URL: write http:// or https:// and its host"),
        (["http://m"], " is a list, but must be the mirror's URL, or a map with url, username, password and ca"),
        ({"url": "http://m", "user": "x"}, " has the unknown key user; did you mean username?"),
        ({"url": "http://m", "password": 7}, ".password is a whole number, but must be text (put it in quotes)"),
        ({"url": "http://m", "username": "x"}, " has only one of username and password: give both, or none"),
        ("http://a:b@m", " has more than an address in its URL: give username and password as keys of a map"),
        (
            {"url": "http://m", "ca": "/etc/ca.pem"},
            ".ca holds no certificate: give its PEM text, e.g. by lookup('file', 'ca.pem')",
        ),
    ],
)
def test_what_an_entry_may_not_be(entry: Any, sentence: str) -> None:
    with pytest.raises(MirrorError) as refused:
        Mirror.of(entry, "gcr.io")
    assert str(refused.value) == f"registry_mirrors['gcr.io']{sentence}"


def test_a_mirror_never_shows_its_password() -> None:
    assert "s3cr3t" not in repr(Mirror.of(GUARDED))


def hosts(entry: Any, registry: str = "gcr.io") -> tuple[dict[str, Any], list[dict[str, str]]]:
    files = mirrors.containerd_files({registry: entry}, "/node")
    assert files[0]["path"] == f"/node/etc/containerd/certs.d/{registry}/hosts.toml"
    return tomllib.loads(files[0]["content"]), files


def test_containerd_asks_an_open_mirror_and_then_the_registry() -> None:
    read, files = hosts("http://10.1.2.3:5000/", "docker.io")
    assert read == {
        "server": "https://registry-1.docker.io",
        "host": {"http://10.1.2.3:5000": {"capabilities": ["pull", "resolve"]}},
    }
    assert [file["mode"] for file in files] == ["0644"]


def test_containerd_logs_in_trusts_and_keeps_the_path() -> None:
    read, files = hosts(GUARDED)
    login = base64.b64encode(b"lab:s3cr3t").decode()
    assert read["host"] == {
        "https://mirror.lab:5000/v2/hub": {
            "capabilities": ["pull", "resolve"], "override_path": True, "ca": "/etc/containerd/certs.d/gcr.io/ca.crt",
            "header": {"authorization": f"Basic {login}"},
        }
    }  # fmt: skip
    assert files[1] == {"path": "/node/etc/containerd/certs.d/gcr.io/ca.crt", "mode": "0644", "content": CA}


def test_docker_gets_authorities_and_logins() -> None:
    authority, client = mirrors.docker_files({"gcr.io": GUARDED, "quay.io": GUARDED, "docker.io": "http://m:1"})
    assert authority == {"path": "/etc/docker/certs.d/mirror.lab:5000/ca.crt", "mode": "0644", "content": MARK + CA}
    assert (client["path"], client["mode"]) == (mirrors.CLIENT, "0600")
    logins = json.loads(client["content"])
    assert base64.b64decode(logins["auths"]["mirror.lab:5000"]["auth"]) == b"lab:s3cr3t"
    assert mirrors.docker_files({"docker.io": "http://m:1"}) == []


def test_an_authority_of_a_mirror_that_is_gone_is_known_as_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "old.lab:5000" / "ca.crt", tmp_path / "their.lab" / "ca.crt"
    for path, content in ((ours, MARK + CA), (theirs, CA)):
        path.parent.mkdir()
        path.write_text(content)
    monkeypatch.setattr(docker_probe, "AUTHORITIES", f"{tmp_path}/*/ca.crt")
    assert docker_probe.authorities() == [str(ours)]


def test_the_mark_does_not_spoil_an_authority(tmp_path: Path) -> None:
    own = self_signed(tmp_path, "mirror.lab")
    marked = ssl.create_default_context(cadata=MARK + own.pem)
    assert marked.get_ca_certs() == ssl.create_default_context(cadata=own.pem).get_ca_certs()
    assert len(marked.get_ca_certs()) == 1


def test_docker_goes_through_the_proxy_and_past_it() -> None:
    files = {file["path"]: file for file in mirrors.docker_files({}, "http://a:b@proxy:3128", ["mirror.lab"])}
    assert list(files) == [mirrors.CLIENT, mirrors.ENVIRONMENT, mirrors.DROP_IN]
    assert [file["mode"] for file in files.values()] == ["0600", "0600", "0644"]
    default = json.loads(files[mirrors.CLIENT]["content"])["proxies"]["default"]
    assert default["httpsProxy"] == "http://a:b@proxy:3128"
    assert default["noProxy"].split(",")[-1] == "mirror.lab"
    assert 'HTTPS_PROXY="http://a:b@proxy:3128"\n' in files[mirrors.ENVIRONMENT]["content"]
    assert files[mirrors.DROP_IN]["content"] == f"[Service]\nEnvironmentFile={mirrors.ENVIRONMENT}\n"


@pytest.mark.parametrize(
    ("entry", "asked", "insecure"),
    [
        ("http://m:1", ["http://m:1"], None),
        # dockerd takes neither of these as a mirror: the images are pulled by the mirror's name.
        ({"url": "http://m:1", "username": "a", "password": "b"}, None, ["m:1"]),
        ("http://m:1/hub", None, ["m:1"]),
        ("https://m/hub", None, None),
    ],
)
def test_dockerd_s_own_mirror(entry: Any, asked: list[str] | None, insecure: list[str] | None) -> None:
    settings = daemon_json.wanted({"docker.io": entry}, "50m", 3)
    assert (settings.get("registry-mirrors"), settings.get("insecure-registries")) == (asked, insecure)
    by_name = pull_reference("python:3.11", {"docker.io": entry})
    assert by_name == ("python:3.11" if asked else f"{Mirror.of(entry).name}/library/python:3.11")


def test_names_with_their_registry() -> None:
    assert qualified("python:3.11") == "docker.io/library/python:3.11"
    assert qualified("docker.io/python@sha256:ab") == "docker.io/library/python@sha256:ab"
    assert qualified("vnmd/tool:1") == "docker.io/vnmd/tool:1"
    assert qualified("gcr.io/tool") == "gcr.io/tool"
