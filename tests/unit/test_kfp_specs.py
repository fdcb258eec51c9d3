"""The committed pipelines are what their sources compile to, and what the back end of their stack accepts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from neurobatch import stacks
from neurobatch.batch import jobs, settings
from neurobatch.kfp import template

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "scripts" / "neurobatch" / "kfp" / "specs"
LOCKS = sorted(stacks.known())
#: KFP 2.0.0 parses the pipeline strictly (backend/src/apiserver/template), its driver the Kubernetes part of each step.
#: Deployment and executors are free-form in the first and parsed on their own. Prints the number of executors of each.
STRICT = """
import json, sys
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp.kubernetes import kubernetes_executor_config_pb2
for pipeline, *platform in json.load(sys.stdin):
    json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(pipeline["deploymentSpec"], deployment)
    print(len(deployment.executors))
    for document in platform:
        json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
        executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        assert executors.keys() <= deployment.executors.keys(), executors
        for row in executors.values():
            json_format.ParseDict(row, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
"""
#: Every construct that is filled in when a run is submitted (jobs.spec), alone and all together.
ALONE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "cpu": {"cpu": 0.5},
    "memory": {"memory": 8 * 10**9},
    "gpu": {"gpu": 2},
    "mounts": {"mounts": {"other": "/data", "third": "/more"}},
}
REQUESTS = [*ALONE.values(), {name: value for row in ALONE.values() for name, value in row.items()}]
#: Which protos take which stack's specs: its own, and every later one, since what runs on the first stack must go on
#: running after a site has moved on. The other way round is what the two sets of specs are for.
ACCEPTED = [("kfp-2.0.0", "kfp-2.0.0"), ("kfp-2.0.0", "kfp-2.5.0"), ("kfp-2.5.0", "kfp-2.5.0")]


def strictly(protos: str, documents: list[list[Any]]) -> list[int]:
    """Parse specs with the protos of a stack's SDK and return how many executors each has."""
    python = ROOT / f".venv-{protos}" / "bin" / "python"
    text = json.dumps(documents)
    run = subprocess.run([python, "-c", STRICT], input=text, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-600:]
    return [int(line) for line in run.stdout.split()]


#: The nodes of an Elyra pipeline: alone, in a row and in parallel, each with something else that is filled in.
NODES: list[dict[str, Any]] = [
    {"name": "first", "image": "tools:1", "parents": []},
    *({"name": f"then-{name}", "image": "tools:2", "parents": ["first"], **row} for name, row in ALONE.items()),
    {"name": "last", "image": "tools:1", "parents": [f"then-{name}" for name in ALONE]},
]


def emitted(stack: str) -> list[list[Any]]:
    """Return every spec that any command can submit on a stack."""
    found = settings.Settings(compiled_for=stack, claim="lab", tools_claim="tools")
    specs = [jobs.spec(found, {"image": "tools:1", **request}) for request in REQUESTS]
    specs.append(template.fill(template.load("smoke", stack), "tools:1", {"cvmfs-neurodesk": "tools"}))
    specs.append(jobs.merged(found, NODES, "neurobatch-analysis"))
    return [[dict(spec.pipeline), dict(spec.platform)] for spec in specs]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile all pipelines with the SDK of each stack."""
    folder = tmp_path_factory.mktemp("specs")
    run = subprocess.run([ROOT / "scripts" / "compile-specs", folder], capture_output=True, text=True, check=False)
    made = [ROOT / f".venv-{lock}" / ".neurobatch-lock" for lock in LOCKS]
    if run.returncode and not all(path.exists() for path in made):
        pytest.skip(f"the SDK's environment cannot be made here: {run.stderr.strip()[-300:]}")
    assert run.returncode == 0, run.stderr
    return folder


def test_every_stack_has_every_pipeline() -> None:
    wanted = {f"{source.stem}-{lock}.yaml" for source in SPECS.glob("*.py") for lock in LOCKS}
    assert wanted == {path.name for path in SPECS.glob("*.yaml")}


@pytest.mark.slow
def test_the_committed_pipelines_are_what_their_sources_compile_to(compiled: Path) -> None:
    made = {path.name: path.read_text() for path in compiled.glob("*.yaml")}
    assert made, "nothing was compiled"
    assert made == {path.name: path.read_text() for path in SPECS.glob("*.yaml")}, "run: make specs"


@pytest.mark.slow
@pytest.mark.parametrize(("stack", "protos"), ACCEPTED)
def test_protos_take_all_that_is_submitted(compiled: Path, stack: str, protos: str) -> None:
    """As compiled, and with all that is filled in: limits, GPUs, claims and images are ours, not the SDK's."""
    committed = [list(yaml.safe_load_all(path.read_text())) for path in sorted(compiled.glob(f"*-{stack}.yaml"))]
    assert strictly(protos, committed) == [1, 3]
    made = emitted(stack)
    assert strictly(protos, made) == [*[1] * len(REQUESTS), 3, len(NODES)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "field"),
    [("pipeline", "unheardOf"), ("container", "unheardOf"), ("mount", "unheardOf"), ("mount", "pvcNameParameter")],
)
def test_protos_of_the_first_stack_refuse_what_they_do_not_know(compiled: Path, place: str, field: str) -> None:
    """The strictness is real: each of these, accepted by later ones or by nobody, is refused."""
    ((pipeline, platform), *_) = emitted("kfp-2.0.0")
    (executor,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    (step,) = pipeline["deploymentSpec"]["executors"].values()
    {"pipeline": pipeline["root"], "container": step["container"], "mount": executor["pvcMount"][0]}[place][field] = {}
    with pytest.raises(AssertionError, match=field):
        strictly("kfp-2.0.0", [[pipeline, platform]])


def test_the_pins_are_the_ones_whose_protos_count() -> None:
    pins = (ROOT / "requirements" / "kfp-2.0.0.in").read_text().split()
    assert {"kfp-pipeline-spec==0.2.2", "kfp-kubernetes==1.0.0"} <= set(pins)


def test_nothing_is_installed_at_run_time_and_nothing_looks_like_a_placeholder_of_ours() -> None:
    for path in SPECS.glob("*.yaml"):
        pipeline = next(iter(yaml.safe_load_all(path.read_text())))
        for row in pipeline["deploymentSpec"]["executors"].values():
            words = " ".join(row["container"]["command"])
            assert not re.search(r"pip3? install|-m pip|apt-get|conda install", words), path
            # Argo and the launcher replace what stands in double braces; only arguments may have it.
            assert "{{" not in words, path
        tasks = pipeline["root"]["dag"]["tasks"].values()
        assert not any(task["cachingOptions"].get("enableCache") for task in tasks), path
