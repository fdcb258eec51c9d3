"""Stacks: what ships is valid, what a site derives is merged, and what cannot be had is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from neurobatch import stacks

PARENT = dedent("""\
    name: base-1
    description: a base
    neurodesktop:
      repo: https://example.org/neurodesktop.git
      commit: 0123456789012345678901234567890123456789
      base_image: jupyter/base-notebook:2023-10-20
      base_image_digest: null
      constraints:
        elyra: "3.15.0"
        jupyterlab: "3.6.8"
    kubernetes: {version: v1.29.15}
    tools:
      minikube: &tool {version: v1, url: "https://example.org/tool", sum_url: null, sha256: null}
      kubectl: *tool
      helm: *tool
    minikube: {base_image: "example.org/node:1"}
    kubeflow_pipelines:
      version: 2.0.0
      url: "https://example.org/kfp.tar.gz"
      tree_sha256: null
      sdk: {kfp: 2.0.1}
      images:
        driver: {image: "example.org/driver:1", substitute: null, needed: [v2], place: program api-server, source: x}
    cvmfs_csi:
      version: 2.5.2
      chart: "oci://example.org/cvmfs-csi"
      url: null
      images: {cvmfs-csi: {image: "example.org/cvmfs-csi:1", source: x}}
    runtime_image: {name: "example.org/runtime:1", python: {minimum: "3.8", maximum: "3.11"}}
    """)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    directory = tmp_path / "shipped"
    directory.mkdir()
    (directory / "base-1.yml").write_text(PARENT)
    return directory


@pytest.fixture
def site(tmp_path: Path) -> Path:
    directory = tmp_path / "site"
    directory.mkdir()
    return directory


def put(site: Path, text: str, name: str = "lab-1") -> list[Path]:
    (site / f"{name}.yml").write_text(dedent(text))
    return [site]


@pytest.mark.parametrize("name", sorted(stacks.known()))
def test_every_shipped_stack_is_valid(name: str) -> None:
    assert stacks.resolve(name)["origin"] == "shipped"


def test_the_default_stack_is_the_mission_s_set() -> None:  # S0-09, S0-11, S0-34
    stack = stacks.resolve(stacks.DEFAULT)
    assert stack["name"] == "kfp-2.0.0"
    assert stack["neurodesktop"]["commit"].startswith("79343fa")
    constraints = stack["neurodesktop"]["constraints"]
    assert {name: constraints[name] for name in ("elyra", "jupyterlab")} == {"elyra": "3.15.0", "jupyterlab": "3.6.8"}


def test_a_site_s_stack_is_merged_into_its_parent(shipped: Path, site: Path) -> None:
    dirs = put(
        site,
        """\
        name: lab-1
        derives: base-1
        neurodesktop:
          repo: https://git.lab/neurodesktop.git
          constraints: {elyra: "3.15.1", our-tool: "1.0"}
        """,
    )
    stack = stacks.resolve("lab-1", dirs, shipped)
    assert stack["origin"] == "site, derived from base-1"
    assert (stack["name"], stack["derives"], stack["description"]) == ("lab-1", "base-1", "a base")
    assert stack["neurodesktop"] == {
        "repo": "https://git.lab/neurodesktop.git",  # replaced
        "commit": "0123456789012345678901234567890123456789",  # kept
        "base_image": "jupyter/base-notebook:2023-10-20",
        "base_image_digest": None,
        "constraints": {"elyra": "3.15.1", "jupyterlab": "3.6.8", "our-tool": "1.0"},  # merged, and open to new keys
    }


def test_the_parent_is_not_changed_by_a_child(shipped: Path, site: Path) -> None:
    before = stacks.resolve("base-1", (), shipped)
    stacks.resolve("lab-1", put(site, "{name: lab-1, derives: base-1, neurodesktop: {repo: x}}"), shipped)
    assert stacks.resolve("base-1", (), shipped) == before


REFUSED = {
    "unknown key": ("neurodesktop: {repos: x}", "base-1 has no neurodesktop.repos; did you mean neurodesktop.repo?"),
    "unknown key, nothing near": ("zzz: 1", "base-1 has no zzz; it has neurodesktop"),
    "scalar for a map": ("neurodesktop: 3", "neurodesktop is a whole number (3), but must be a map"),
    "unquoted version": (
        "neurodesktop: {constraints: {jupyterlab: 3.6}}",
        "neurodesktop.constraints.jupyterlab is a number (3.6), but must be text (put it in quotes)",
    ),
    "short commit": (
        "neurodesktop: {commit: 79343fa}",
        "neurodesktop.commit is '79343fa', but must match ^[0-9a-f]{40}$",
    ),
    "digest without a hash": (
        "neurodesktop: {base_image_digest: latest}",
        "neurodesktop.base_image_digest is 'latest', but must match ^sha256:[0-9a-f]{64}$",
    ),
    "package name": (
        'neurodesktop: {constraints: {Jupyter_Client: "8.0"}}',
        "neurodesktop.constraints names 'Jupyter_Client': write package names in lower case, with hyphens only",
    ),
    "image without a registry": (
        "kubeflow_pipelines: {images: {driver: {image: driver}}}",
        "kubeflow_pipelines.images.driver.image is 'driver', but must match",
    ),
    "substitute without effect": (
        "kubeflow_pipelines: {images: {driver: {substitute: example.org/mine:1}}}",
        "kubeflow_pipelines.images.driver.substitute would have no effect, since the program api-server names the "
        "image itself: leave it null and serve the image with registry_mirrors",
    ),
    "key twice": ("neurodesktop: {repo: a, repo: b}", "line 3: repo stands twice: remove one of the two"),
}


@pytest.mark.parametrize(("body", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_site_stack_is_refused(shipped: Path, site: Path, body: str, sentence: str) -> None:
    with pytest.raises(stacks.StackError) as error:
        stacks.resolve("lab-1", put(site, f"name: lab-1\nderives: base-1\n{body}\n"), shipped)
    assert str(error.value).startswith(f"{site}/lab-1.yml")
    assert sentence in str(error.value)


HEADS = {
    "no derives": ("name: lab-1", "does not say what it derives from: add `derives:` with base-1"),
    "unknown parent": (
        "{name: lab-1, derives: base-2}",
        "derives from the unknown stack 'base-2'; did you mean base-1?",
    ),
    "two levels": ("{name: lab-1, derives: mid-1}", "derives from mid-1, a site's stack itself: derive from base-1"),
    "another name": ("{name: lab-2, derives: base-1}", "names itself 'lab-2': its `name` must be lab-1, as the file's"),
    "a list": ("[1, 2]", "holds a list instead of a map"),
    "not YAML": ("{name: [", "is not valid YAML"),
}


@pytest.mark.parametrize(("text", "sentence"), HEADS.values(), ids=HEADS)
def test_a_site_stack_must_say_what_it_is(shipped: Path, site: Path, text: str, sentence: str) -> None:
    put(site, "{name: mid-1, derives: base-1}", "mid-1")
    with pytest.raises(stacks.StackError) as error:
        stacks.resolve("lab-1", put(site, text), shipped)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("base1", "unknown stack 'base1'; did you mean base-1? Known: base-1"),
        ("zzz", "unknown stack 'zzz'; add its directory to stack_dirs, or take a known one. Known: base-1"),
    ],
)
def test_an_unknown_stack_is_answered_with_the_nearest(shipped: Path, name: str, sentence: str) -> None:
    with pytest.raises(stacks.StackError, match=r"^" + sentence.replace("?", r"\?") + "$"):
        stacks.resolve(name, (), shipped)


def test_two_files_of_one_name_are_refused(shipped: Path, site: Path) -> None:
    with pytest.raises(stacks.StackError, match="both define the stack base-1: rename one of them"):
        stacks.resolve("base-1", put(site, PARENT, "base-1"), shipped)


def test_a_missing_directory_is_refused(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(stacks.StackError, match="nowhere does not exist: create it or take it out of stack_dirs"):
        stacks.resolve("base-1", [tmp_path / "nowhere"], shipped)


def test_a_broken_shipped_stack_is_refused_too(shipped: Path) -> None:
    (shipped / "base-1.yml").write_text(PARENT.replace("description: a base\n", ""))
    with pytest.raises(stacks.StackError, match=r"base-1\.yml: the file lacks description: add it"):
        stacks.resolve("base-1", (), shipped)
