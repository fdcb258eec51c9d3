"""From the inventory to the stack: the question, the program that a role runs on the server, the choice (S0-34, D1).

The registry is Debian's docker-registry, which holds what kfp-2.5.0 needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neurobatch import choice, needs, remote, stacks
from neurobatch.choice import Choice, Wish
from neurobatch.images import registry_of
from neurobatch.needs import Doors

from tests.doors import certificates, files
from tests.doors.registry import PASSWORD, USER, basic, push, registry
from tests.doors.tokens import token_server

OLD, NEW = "kfp-2.0.0", "kfp-2.5.0"


def split(need: needs.Need) -> tuple[str, str]:
    name, _, tag = need.address.removeprefix(f"{need.origin}/").partition(":")
    return name, tag


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a registry's storage with every image of the newer stack."""
    folder = tmp_path_factory.mktemp("resolution")
    with registry(folder, folder / "images") as empty:
        for need in needs.of(stacks.resolve(NEW), Doors()):
            if need.image:
                push(empty, *split(need))
    return folder / "images"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve every file of both stacks, and a repository; yields the URL."""
    for name in (OLD, NEW):
        for need in needs.of(stacks.resolve(name), Doors()):
            if need.by == "fetch":
                path = tmp_path / "files" / need.address.split("://")[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x")
    (tmp_path / "files" / "git" / "info").mkdir(parents=True)
    (tmp_path / "files" / "git" / "info" / "refs").touch()
    with files.folder(tmp_path / "files") as (url, _):
        yield url


def doors(site: str, mirror: Any) -> Doors:
    hosts = {registry_of(need.address) for name in (OLD, NEW) for need in needs.of(stacks.resolve(name), Doors())
             if need.image}  # fmt: skip
    return Doors(artifact_mirror=site, registry_mirrors=dict.fromkeys(hosts, mirror), repo=f"{site}/git")


def decide(way: Doors, wanted: str = OLD, fallback: str = NEW, record: Any = None, **more: Any) -> Choice:
    """Ask as preflight does, with the text that goes to a server's Python, and choose."""
    wish = Wish(wanted, fallback, way, stacks.resolve)
    wanted_all = [need for candidate in wish.candidates() for need in needs.of(candidate, way)]
    question = {**needs.question(list(dict.fromkeys(wanted_all)), way), "always": True, **more}
    # Upstream's registries are out of reach of these tests, and asking them would only take time.
    question["targets"] = [{**target, "upstream": False} for target in question["targets"]]
    program = remote.program("host_probe", {"paths": ["/"], "ports_program": "", "network": question})
    run = subprocess.run(
        [sys.executable, "-I", "-"], input=program, capture_output=True, text=True, check=True, timeout=120
    )
    assert PASSWORD not in run.stdout + run.stderr
    return choice.choose(wish, record, json.loads(run.stdout)["network"])


def said(chosen: Choice, severity: str) -> list[str]:
    return [finding.sentence() for finding in chosen.findings if finding.severity == severity]


def test_everything_can_be_had(store: Path, site: str, tmp_path: Path) -> None:
    with registry(tmp_path / "r", store) as mirror:
        chosen = decide(doors(site, mirror.url), wanted=NEW)
    assert said(chosen, "refuse") + said(chosen, "warn") == []
    assert said(chosen, "ok")[0].startswith("all ")
    assert chosen.record
    assert chosen.record["stack"] == NEW


def test_the_older_stack_s_images_are_gone(store: Path, site: str, tmp_path: Path) -> None:
    with registry(tmp_path / "r", store) as mirror:
        way = doors(site, mirror.url)
        chosen = decide(way)
        without = decide(way, fallback="")
        kept = decide(way, record=chosen.record)
    assert chosen.stack["name"] == NEW
    (sentence,) = said(chosen, "warn")
    assert sentence == (
        f"kfp-2.0.0 cannot be had here (10 of its images are not on {mirror.url}); this first installation takes "
        "kfp-2.5.0 instead, as stack_fallback says, and the server stays with it"
    )
    assert chosen.record == {"stack": NEW, "wanted": OLD, "origin": "shipped", "why": f"{sentence}."}
    assert (kept.stack["name"], said(kept, "warn"), kept.record) == (NEW, [], None)
    (refusal,) = said(without, "refuse")
    assert refusal.startswith(f"{mirror.url} does not have 10 images (")
    assert refusal.endswith(" of kfp-2.0.0: put them there, or name a stack_fallback")


@pytest.mark.parametrize("kind", ["password", "tokens"])
def test_a_mirror_that_wants_a_login(store: Path, site: str, tmp_path: Path, kind: str) -> None:
    signer = certificates.self_signed(tmp_path, "signer")
    login = {"username": USER, "password": PASSWORD}
    with token_server(signer, login=basic()) as (realm, _):
        options: dict[str, Any] = {"password": True} if kind == "password" else {"realm": realm, "signer": signer}
        with registry(tmp_path / "r", store, **options) as mirror:
            outside = decide(doors(site, mirror.url), wanted=NEW)
            wrong = decide(doors(site, {"url": mirror.url, **login, "password": "guess"}), wanted=NEW)
            inside = decide(doors(site, {"url": mirror.url, **login}), wanted=NEW)
    assert len(said(outside, "refuse")) == 1
    assert "give username and password in registry_mirrors['" in said(outside, "refuse")[0]
    assert outside.record is None
    assert "does not accept the login for" in said(wrong, "refuse")[0]
    assert said(inside, "refuse") == []
    assert ["HTTP Basic only" in text for text in said(inside, "warn")] == [True] * (kind == "tokens")


def test_a_mirror_that_hangs_costs_one_timeout_and_decides_nothing(store: Path, site: str, tmp_path: Path) -> None:
    with files.hanging() as (silent, held):
        started = time.monotonic()
        chosen = decide(doors(site, silent), seconds=1)
        took = time.monotonic() - started
        assert len(held) == 1
    (refusal,) = said(chosen, "refuse")
    assert refusal.startswith(f"{silent} gives no answer, needed for ")
    assert chosen.record is None
    assert took < 30  # 1 s for the mirror; the rest is the program and a loaded machine
