"""One notebook for one subject: a single step that mounts the lab's storage and the Neurodesk tools.

What is to be done stands in a job file in the storage; its path is the only parameter, so that nothing that a scientist
writes passes through the back end's own substitutions. The step is steps/notebook_step.py, embedded as it is.

Usage: python notebook.py OUTPUT.yaml
"""

# mypy: disable-error-code="no-untyped-def,valid-type,untyped-decorator,import-not-found"
# The SDK has no types, and it reads the annotations at run time: no `from __future__ import annotations` here.
import sys
from pathlib import Path

from kfp import compiler, dsl
from kfp import kubernetes as platform

IMAGE = "neurobatch.invalid/runtime-image"
STORAGE, TOOLS = "neurodesktop-storage", "cvmfs-neurodesk"
PROGRAM = (Path(__file__).parents[1] / "steps" / "notebook_step.py").read_text(encoding="utf-8")


@dsl.container_component
def notebook(job: str, results: dsl.Output[dsl.Artifact]):  # noqa: ANN201
    """Run the notebook that the job file names."""
    return dsl.ContainerSpec(image=IMAGE, command=["python3", "-c", PROGRAM], args=[job, results.path, results.uri])


@dsl.pipeline(name="neurobatch-notebook", description="One notebook for one subject")
def batch(job: str) -> None:
    """Run it once; what a cache remembers is no result of today's data."""
    step = notebook(job=job).set_caching_options(False)
    platform.mount_pvc(step, pvc_name=STORAGE, mount_path="/neurodesktop-storage")
    platform.mount_pvc(step, pvc_name=TOOLS, mount_path="/cvmfs/neurodesk.ardc.edu.au")


if __name__ == "__main__":
    compiler.Compiler().compile(batch, sys.argv[1])
