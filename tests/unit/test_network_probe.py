"""The network probe against small real servers: files, limits, silence, redirects; registries are in tests/doors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from neurobatch.remote.network import registry
from neurobatch.remote.network.door import Door, excepted, pause, shown
from neurobatch.remote.network.probe import answers

from tests.doors import files

LOGIN = {"username": "lab", "password": "s3cr3t"}


def files_asked(*urls: str, **more: Any) -> list[dict[str, Any]]:
    targets = [{"id": url, "url": url} for url in urls]
    found = answers({"targets": targets, "seconds": 1, "budget": 10} | more)
    return [found[url] for url in urls]


def test_files_by_url_and_of_this_server(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"12345")
    with files.folder(tmp_path) as (url, _):
        found = files_asked(f"{url}/tool", f"{url}/none", f"file://{tmp_path}/tool", f"file://{tmp_path}/none")
    assert [(row["state"], row.get("length")) for row in found] == [
        ("there", 5), ("absent", None), ("there", 5), ("absent", None)
    ]  # fmt: skip


def image_asked(mirror: dict[str, str]) -> dict[str, Any]:
    image = "gcr.io/ml-pipeline/api-server:1"
    targets = [{"id": image, "image": image}]
    return answers({"targets": targets, "registries": {"gcr.io": mirror}, "seconds": 2, "budget": 10})[image]


@pytest.mark.parametrize(("times", "after", "state"), [(2, "0", "there"), (1, "3600", "limited"), (99, "0", "limited")])
def test_one_that_says_429_is_asked_again_when_it_says(times: int, after: str, state: str) -> None:
    started = time.monotonic()
    with files.limited(times, after) as (url, _):
        (found,) = files_asked(f"{url}/tool", seconds=10, budget=20)  # a busy machine answers late
    assert found["state"] == state
    assert time.monotonic() - started < 30


def test_an_image_behind_429_too() -> None:
    with files.limited(2, "0") as (url, seen):
        found = image_asked({"url": url})
    assert found["state"] == "there"
    assert len(seen) == 3


def test_a_host_that_nobody_listens_on_and_a_name_that_nobody_has() -> None:
    with files.hanging() as (url, _):
        pass
    found = files_asked(f"{url}/a", f"{url}/b", "http://nowhere.invalid/c")
    assert [row["state"] for row in found] == ["refused", "refused", "unresolved"]
    assert [row.get("asked", True) for row in found] == [True, False, True]


def test_a_redirect_takes_no_login_to_another_host(tmp_path: Path) -> None:
    seen: list[str | None] = []

    class Far(files.Handler):
        def reply(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.answer(200)

    with files.serving(Far) as far:

        class Near(files.Handler):
            def reply(self) -> None:
                if self.headers.get("Authorization"):
                    self.answer(307, Location=f"{far}/blob")
                else:
                    self.answer(401, WWW_Authenticate='Basic realm="x"')

        with files.serving(Near) as near:
            found = image_asked({"url": near, **LOGIN})
    assert found["state"] == "there"
    assert seen == [None]


def test_a_host_that_hangs_costs_one_question_and_the_others_nothing(tmp_path: Path) -> None:
    (tmp_path / "tool").touch()
    with files.hanging() as (silent, held), files.folder(tmp_path) as (url, _):
        dead = [f"{silent}/{number}" for number in range(30)]
        found = files_asked(*dead, f"{url}/tool", seconds=0.5)
        assert len(held) == 1
    assert [row["state"] for row in found] == ["silent"] * 30 + ["there"]


def test_the_budget_ends_a_server_that_answers_drop_by_drop() -> None:
    class Dripping(files.Handler):
        def reply(self) -> None:
            for byte in b"HTTP/1.1 200 OK":
                time.sleep(0.3)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

    with files.serving(Dripping) as url:
        (found,) = files_asked(f"{url}/tool", seconds=5, budget=1)
    assert (found["state"], found["detail"]) == ("silent", "no answer in time")


def test_a_server_that_takes_no_head_is_asked_for_one_byte() -> None:
    seen: list[str] = []

    class GetOnly(files.Handler):
        def reply(self) -> None:
            if self.command == "HEAD":
                self.answer(405)
                return
            seen.append(self.headers["Range"])
            self.answer(206, b"x")

    with files.serving(GetOnly) as url:
        (found,) = files_asked(f"{url}/tool")
    assert (found["state"], seen) == ("there", ["bytes=0-0"])


def test_challenges() -> None:
    hub = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'
    assert registry.challenges([hub])["bearer"] == {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "repository:a/b:pull,push",
    }
    assert registry.challenges(['Basic realm="x, y=z"', "Negotiate"]) == {"basic": {"realm": "x, y=z"}, "negotiate": {}}
    both = registry.challenges(['Bearer realm="a",service=b, Basic realm="q"'])
    assert both == {"bearer": {"realm": "a", "service": "b"}, "basic": {"realm": "q"}}


def test_no_login_is_sent_in_the_clear_for_a_registry_with_tls() -> None:
    asked = registry.Registry(Door("", [], 1), "https://registry.lab", "lab", "s3cr3t")
    with pytest.raises(Exception, match="which is not encrypted"):
        asked._token({"realm": "http://auth.lab/token?x=1"}, "repository:a:pull", 0)


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("mirror.lab", True), ("a.mirror.lab", True), ("notmirror.lab", False), ("10.96.3.4", True),
        ("10.112.0.1", False), ("localhost", True), ("gcr.io", False), ("x.internal", True),
    ],
)  # fmt: skip
def test_what_is_asked_past_the_proxy(host: str, direct: bool) -> None:
    assert excepted(host, ["localhost", "mirror.lab", ".internal", "10.96.0.0/12", ""]) is direct


def test_the_time_to_come_back() -> None:
    assert pause("7", 0) == 7
    assert pause("Thu, 01 Jan 1970 00:01:00 GMT", 30) == 30
    assert pause("soon", 0) is None
    assert pause(None, 0) is None


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown("https://user:pass@host:1/a?token=b#c") == "https://host:1/a"
