"""Pipelines on a real cluster: Elyra's own, what the SDK compiled, and one run after another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.batch.conftest import STUDY, Scientist

TEMPLATE = "/home/jovyan/batch-template"


def test_the_template_of_elyra_s_editor_runs_from_the_command_line(scientist: Scientist) -> None:
    scientist.shell(f"sudo -n docker exec --user=jovyan neurodesktop cp -r {TEMPLATE} {STUDY}/template")
    code, out, err = scientist.inside("pipeline", "template/batch-template.pipeline", "--name=template", "--wait")
    assert code == 0 and "template: all 1 succeeded" in out, out + err
    executed = json.loads(scientist.read("template/results/template/all/tools/tools.ipynb"))
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    assert cells and all(cell["execution_count"] for cell in cells)
    listed = scientist.neurobatch("logs", "template/results/template")[1]
    assert "brings [" in listed, listed


def test_the_nodes_of_a_pipeline_hand_files_on_over_subjects(scientist: Scientist) -> None:
    make = "import os, pathlib\npathlib.Path('made.txt').write_text(str(10 // int(os.environ['divisor'])))\n"
    take = "import pathlib\nprint('took', pathlib.Path('made.txt').read_text())\n"
    scientist.write("nodes/make.py", make)
    scientist.write("nodes/take.py", take)
    scientist.write("nodes/two.pipeline", two_nodes())
    scientist.write("nodes/subjects.tsv", "subject\tdivisor\nann\t5\nbob\t0\n")
    argv = ("pipeline", "nodes/two.pipeline", "--over", "nodes/subjects.tsv", "--name", "two", "--wait", "--json")
    code, out, err = scientist.neurobatch(*argv, timeout=400)
    assert code == 1, out + err
    result = json.loads(out)
    assert result["counts"] == {"SUCCEEDED": 1, "FAILED": 1} and result["failed"] == ["bob"]
    (reason,) = [row["reason"] for row in result["subjects"] if row["reason"]]
    assert "make" in reason and "ZeroDivisionError" in reason
    assert "took 2" in scientist.read("nodes/results/two/ann/take/log.txt")
    assert "./take/log.txt" not in scientist.files("nodes/results/two/bob"), "what comes after a failure does not run"


def two_nodes() -> str:
    """Return a .pipeline of two scripts, the second of which takes the first one's file."""

    def node(name: str, asked: dict[str, Any], *after: str) -> dict[str, Any]:
        links = [{"id": f"{each}-{name}", "node_id_ref": each, "port_id_ref": "outPort"} for each in after]
        about = {"component_parameters": {"filename": f"{name}.py", **asked}, "ui_data": {"label": name}}
        ports = [{"id": "inPort", "app_data": {}, "links": links}]
        return {
            "id": name, "type": "execution_node", "op": "execute-python-node", "app_data": about, "inputs": ports,
        }  # fmt: skip

    nodes = [
        node("make", {"outputs": ["made.txt"], "pipeline_parameters": ["divisor"]}),
        node("take", {}, "make"),
    ]
    parameters = [{"name": name, "default_value": {"type": "String", "value": "1"}} for name in ("subject", "divisor")]
    about = {"version": 8, "runtime_type": "KUBEFLOW_PIPELINES", "properties": {"pipeline_parameters": parameters}}
    primary = {"id": "primary", "nodes": nodes, "app_data": about, "runtime_ref": ""}
    return json.dumps({"doc_type": "pipeline", "primary_pipeline": "primary", "pipelines": [primary]})


def test_a_compiled_pipeline_runs_over_subjects_and_another_run_goes_on_from_it(scientist: Scientist) -> None:
    scientist.write("greet.yaml", (Path(__file__).parent / "greet.yaml").read_text())
    scientist.write("numbers.tsv", "subject\tnumber\nsub-01\t4\nsub-02\t7\n")
    for name in ("sub-01", "sub-02"):
        scientist.write(f"data/{name}.txt", "1")
    code, out, err = scientist.neurobatch("submit", "greet.yaml", "--over", "numbers.tsv", "--name", "greet")
    assert code == 0, out + err
    # Begun before the first is over: each subject waits for its own, and one whose own has failed is left out.
    argv = ("run", "double.ipynb", "--over", "numbers.tsv", "--name", "next", "--after", "greet", "--wait", "--json")
    code, out, err = scientist.neurobatch(*argv, timeout=400)
    assert code == 1, out + err
    states = {row["name"]: row["state"] for row in json.loads(out)["subjects"]}
    assert states == {"sub-01": "SUCCEEDED", "sub-02": "SKIPPED"}
    assert scientist.read("greeting-sub-01.txt").strip() == "sub-01 8"
    assert scientist.status("greet")["counts"] == {"SUCCEEDED": 1, "FAILED": 1}
