"""The one door for downloads: mirrors by URL or directory, and what goes past a proxy."""

from __future__ import annotations

import pytest
from neurobatch import doors


@pytest.mark.parametrize(
    ("url", "mirror", "address"),
    [
        ("https://dl.k8s.io/a/b", "", "https://dl.k8s.io/a/b"),
        ("https://dl.k8s.io/a/b", "http://m/files/", "http://m/files/dl.k8s.io/a/b"),
        ("https://dl.k8s.io/a/b", "/srv/my mirror", "file:///srv/my%20mirror/dl.k8s.io/a/b"),
        ("", "/srv", ""),
    ],
)
def test_an_address_through_the_mirror(url: str, mirror: str, address: str) -> None:
    assert doors.through(url, mirror) == address


def test_the_cluster_is_never_asked_through_a_proxy() -> None:
    exceptions = doors.past_proxy(["mirror.lab", "localhost"])
    assert {"10.96.0.0/12", "172.16.0.0/12", "mirror.lab", ".svc"} <= set(exceptions)
    assert exceptions.count("localhost") == 1
    environment = doors.proxy_environment("http://proxy:3128", exceptions)
    assert environment["no_proxy"] == environment["NO_PROXY"] == ",".join(exceptions)
    assert environment["https_proxy"] == "http://proxy:3128"
    assert doors.proxy_environment("", exceptions) == {}


@pytest.mark.parametrize(
    ("mirror", "proxy", "variables"),
    [("mirror.lab", "", ["artifact_mirror"]), ("~/files", "proxy:3128", ["artifact_mirror", "proxy_url"]),
     ("/srv", "http://proxy:3128", []), ("", "https://proxy", ["proxy_url"])],
)  # fmt: skip
def test_what_they_may_not_be(mirror: str, proxy: str, variables: list[str]) -> None:
    assert [variable for variable, _ in doors.wrong(mirror, proxy)] == variables
