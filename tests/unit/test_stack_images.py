"""The tables of images in the shipped stacks: sorted, complete, and true of the releases' own manifests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from neurobatch import images, stacks

from tests.rehearsal.cvmfs import build as cvmfs
from tests.rehearsal.kfp import archive
from tests.rehearsal.kfp.images import IMAGES
from tests.rehearsal.stackfiles import STACKS as REHEARSAL
from tests.rehearsal.stackfiles import known_stacks

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(stacks.known())
STACKS = {name: stacks.resolve(name) for name in SHIPPED}
#: A registry's host, a path, and a tag or nothing: what no other text of the manifests looks like.
REFERENCE = re.compile(r"^(gcr\.io|ghcr\.io|quay\.io|docker\.io|registry\.k8s\.io)/[\w./-]+(:[\w.-]+)?(@sha256:\w+)?$")

Json = dict[str, Any]


def table(name: str) -> dict[str, Json]:
    rows: dict[str, Json] = STACKS[name]["kubeflow_pipelines"]["images"]
    return rows


def values(node: Any) -> Iterator[str]:
    """Yield every text of a document."""
    if isinstance(node, dict):
        for each in node.values():
            yield from values(each)
    elif isinstance(node, list):
        for each in node:
            yield from values(each)
    elif isinstance(node, str):
        yield node


def at(objects: list[Json], place: str) -> Any:
    """Return what stands at a place of a stack's table."""
    kind, name, pointer = re.split("[/ ]", place, maxsplit=2)
    node: Any = next(each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)
    node = node["data"] if kind == "ConfigMap" else node["spec"]["template"]["spec"]["containers"][0]
    for step in pointer.split("/"):
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


def upstream(name: str) -> Path:
    """Return the release's own manifests, or leave the test out."""
    folder = archive.upstream(STACKS[name]["kubeflow_pipelines"]["version"], PROJECT)
    if folder is None:
        pytest.skip("the release's own manifests are not here (NEUROBATCH_KFP_UPSTREAM)")
    return folder


def rendered(folder: Path) -> list[Json]:
    """Return the objects that a kustomization makes."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl, which renders the manifests, is not here")
    run = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [each for each in yaml.safe_load_all(run.stdout) if each]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_tables_are_sorted(name: str) -> None:  # S0-31, D4
    raw = yaml.safe_load((stacks.SHIPPED_DIR / f"{name}.yml").read_text())
    tables = (
        raw["kubeflow_pipelines"]["images"],
        raw["kubeflow_pipelines"]["sdk"],
        raw["cvmfs_csi"]["images"],
        raw["neurodesktop"]["constraints"],
    )
    for each in tables:
        assert list(each) == sorted(each)


def test_the_stacks_have_the_same_rows() -> None:
    assert len({tuple(table(name)) for name in SHIPPED}) == 1


@pytest.mark.parametrize("name", SHIPPED)
def test_one_value_stands_in_one_place(name: str) -> None:
    rows = table(name)
    places = [row["place"] for row in rows.values() if not row["place"].startswith("program ")]
    assert len(places) == len(set(places))
    assert len({row["image"] for row in rows.values()}) == len(rows)
    for row in rows.values():
        assert row["substitute"] != row["image"]
    pipelines, driver = STACKS[name]["kubeflow_pipelines"], STACKS[name]["cvmfs_csi"]
    tags = [
        row["image"].rpartition(":")[2]
        for row in rows.values()
        if row["source"].startswith("manifests/kustomize/base/pipeline")
    ]
    assert set(tags) == {pipelines["version"]}
    assert f"/{pipelines['version']}.tar.gz" in pipelines["url"]
    assert driver["images"]["cvmfs-csi"]["image"].endswith(f":v{driver['version']}")
    for tool in STACKS[name]["tools"].values():
        assert tool["version"] in tool["url"]
        assert tool["sum_url"].startswith(tool["url"])


@pytest.mark.parametrize("name", SHIPPED)
def test_what_nobody_needs_is_not_installed(name: str) -> None:
    """The role leaves out exactly the Deployments whose image nobody needs."""
    dropped = yaml.safe_load((PROJECT / "roles/kubeflow_pipelines/defaults/main.yml").read_text())
    unneeded = [row["place"] for row in table(name).values() if not row["needed"]]
    assert dropped["kubeflow_pipelines_drop"] == sorted(
        place.removeprefix("Deployment/").removesuffix(" image")
        for place in unneeded
        if place.startswith("Deployment/")
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_every_image_comes_from_the_file_that_is_named(name: str) -> None:
    root = upstream(name).parents[1]
    for row in table(name).values():
        if row["source"].startswith("manifests/"):
            bare = row["image"].partition(":")[0]
            assert bare in (root / row["source"]).read_text(), row["source"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_every_image_of_the_release_is_in_the_table_and_where_it_says(name: str) -> None:  # S0-34
    objects = rendered(upstream(name) / "env" / "platform-agnostic")
    rows = table(name).values()
    built_in = {row["image"] for row in rows if row["place"].startswith("program ")}
    found = {value for value in values(objects) if REFERENCE.match(value)}
    assert found == {row["image"] for row in rows} - built_in
    for row in rows:
        if row["image"] not in built_in:
            assert at(objects, row["place"]) == row["image"], row["place"]


def overlay(pipelines: Json, base: Path, folder: Path, **knobs: Any) -> list[Json]:
    """Return what the role's overlay makes of the manifests, in a copy, since kustomize follows no links."""
    role = PROJECT / "roles" / "kubeflow_pipelines"
    shutil.copytree(base, folder / "manifests")
    (folder / "overlay").mkdir()
    jinja = jinja2.Environment(trim_blocks=True, autoescape=False)  # noqa: S701 - YAML, as Ansible renders it
    jinja.filters |= {"comment": str, "to_json": json.dumps, "neurobatch_substitutions": images.substitutions}
    settings = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    settings |= {"ansible_managed": "#", "__kubeflow_pipelines_stack": pipelines}
    settings |= {"__kubeflow_pipelines_cluster": {"namespace": "kubeflow"}, **knobs}
    for template in (role / "templates").glob("*.yaml.j2"):
        (folder / "overlay" / template.stem).write_text(jinja.from_string(template.read_text()).render(settings))
    return rendered(folder / "overlay")


def generated(name: str, folder: Path) -> Path:
    """Write the rehearsal's manifests of the stack's release."""
    for path, data in archive.generated(STACKS[name]["kubeflow_pipelines"]["version"]).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["upstream", "rehearsal"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_overlay_puts_every_substitute_in_its_place(name: str, kind: str, tmp_path: Path) -> None:
    base = upstream(name) if kind == "upstream" else generated(name, tmp_path / "generated")
    rows = table(name)
    objects = overlay(STACKS[name]["kubeflow_pipelines"], base, tmp_path)
    found = {value for value in values(objects) if REFERENCE.match(value)}
    assert not found & set(images.replaced(rows))
    for row in rows.values():
        if row["substitute"]:
            assert at(objects, row["place"]) == row["substitute"]
    for each in objects:
        if each["kind"] == "Deployment":
            for container in each["spec"]["template"]["spec"]["containers"]:
                names = [variable["name"] for variable in container.get("env", [])]
                # The API server refuses a server-side apply that has one twice.
                assert len(names) == len(set(names)), each["metadata"]["name"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_site_can_take_every_image_from_its_own_registry(name: str, tmp_path: Path) -> None:  # S0-40
    """Whatever Deployments are installed; but for what the API server of 2.0.0 has built in."""
    rows = {word: row for word, row in table(name).items() if not row["place"].startswith("program ")}
    own = {word: {**row, "substitute": f"registry.lab/{word}@sha256:{'0' * 64}"} for word, row in rows.items()}
    pipelines = {**STACKS[name]["kubeflow_pipelines"], "images": own}
    objects = overlay(pipelines, upstream(name), tmp_path, kubeflow_pipelines_drop=[])
    assert not [value for value in values(objects) if REFERENCE.match(value)]
    assert {at(objects, row["place"]) for row in own.values()} == {row["substitute"] for row in own.values()}


@pytest.mark.parametrize("name", known_stacks())
def test_the_rehearsal_serves_every_image_that_is_needed(name: str) -> None:
    served = {each for image in IMAGES for each in image.names} | {cvmfs.NAME}
    stack = stacks.resolve(name, [REHEARSAL])
    rows = [row for row in stack["kubeflow_pipelines"]["images"].values() if row["needed"]]
    wanted = [row["substitute"] or row["image"] for row in rows]
    wanted += [row["image"] for row in stack["cvmfs_csi"]["images"].values()]
    wanted.append(f"docker.io/library/{stack['runtime_image']['name']}")
    assert {each.partition("/")[2] for each in wanted} <= served


def test_a_place_that_is_deleted_or_built_in_gets_no_patch() -> None:
    row = {"image": "a.io/b:1", "substitute": "c.io/d:2", "needed": [], "source": "x"}
    made = images.substitutions(
        {
            "argument": {**row, "place": "Deployment/controller args/3"},
            "as-upstream": {**row, "place": "Deployment/other image", "substitute": None},
            "program": {**row, "place": "program api-server"},
            "setting": {**row, "place": "ConfigMap/settings cacheImage"},
        }
    )
    assert [each["target"] for each in made] == [
        {"kind": "Deployment", "name": "controller"},
        {"kind": "ConfigMap", "name": "settings"},
    ]
    assert json.loads(made[0]["patch"]) == [
        {"op": "test", "path": "/spec/template/spec/containers/0/args/3", "value": "a.io/b:1"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/args/3", "value": "c.io/d:2"},
    ]
    assert [step["path"] for step in json.loads(made[1]["patch"])] == ["/data/cacheImage"] * 2


@pytest.mark.parametrize("name", SHIPPED)
def test_the_sdk_of_a_stack_is_what_its_environment_is_locked_to(name: str) -> None:
    assert (PROJECT / "requirements" / f"{name}.in").read_text() == stacks.sdk_requirements(name), "run: make lock"
    locked = (PROJECT / "requirements" / f"{name}.txt").read_text()
    for package, version in STACKS[name]["kubeflow_pipelines"]["sdk"].items():
        assert f"\n{package}=={version} " in locked


def test_elyra_compiles_with_the_sdk_of_its_stack() -> None:
    """On 2.0.0 Elyra speaks the V1 API with an SDK of its own; later stacks have one SDK for both."""
    stack = STACKS["kfp-2.5.0"]
    pins = stack["neurodesktop"]["constraints"]
    assert {name: pins[name] for name in stack["kubeflow_pipelines"]["sdk"]} == stack["kubeflow_pipelines"]["sdk"]
    assert (pins["elyra"], pins["jupyterlab"]) == ("4.1.1", "4.5.11")
