"""What the server can reach, asked of real servers: a registry with every login, TLS, squid, a silent one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neurobatch.remote.network.probe import answers

from tests.doors import certificates, files, proxy
from tests.doors.registry import PASSWORD, USER, Registry, basic, push, registry
from tests.doors.tokens import token_server

DIGESTS: dict[str, str] = {}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a registry's storage with two images."""
    folder = tmp_path_factory.mktemp("store")
    with registry(folder, folder / "images") as open_one:
        for name in ("ml-pipeline/api-server", "library/python", "public/tool"):
            DIGESTS[name] = push(open_one, name, "1")
    return folder / "images"


@pytest.fixture
def open_registry(store: Path, tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path, store) as running:
        yield running


def ask(images: list[str], mirror: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    targets = [{"id": name, "image": name} for name in images]
    registries = dict.fromkeys(("gcr.io", "docker.io"), mirror)
    found = answers({"targets": targets, "registries": registries, "seconds": 3, "budget": 15, **more})
    return [found[name] for name in images]


def test_images_by_tag_and_digest_and_one_that_is_not_there(open_registry: Registry) -> None:
    digest = DIGESTS["ml-pipeline/api-server"]
    names = ["gcr.io/ml-pipeline/api-server:1", f"gcr.io/ml-pipeline/api-server@{digest}", "python:1", "python:2"]
    found = ask([*names, "gcr.io/ml-pipeline/nothing:1"], {"url": open_registry.url})
    assert [answer["state"] for answer in found] == ["there", "there", "there", "absent", "absent"]
    assert found[0]["digest"] == digest
    assert found[0]["auth"] == "none"


@pytest.mark.parametrize(
    ("login", "state"),
    [({}, "login"), ({"username": USER, "password": "wrong"}, "denied"),
     ({"username": USER, "password": PASSWORD}, "there")],
)  # fmt: skip
def test_a_registry_with_a_password(store: Path, tmp_path: Path, login: dict[str, str], state: str) -> None:
    with registry(tmp_path, store, password=True) as guarded:
        (found,) = ask(["gcr.io/ml-pipeline/api-server:1"], {"url": guarded.url, **login})
    assert (found["state"], found["auth"]) == (state, "basic")
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("image", "login", "state"),
    [
        ("gcr.io/public/tool:1", {}, "there"),
        ("gcr.io/public/tool:2", {}, "absent"),
        ("gcr.io/ml-pipeline/api-server:1", {}, "denied"),
        ("gcr.io/ml-pipeline/api-server:1", {"username": USER, "password": PASSWORD}, "there"),
        ("gcr.io/ml-pipeline/api-server:1", {"username": USER, "password": "wrong"}, "denied"),
    ],
)
def test_a_registry_with_tokens(store: Path, tmp_path: Path, image: str, login: dict[str, str], state: str) -> None:
    signer = certificates.self_signed(tmp_path, "signer")
    with (
        token_server(signer, login=basic(), public="public/") as (realm, asked),
        registry(tmp_path, store, realm=realm, signer=signer) as guarded,
    ):
        (found,) = ask([image], {"url": guarded.url, **login})
    assert found["state"] == state
    repository = image.removeprefix("gcr.io/").partition(":")[0]
    assert asked[0]["scope"] == f"repository:{repository}:pull"
    assert asked[0]["service"] == "registry of the lab"
    assert bool(asked[0]["authorization"]) == bool(login)


def test_tls_is_believed_with_the_authority_only(store: Path, tmp_path: Path) -> None:
    pair = certificates.self_signed(tmp_path, "lab")
    with registry(tmp_path, store, tls=pair) as secure:
        (stranger,) = ask(["gcr.io/ml-pipeline/api-server:1"], {"url": secure.url})
        (friend,) = ask(["gcr.io/ml-pipeline/api-server:1"], {"url": secure.url, "ca": pair.pem})
    assert stranger["state"] == "untrusted"
    assert "self-signed" in stranger["detail"].replace("self signed", "self-signed")
    assert friend["state"] == "there"


def test_through_squid_and_past_it(open_registry: Registry, tmp_path: Path) -> None:
    image = "gcr.io/ml-pipeline/api-server:1"
    with proxy.squid(tmp_path / "squid") as (url, log):
        (through,) = ask([image], {"url": open_registry.url}, proxy=url)
        seen = log.read_text()
        (past,) = ask([image], {"url": open_registry.url}, proxy=url, no_proxy=["127.0.0.0/8"])
        (refused,) = ask([image], {"url": "https://closed.invalid"}, proxy=url)
        assert f"HEAD {open_registry.url}/v2/ml-pipeline/api-server/manifests/1" in seen
        assert log.read_text().count("HEAD ") == 1
    assert (through["state"], past["state"], refused["state"]) == ("there", "there", "proxy")
    (gone,) = ask([image], {"url": open_registry.url}, proxy=url)
    assert gone["state"] == "proxy"
    assert "connection refused" in gone["detail"]


def test_a_registry_that_hangs_beside_one_that_answers(open_registry: Registry, tmp_path: Path) -> None:
    images = [f"gcr.io/ml-pipeline/part-{n}:1" for n in range(20)]
    with files.hanging() as (url, held):
        targets = [{"id": name, "image": name} for name in [*images, "python:1"]]
        started = time.monotonic()
        registries = {"gcr.io": {"url": url}, "docker.io": {"url": open_registry.url}}
        found = answers({"targets": targets, "registries": registries, "seconds": 1, "budget": 15})
        took = time.monotonic() - started
        assert len(held) == 1
    assert {found[name]["state"] for name in images} == {"silent"}
    assert found["python:1"]["state"] == "there"
    assert took < 5


def test_the_registry_itself_is_asked_where_its_mirror_lacks_an_image(open_registry: Registry, tmp_path: Path) -> None:
    host = open_registry.url.removeprefix("http://")
    image = f"{host}/ml-pipeline/api-server:1"
    with registry(tmp_path / "empty", tmp_path / "nothing") as empty:
        targets = [{"id": "a", "image": image, "upstream": True}, {"id": "b", "image": image}]
        found = answers({"targets": targets, "registries": {host: {"url": empty.url}}, "seconds": 2, "budget": 10})
    # The registry speaks plain HTTP, as one on loopback; upstream is always asked over TLS.
    assert found["a"]["state"] == "absent"
    assert found["a"]["upstream"]["state"] == "untrusted"
    assert "upstream" not in found["b"]
