"""JupyterLab as a scientist uses it: through an SSH tunnel, with the token, with Elyra, with a kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from neurobatch import jupyter

from tests.rehearsal.instance import Instance
from tests.rehearsal.tunnel import tunnel

pytestmark = pytest.mark.unit("neurodesktop.service")


@pytest.fixture(scope="module")
def url(instance: Instance) -> Iterator[str]:
    """JupyterLab's address on this machine."""
    with tunnel(instance, 8888) as address:
        yield address


@pytest.mark.parametrize("path", ["/api/contents", "/api/kernels", "/elyra/metadata/runtimes"])
@pytest.mark.parametrize("given", ["", "password", "neurodesk"])
def test_nobody_gets_in_without_the_token(url: str, path: str, given: str) -> None:
    headers = {"Authorization": f"token {given}"} if given else {}
    assert requests.get(url + path, headers=headers, timeout=10).status_code == 403


def test_the_token_lets_in(url: str, token: str) -> None:
    for path in ("/api/contents", f"/lab?token={token}"):
        answer = requests.get(url + path, headers={"Authorization": f"token {token}"}, timeout=20)
        assert answer.status_code == 200


def test_elyra_answers(url: str, token: str) -> None:
    headers = {"Authorization": f"token {token}"}
    assert "runtimes" in requests.get(f"{url}/elyra/metadata/runtimes", headers=headers, timeout=20).json()
    components = requests.get(f"{url}/elyra/pipeline/components/kubeflow_pipelines", headers=headers, timeout=60)
    offered = {node["label"] for category in components.json()["categories"] for node in category["node_types"]}
    assert {"Notebook", "Python Script", "R Script"} <= offered


def test_a_notebook_is_executed_and_kept(url: str, token: str) -> None:
    cells = (
        "import os, platform\nprint(platform.node(), os.environ['USER'], repr(os.environ['PIP_CONSTRAINT']))",
        "sum(n * n for n in range(10))",
        "from pathlib import Path\nproof = Path('/neurodesktop-storage/proof.txt')\nproof.write_text('by a notebook')\n"
        "proof.stat().st_uid == os.getuid()",
    )
    kept = jupyter.run(url, token, "proof.ipynb", jupyter.notebook(*cells))
    assert [cell["execution_count"] for cell in kept["cells"]] == [1, 2, 3]
    printed, squares, owned = (cell["outputs"] for cell in kept["cells"])
    assert printed[0]["text"] == "neurodesktop jovyan ''\n"
    assert squares[0]["data"]["text/plain"] == "285"
    assert owned[0]["data"]["text/plain"] == "True"
    assert jupyter.as_text(kept).endswith("Out[3]: True")


def test_a_failing_cell_is_said_so(url: str, token: str) -> None:
    with pytest.raises(jupyter.JupyterError, match="cell cell-1 failed: ZeroDivisionError"):
        jupyter.run(url, token, "broken.ipynb", jupyter.notebook("1 / 0"))
