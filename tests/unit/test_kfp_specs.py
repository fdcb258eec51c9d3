"""The committed pipelines are what their sources compile to, and what the back end of their stack accepts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from neurobatch import stacks
from neurobatch.batch import jobs, settings

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "scripts" / "neurobatch" / "kfp" / "specs"
LOCKS = sorted(stacks.known())
#: KFP 2.0.0 parses the pipeline strictly (backend/src/apiserver/template), its driver the Kubernetes part of each step.
STRICT = """
import json, sys, yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp.kubernetes import kubernetes_executor_config_pb2
pipeline, *platform = yaml.safe_load_all(open(sys.argv[1]))
json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
json_format.ParseDict(pipeline["deploymentSpec"], deployment)
print(len(deployment.executors))
for document in platform:
    json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
    for row in document["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        json_format.ParseDict(row, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
"""


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
@pytest.mark.parametrize("lock", LOCKS)
def test_the_back_end_of_the_stack_accepts_them(compiled: Path, lock: str) -> None:
    for path in compiled.glob(f"*-{lock}.yaml"):
        python = ROOT / f".venv-{lock}" / "bin" / "python"
        run = subprocess.run([python, "-c", STRICT, path], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert int(run.stdout) == (3 if path.name.startswith("smoke") else 1)


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS)
def test_the_back_end_of_the_stack_accepts_all_that_is_filled_in(compiled: Path, lock: str, tmp_path: Path) -> None:
    """Limits, GPUs and further claims are ours: the SDK has not written them."""
    request = {"image": "tools:1", "cpu": 1.5, "memory": 8 * 10**9, "gpu": 1, "mounts": {"other": "/data"}}
    filled = jobs.spec(settings.Settings(compiled_for=lock), request)
    path = tmp_path / "filled.yaml"
    path.write_text(yaml.safe_dump_all([dict(filled.pipeline), dict(filled.platform)]))
    python = ROOT / f".venv-{lock}" / "bin" / "python"
    run = subprocess.run([python, "-c", STRICT, path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


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
