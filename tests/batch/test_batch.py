"""One notebook over twelve subjects on a real cluster: failures named and run again, a reboot survived, refusals."""

from __future__ import annotations

import json
import time

import pytest

from tests.batch.conftest import CELLS, STUDY, Scientist
from tests.rehearsal.instance import Instance

TWO = {"sub-03", "sub-08"}
RUN = ("run", "double.ipynb", "--over", "participants.tsv", "--output", "result.txt")


def test_two_of_twelve_fail_are_named_and_only_they_run_again(scientist: Scientist) -> None:
    code, out, err = scientist.neurobatch(
        *RUN, "--name", "first", "--max-parallel", "4", "--wait", "--json", timeout=900
    )
    assert code == 1, out + err
    result = json.loads(out)
    assert set(result["failed"]) == TWO and result["counts"] == {"SUCCEEDED": 10, "FAILED": 2}
    reasons = {row["name"]: row["reason"] for row in result["subjects"] if row["reason"]}
    for name in TWO:
        assert reasons[name].startswith("cell 4 (In [5]) `value = int(data)`: ValueError: invalid literal"), reasons
    for number in range(1, 13):
        name = f"sub-{number:02}"
        if name not in TWO:
            assert scientist.read(f"results/first/{name}/result.txt") == f"{name} {(number - 1) * 2}"
            executed = json.loads(scientist.read(f"results/first/{name}/double.ipynb"))
            printed = "".join(
                "".join(output.get("text", "")) for cell in executed["cells"] for output in cell["outputs"]
            )
            assert f"{name} has {number - 1} and " in printed and "categories of tools" in printed
    owners = scientist.shell(f"find ~{STUDY}/results ! -user $(id -un)").stdout
    assert owners == "", "what steps write belongs to the scientist"

    before = scientist.files("results/first")
    for name in TWO:
        scientist.write(f"data/{name}.txt", "100")
    code, out, err = scientist.neurobatch("resubmit", "first", "--wait", "--json", timeout=600)
    assert code == 0, out + err
    attempts = {row["name"]: row["attempt"] for row in json.loads(out)["subjects"]}
    assert {name for name, attempt in attempts.items() if attempt == 2} == TWO
    after = scientist.files("results/first")
    untouched = {
        path: state for path, state in before.items() if path.split("/")[1] not in {*TWO, "batch.json", ".lock"}
    }
    assert untouched.items() <= after.items(), "nothing of the others is written again"
    for name in TWO:
        assert scientist.read(f"results/first/{name}/result.txt") == f"{name} 200"
        assert before[f"./{name}/log.txt"] == after[f"./failed/{name}-1/log.txt"], "the failed attempt is kept"
        scientist.write(f"data/{name}.txt", "spoilt")


def test_logs_list_and_results_from_the_object_store(scientist: Scientist) -> None:
    code, out, _ = scientist.neurobatch("logs", "first", "sub-05")
    assert code == 0 and "sub-05 has 4 and" in out
    assert "first: all 12 succeeded" in scientist.neurobatch("list")[1]
    scientist.shell(f"rm ~{STUDY}/results/first/sub-05/result.txt")
    code, out, err = scientist.neurobatch("fetch", "first", "sub-05")
    assert code == 0 and "1 files of 1 subjects" in out, out + err
    assert scientist.read("results/first/sub-05/result.txt") == "sub-05 8"


def test_inside_neurodesktop_it_is_the_same_command(scientist: Scientist) -> None:
    code, out, err = scientist.inside("status", "first", "--json")
    assert code == 0 and json.loads(out)["counts"] == {"SUCCEEDED": 12}, out + err
    code, out, err = scientist.inside("run", "double.ipynb", "-p", "subject=sub-01", "--name", "inside", "--wait")
    assert code == 0 and "all 1 succeeded" in out, out + err
    assert scientist.read("results/inside/all/result.txt") == "sub-01 0"
    # Elyra's environment is as its stack names it: nothing of ours is in it.
    listed = scientist.shell(
        "sudo -n docker exec neurodesktop /opt/conda/bin/python -m pip list --format=freeze"
    ).stdout
    assert "neurobatch" not in listed


def test_cancel_ends_what_runs_and_logs_follow_until_then(scientist: Scientist) -> None:
    run = scientist.start(
        f"cd ~{STUDY} && neurobatch run double.ipynb -p subject=sub-02 -p seconds=600 --name long --wait"
    )
    deadline = time.monotonic() + 120
    while "working" not in scientist.neurobatch("logs", "long")[1]:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(1)
    follow = scientist.start(f"cd ~{STUDY} && neurobatch logs long -f")
    code, out, err = scientist.neurobatch("cancel", "long")
    assert code == 0, out + err
    run.communicate(timeout=60)
    assert run.returncode == 1
    shown, _ = follow.communicate(timeout=60)
    assert "working" in shown
    assert scientist.status("long")["counts"] == {"CANCELED": 1}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--mount=nowhere=/data", "the claim nowhere does not exist"),
        ("--image=nobody/nothing:1", "the image nobody/nothing:1 cannot be had"),
        ("--output=other.txt", "the declared output other.txt was not written"),
        ("--timeout=3", "not over after 3 s, ended in cell 3"),
        ("--image=python:3.11-slim", "this image cannot run notebooks: No module named"),
    ],
)
def test_what_cannot_be_is_said_in_time(scientist: Scientist, option: str, words: str) -> None:
    seconds = ("-p", "seconds=60") if option.startswith("--timeout") else ()
    began = time.monotonic()
    code, out, err = scientist.neurobatch(
        "run",
        "double.ipynb",
        "-p",
        "subject=sub-01",
        *seconds,
        option,
        "--grace=5",
        "--deadline=200",
        "--new",
        "--wait",
    )
    assert code == 1, out + err
    assert words in out and time.monotonic() - began < 200


def test_a_reboot_in_the_middle(scientist: Scientist, instance: Instance) -> None:
    for name in TWO:
        scientist.write(f"data/{name}.txt", "1")
    command = (*RUN, "-p", "seconds=25", "--name", "second", "--max-parallel", "4", "--wait")
    run = scientist.start(f"cd ~{STUDY} && neurobatch {' '.join(command)}")
    deadline = time.monotonic() + 400
    while True:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(2)
        counts = scientist.status("second")["counts"] if "second" in scientist.neurobatch("list")[1] else {}
        if counts.get("SUCCEEDED", 0) >= 3 and counts.get("RUNNING", 0) >= 2 and counts.get("WAITING", 0) >= 2:
            break
    before = scientist.status("second")
    done = {row["name"] for row in before["subjects"] if row["state"] == "SUCCEEDED"}
    files = scientist.files("results/second")
    instance.reboot()
    run.communicate(timeout=60)
    # Nothing is waited for here: the cluster starts while the command asks for it.
    # The name is taken, so this is how the same run goes on; without --name the same command does.
    # A pod that is caught between its preparation and its step stays Pending for ever: such a subject is given up.
    resume = ("resume", "second", "--max-parallel", "4", "--wait", "--json")
    code, out, err = scientist.neurobatch(*resume, timeout=900)
    assert code == 1, out + err
    result = json.loads(out)
    killed = set(result["failed"])
    assert killed and not killed & done, "what was done before stays done"
    assert len(killed) <= 4, "only what ran can have been killed"
    for row in result["subjects"]:
        if row["name"] in killed:
            assert row["state"] == "FAILED", row
            assert row["reason"].startswith(("killed while it ran", "it has not begun, and its pod is from")), row
    assert any(row["reason"].startswith("killed while it ran") for row in result["subjects"]), result
    code, out, err = scientist.neurobatch("resubmit", "second", "--max-parallel", "4", "--wait", "--json", timeout=600)
    assert code == 0, out + err
    again = {row["name"] for row in json.loads(out)["subjects"] if row["attempt"] == 2}
    assert again == killed
    after = scientist.files("results/second")
    kept = {path: state for path, state in files.items() if path.split("/")[1] in done}
    assert kept and kept.items() <= after.items()
    for number in range(1, 13):
        name = f"sub-{number:02}"
        assert scientist.read(f"results/second/{name}/result.txt").startswith(name)
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:31380/pipeline/apis/v2beta1/runs?page_size=200').read().decode())"
    runs = json.loads(scientist.shell(f'python3 -c "{ask}"').stdout)["runs"]
    uid = json.loads(scientist.read("results/second/batch.json"))["uid"]
    mine = [row["display_name"] for row in runs if f"[{uid}-" in row["display_name"]]
    assert len(mine) == len(set(mine)) == 12 + len(killed), "no subject was submitted twice"


def test_the_cells_are_where_the_failures_were_expected() -> None:
    assert CELLS[3].startswith("value = int(data)")
