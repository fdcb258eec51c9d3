"""`submit`, `pipeline` and `--after` against a real HTTP server; the nodes of pipelines really run, as processes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from neurobatch.kfp import template

from tests.unit import batch_bench, test_notebook_step
from tests.unit.batch_bench import Bench
from tests.unit.test_batch_run import until

QUICK = ("--wait", "--interval=0.02", "--patience=0.3", "--max-parallel=2")


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with batch_bench.bench(tmp_path, capsys, monkeypatch) as made:
        (tmp_path / "config.json").write_text(json.dumps({"mount": str(made.storage), "image": "tools:1", "cpus": 4}))
        test_notebook_step.stand_ins(tmp_path / "lib")
        made.api.lib = tmp_path / "lib"
        yield made


def node(name: str, filename: str, *after: str, **more: Any) -> dict[str, Any]:
    """Return a node as Elyra's editor writes it."""
    kinds = {".py": "execute-python-node", ".r": "execute-r-node"}
    links = [{"id": f"l-{name}-{each}", "node_id_ref": each, "port_id_ref": "outPort"} for each in after]
    asked = {"filename": filename, "runtime_image": "", "dependencies": [], "outputs": [], "env_vars": [], **more}
    return {
        "id": name,
        "type": "execution_node",
        "op": kinds.get(Path(filename).suffix, "execute-notebook-node"),
        "app_data": {"component_parameters": asked, "label": "", "ui_data": {"label": filename}},
        "inputs": [{"id": "inPort", "app_data": {}, **({"links": links} if links else {})}],
    }


def pipeline(bench: Bench, *nodes: dict[str, Any], version: int = 8, **properties: Any) -> Path:
    """Write a .pipeline beside the notebook."""
    about = {"version": version, "runtime_type": "KUBEFLOW_PIPELINES", "properties": {"name": "p", **properties}}
    primary = {"id": "primary", "nodes": list(nodes), "app_data": about, "runtime_ref": ""}
    document = {"doc_type": "pipeline", "version": "3.0", "primary_pipeline": "primary", "pipelines": [primary]}
    path = bench.home / "analysis.pipeline"
    path.write_text(json.dumps(document))
    return path


def study(bench: Bench) -> Path:
    """Write three nodes: a script that makes a file, a notebook, and a script that takes the file and a dependency."""
    (bench.home / "code").mkdir()
    (bench.home / "code" / "make.py").write_text(
        "import os, pathlib\n"
        "pathlib.Path('out').mkdir()\n"
        "pathlib.Path('out/made.txt').write_text(os.environ['who'] + os.environ['EXTRA'])\n"
        "print('made for', os.environ['NEUROBATCH_SUBJECT'])\n"
    )
    (bench.home / "take.py").write_text(
        "import pathlib, helper\n"
        "got = pathlib.Path('out/made.txt').read_text() + pathlib.Path('conf/a.txt').read_text()\n"
        "pathlib.Path('taken.txt').write_text(helper.loud(got))\n"
    )
    (bench.home / "helper.py").write_text("def loud(text):\n    return text.upper()\n")
    (bench.home / "conf").mkdir()
    (bench.home / "conf" / "a.txt").write_text("!")
    return pipeline(
        bench,
        node("3", "take.py", "2", dependencies=["helper.py", "conf"], outputs=["taken.txt"]),
        node(
            "1",
            "code/make.py",
            outputs=["out"],
            pipeline_parameters=["who"],
            env_vars=[{"env_var": "EXTRA", "value": "-x"}],
        ),
        node("2", "bet.ipynb", "1", env_vars=["DOES=write"], outputs=["maps/*.nii"], cpu=2, memory=4),
        pipeline_parameters=[{"name": "who", "default_value": {"type": "String", "value": "nobody"}}],
        pipeline_defaults={
            "mounted_volumes": [{"path": "/lab", "pvc_name": "lab", "sub_path": "", "read_only": False}]
        },
    )


def test_a_pipeline_of_elyra_runs_its_nodes_in_order_and_outputs_travel(bench: Bench) -> None:
    path = study(bench)
    assert bench.call("pipeline", str(path), "-p", "who=me", *QUICK) == 0, bench.out + bench.err
    assert (bench.folder / "all" / "take" / "taken.txt").read_text() == "ME-X!"
    assert (bench.folder / "all" / "bet" / "maps" / "a.nii").exists()
    assert "made for all" in (bench.folder / "all" / "make" / "log.txt").read_text()
    sent = bench.api.runs[0]["pipeline_spec"]
    tasks = sent["pipeline_spec"]["root"]["dag"]["tasks"]
    assert {name: task.get("dependentTasks", []) for name, task in tasks.items()} == {
        "make": [], "bet": ["make"], "take": ["bet"],
    }  # fmt: skip
    executors = sent["pipeline_spec"]["deploymentSpec"]["executors"]
    assert executors["exec-bet"]["container"]["resources"]["memoryLimit"] == 4.0
    assert "resources" not in executors["exec-make"]["container"]
    assert all(row["container"]["image"] == "tools:1" for row in executors.values())
    mounts = sent["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert all({"constant": "lab", "mountPath": "/lab"} in row["pvcMount"] for row in mounts.values())
    assert bench.call("logs", bench.folder.name) == 0
    assert "make | made for all" in bench.out
    # What was run stays as it was, whatever becomes of the files beside the pipeline.
    (bench.home / "take.py").write_text("raise SystemExit(1)")
    assert "helper.loud" in (bench.folder / ".sources" / "take" / "take.py").read_text()


def test_a_pipeline_over_subjects_and_what_failed_again(bench: Bench) -> None:
    path = study(bench)
    bench.table.write_text("who\tage\nann\t1\nbob\t2\n")
    taker = bench.home / "take.py"
    good = taker.read_text()
    taker.write_text(
        "import pathlib\nif 'bob' in pathlib.Path('out/made.txt').read_text():\n    raise OSError('bad disk')\n" + good
    )
    assert bench.call("pipeline", str(path), f"--over={bench.table}", *QUICK) == 1
    assert "bob FAILED: take: " in bench.out and "take.py ended with exit code 1: OSError: bad disk" in bench.out
    assert (bench.folder / "ann" / "take" / "taken.txt").read_text() == "ANN-X!"
    (bench.folder / ".sources" / "take" / "take.py").write_text(good)
    assert bench.call("resubmit", bench.folder.name, *QUICK) == 0
    assert (bench.folder / "bob" / "take" / "taken.txt").read_text() == "BOB-X!"
    assert "bad disk" in (bench.folder / "failed" / "bob-1" / "take" / "log.txt").read_text()
    assert bench.api.submitted() == ["ann", "bob", "bob"]


@pytest.mark.parametrize("pattern", ["*", "**", "**/*"])
def test_what_earlier_runs_left_is_no_dependency(bench: Bench, pattern: str) -> None:
    """Neither this pipeline's own runs, nor one of a notebook in a folder that it takes in."""
    bench.home = bench.storage  # Where our index lies, too.
    book = json.dumps(batch_bench.notebook("subject = 'none'", "print(1)"))
    for name in ("code/other.ipynb", "run.ipynb", "data/results/mine.txt"):
        (bench.home / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.home / name).write_text(book)
    other, path = (
        bench.home / "code" / "other.ipynb",
        pipeline(bench, node("1", "run.ipynb", dependencies=[pattern], env_vars=["DOES=write"])),
    )
    assert bench.call("run", str(other), "--name=aside", "--image=tools:1", *QUICK) == 0, bench.err
    assert bench.call("pipeline", str(path), "--name=old", *QUICK) == 0, bench.out + bench.err
    bench.api.does = {"all": "hold"}
    assert bench.call("pipeline", str(path), *QUICK, "--deadline=0.2") == 4
    bench.api.does = {}
    assert bench.call("pipeline", str(path), *QUICK) == 0, bench.err
    assert "going on with" in bench.out and len(bench.api.runs) == 3
    for folder in (bench.home / "results").iterdir():
        copies = folder / ".sources" / "run"
        there = {str(each.relative_to(copies)) for each in copies.rglob("*") if each.is_file()}
        beside = {"analysis.pipeline", "code/other.ipynb", "data/results/mine.txt", "study/bet.ipynb"}
        assert there == beside | {"run.ipynb", "study/participants.tsv"}


def test_a_dependency_on_earlier_runs_alone_is_refused(bench: Bench) -> None:
    assert bench.run("--name=old") == 0
    bench.api.requests.clear()
    path = pipeline(bench, node("a", "bet.ipynb", dependencies=["results/old/a/*"]))
    line = refused(bench, "pipeline", str(path))
    assert "depends on 'results/old/a/*', which is of earlier runs alone; copy what it needs" in line


def refused(bench: Bench, *argv: str) -> str:
    before = sorted(bench.storage.rglob("*"))
    assert bench.call(*argv) == 2, bench.out
    assert sorted(bench.storage.rglob("*")) == before and bench.api.requests == []
    (line,) = bench.err.strip().splitlines()[-1:]
    return line


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([], "has no node"),
        (
            [{**node("a", "bet.ipynb"), "op": "kfp-catalog:x"}],
            "node bet: kfp-catalog:x is no notebook, Python or R script",
        ),
        ([node("a", "gone.ipynb")], "There is no notebook"),
        ([node("a", "gone.py")], "node gone: there is no file"),
        ([node("a", "bet.ipynb", "b"), node("b", "bet.ipynb", "a")], "its nodes wait for each other"),
        (
            [node("a", "bet.ipynb", kubernetes_secrets=[{"env_var": "A", "name": "s", "key": "k"}])],
            "it asks for secrets",
        ),
        ([node("a", "bet.ipynb", kubernetes_tolerations=[{"key": "k"}])], "it asks for tolerations"),
        ([node("a", "bet.ipynb", kubernetes_shared_mem_size={"size": 1, "units": "G"})], "it asks for shared memory"),
        ([node("a", "bet.ipynb", outputs=["../x"])], "'../x' leads out of the node's folder"),
        (
            [node("a", "bet.ipynb", dependencies=["no*.py"])],
            "it depends on 'no*.py', and nothing beside it is called so",
        ),
        ([node("a", "bet.ipynb", pipeline_parameters=["no"])], "the pipeline has no parameter 'no'"),
        ([node("a", "bet.ipynb", gpu=1, gpu_vendor="amd.com/gpu")], "it asks for GPUs called amd.com/gpu"),
        ([node("a", "bet.ipynb", cpu=64)], "node bet: 64 CPUs: the node has 4"),
        (
            [node("a", "bet.ipynb", mounted_volumes=[{"path": "/d", "pvc_name": "c", "sub_path": "s"}])],
            "it mounts a part of the claim c (sub_path)",
        ),
        (
            [node("a", "bet.ipynb", mounted_volumes=[{"path": "/cvmfs/neurodesk.ardc.edu.au", "pvc_name": "c"}])],
            "the claim c cannot be mounted at /cvmfs/neurodesk.ardc.edu.au, which is taken",
        ),
    ],
)
def test_pipelines_that_cannot_be_run_here(bench: Bench, nodes: list[dict[str, Any]], words: str) -> None:
    path = pipeline(bench, *nodes)
    assert words in refused(bench, "pipeline", str(path))


def test_files_that_are_no_pipelines_of_elyra(bench: Bench, tmp_path: Path) -> None:
    path = pipeline(bench, node("a", "bet.ipynb"), version=5)
    assert "is of Elyra's format 5, not 8; open it in the editor and save it" in refused(bench, "pipeline", str(path))
    path.write_text("{}")
    assert "is no pipeline of Elyra's editor" in refused(bench, "pipeline", str(path))
    loose = {**node("a", "bet.ipynb"), "inputs": [{"id": "inPort", "links": [{"node_id_ref": "elsewhere"}]}]}
    for odd in (loose, node("a", "bet.ipynb", cpu="many"), {**node("a", "bet.ipynb"), "app_data": 3}):
        assert "is no pipeline of Elyra's editor: " in refused(bench, "pipeline", str(pipeline(bench, odd)))
    path.unlink()
    assert "There is no pipeline" in refused(bench, "pipeline", str(path))
    outside = tmp_path / "o.pipeline"
    outside.write_text(pipeline(bench, node("a", str(bench.book))).read_text())
    assert "is outside the workspace" in refused(bench, "pipeline", str(outside))


def test_parameters_of_a_pipeline(bench: Bench) -> None:
    path = pipeline(bench, node("a", "bet.ipynb"), pipeline_parameters=[{"name": "who", "required": True}])
    assert "the parameter who has no default; -p who=VALUE gives it one" in refused(bench, "pipeline", str(path))
    assert "has no parameter 'x' (-p); it has: who." in refused(bench, "pipeline", str(path), "-p", "x=1")
    assert "has no parameter 'subject' (the first column of" in refused(
        bench, "pipeline", str(path), f"--over={bench.table}"
    )


@pytest.fixture
def spec(bench: Bench) -> Path:
    """A compiled pipeline of three steps with parameters of every kind, beside the notebook."""
    loaded = template.load("smoke", "kfp-2.0.0")
    pipeline, platform = dict(loaded.pipeline), dict(loaded.platform)
    kinds = {
        "subject": {"parameterType": "STRING"},
        "n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1},
        "x": {"parameterType": "NUMBER_DOUBLE", "isOptional": True},
        "on": {"parameterType": "BOOLEAN", "defaultValue": False},
        "names": {"parameterType": "LIST", "defaultValue": []},
    }
    pipeline["root"] = {**pipeline["root"], "inputDefinitions": {"parameters": kinds}}
    path = bench.home / "three.yaml"
    path.write_text(yaml.safe_dump_all([pipeline, platform], sort_keys=False))
    return path


def test_a_spec_is_submitted_as_it_is_with_parameters_of_their_types(bench: Bench, spec: Path) -> None:
    argv = ("-p", "subject=007", "-p", "n=3", "-p", "x=2", "-p", "on=True", "-p", 'names=["a"]')
    assert bench.call("submit", str(spec), *argv, *QUICK, "--json") == 0, bench.err
    assert bench.json()["counts"] == {"SUCCEEDED": 1}
    (run,) = bench.api.runs
    assert run["runtime_config"]["parameters"] == {"subject": "007", "n": 3, "x": 2.0, "on": True, "names": ["a"]}
    pipeline, platform = yaml.safe_load_all(spec.read_text())
    assert run["pipeline_spec"] == {"pipeline_spec": pipeline, "platform_spec": platform}
    assert bench.call("logs", bench.folder.name) == 2
    assert "its pages show what it prints, e.g. http://127.0.0.1:" in bench.err and "/#/runs/details/r0" in bench.err
    assert bench.call("fetch", bench.folder.name) == 2


def test_a_spec_over_subjects_beside_no_storage(bench: Bench, spec: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "batch.json"
    elsewhere.write_text(json.dumps(next(iter(yaml.safe_load_all(spec.read_text())))))
    bench.table.write_text("subject\tn\na\t1\nb\t2\n")
    assert bench.call("submit", str(elsewhere), f"--over={bench.table}", "--name=mine", *QUICK) == 0, bench.err
    assert [run["runtime_config"]["parameters"] for run in bench.api.runs] == [
        {"subject": "a", "n": 1}, {"subject": "b", "n": 2},
    ]  # fmt: skip
    assert "pipeline_spec" not in bench.api.runs[0]["pipeline_spec"], "without a platform part it goes alone"
    assert (bench.storage / "results" / "mine" / "spec-batch.json").is_file()
    assert bench.call("status", "mine") == 0


def test_a_submission_of_a_spec_is_not_made_twice_and_goes_on(bench: Bench, spec: Path) -> None:
    cuts = ["done-drop"]
    bench.api.fault = lambda method, path: cuts.pop() if method == "POST" and path.endswith("/runs") and cuts else None
    bench.api.does = {"all": "hold"}
    assert bench.call("submit", str(spec), "-p", "subject=a", *QUICK, "--deadline=0.2") == 4
    bench.api.does = {}
    assert bench.call("submit", str(spec), "-p", "subject=a", *QUICK) == 0
    assert "going on with" in bench.out and len(bench.api.runs) == 1


@pytest.mark.parametrize(
    ("text", "argv", "words"),
    [
        (None, (), "There is no file"),
        ("a: [", (), "is neither YAML nor JSON"),
        ("- 1", (), "is no compiled pipeline (kfp.compiler"),
        ("kind: Workflow", (), "is a workflow of Kubeflow Pipelines 1"),
        ("same", (), "the parameter subject has no default; -p subject=VALUE gives it one"),
        ("same", ("-p", "who=1"), "has no parameter 'who' (-p); it has: subject, n, x, on, names."),
        ("same", ("-p", "n=many"), "the parameter n (-p) is NUMBER_INTEGER, which 'many' is not"),
        ("same", ("-p", "n=True"), "the parameter n (-p) is NUMBER_INTEGER, which 'True' is not"),
        ("same", ("-p", "names=a"), "the parameter names (-p) is LIST, which 'a' is not"),
    ],
)
def test_specs_that_cannot_be_submitted(
    bench: Bench, spec: Path, text: str | None, argv: tuple[str, ...], words: str
) -> None:
    if text is None:
        spec.unlink()
    elif text != "same":
        spec.write_text(text)
    assert words in refused(bench, "submit", str(spec), *argv)


def test_each_subject_begins_when_the_same_one_of_the_other_run_is_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stage is started while the first one runs; a failed subject's second stage is skipped."""
    bench.api.does = dict.fromkeys("abc", "hold")
    assert bench.run("--name=first", "--max-parallel=3", "--deadline=0.2") == 4
    bench.api.does = {"a": "fail", "c": "hold"}
    monkeypatch.setattr("neurobatch.batch.after.LOOK", 0.3)
    second = json.dumps(batch_bench.notebook("subject = 'none'", "print(2)"))
    (bench.home / "stats.ipynb").write_text(second)
    book, bench.book = bench.book, bench.home / "stats.ipynb"
    results: list[int] = []

    def drive() -> None:
        results.append(bench.run("--name=second", "--after=first", "--max-parallel=3", "--patience=20"))

    thread = threading.Thread(target=drive)
    thread.start()
    until(lambda: any(run["display_name"].startswith("second b ") for run in bench.api.runs))
    assert not any(run["display_name"].startswith("second c ") for run in bench.api.runs), "c of the first still runs"
    bench.api.does = {}
    thread.join(timeout=20)
    assert results == [1]
    states = {row["name"]: row["state"] for row in json.loads(journal(bench, "second"))["subjects"]}
    assert states == {"a": "SKIPPED", "b": "SUCCEEDED", "c": "SUCCEEDED"}
    assert "a SKIPPED: not begun: a of first, which it comes after, is FAILED" in bench.out
    bench.book = book
    assert bench.call("resubmit", "first", "--wait", "--interval=0.02") == 0
    assert bench.call("resubmit", "second", "--wait", "--interval=0.02") == 0, bench.out
    assert len([run for run in bench.api.runs if run["display_name"].startswith("second ")]) == 3


def journal(bench: Bench, name: str) -> str:
    return (bench.home / "results" / name / "batch.json").read_text()


def test_a_run_without_this_subject_is_waited_for_as_a_whole(bench: Bench) -> None:
    bench.api.does = {"b": "fail"}
    assert bench.run("--name=first") == 1
    path = pipeline(bench, node("a", "bet.ipynb", env_vars=["DOES=write"]))
    assert bench.call("pipeline", str(path), "--after=first", *QUICK) == 1
    assert "all SKIPPED: not begun: b of first, which it comes after, is FAILED" in bench.out
    assert len(bench.api.runs) == 3
    assert bench.call("run", str(bench.book), "--after=gone") == 2
    assert "There is no run 'gone'" in bench.err


def test_who_waits_for_what_nobody_submits_is_told(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    bench.run("--name=first", "--deadline=0.2")
    assert bench.run("--name=second", "--after=first", "--deadline=0.3") == 4
    assert (
        "first, which this comes after, has 1 subjects left that nobody submits; `neurobatch resume first`" in bench.out
    )


def test_cancel_ends_what_waits_for_another_run(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    bench.run("--name=first", "--max-parallel=3", "--deadline=0.2")
    assert bench.run("--name=second", "--after=first", "--deadline=0.2") == 4
    assert bench.call("cancel", "second") == 0
    assert json.loads(journal(bench, "second"))["subjects"][0]["state"] == "CANCELED"
    assert len(bench.api.runs) == 3 and not bench.api.terminated


def test_the_pipeline_that_the_editor_saves_is_what_these_tests_write(bench: Bench) -> None:
    """The template that every installation puts into JupyterLab is read, too."""
    root = Path(__file__).parents[2]
    source = (root / "roles" / "elyra" / "templates" / "batch-template.pipeline.j2").read_text().split("#}", 1)[1]
    values = {
        "__elyra_image | to_json": '"tools:2"',
        "neurobatch_cvmfs.mount_path | to_json": '"/cvmfs/neurodesk.ardc.edu.au"',
        "neurobatch_cvmfs.claim | to_json": '"cvmfs-neurodesk"',
        "neurobatch_kubeflow.storage_claim | to_json": '"neurodesktop-storage"',
    }
    for name, value in values.items():
        source = source.replace(f"{{{{ {name} }}}}", value)
    path = bench.home / "batch-template.pipeline"
    path.write_text(source.replace("/neurodesktop-storage", str(bench.storage)))
    (bench.home / "tools.ipynb").write_text(bench.book.read_text())
    config = json.loads((bench.storage.parent / "config.json").read_text())
    assert config["mount"] == str(bench.storage)
    bench.api.does = {"all": "hold"}
    assert bench.call("pipeline", str(path), *QUICK, "--deadline=0.2") == 4, bench.err
    (run,) = bench.api.runs
    sent = run["pipeline_spec"]
    assert sent["pipeline_spec"]["deploymentSpec"]["executors"]["exec-tools"]["container"]["image"] == "tools:2"
    (mounts,) = sent["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert [row["constant"] for row in mounts["pvcMount"]] == ["neurodesktop-storage", "cvmfs-neurodesk"]
