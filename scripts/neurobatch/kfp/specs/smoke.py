"""The smoke pipeline: what a batch step of this workstation needs, used once by a step that fails where it is missing.

`tools` reads the Neurodesk tools through their claim, `produce` writes an artifact, `consume` takes a parameter of the
one and the artifact of the other, which has travelled through the object store. The steps bring no packages and need no
network beyond the cluster's. Compiled by `make specs` with the SDK of each stack; nothing imports this at run time.

The image and the claim are names to be replaced when a run is submitted (neurobatch.kfp.smoke.fill); KFP 2.0.0 takes
neither from a run's parameters.

Usage: python smoke.py OUTPUT.yaml
"""

# mypy: disable-error-code="no-untyped-def,valid-type,untyped-decorator,import-not-found"
# The SDK has no types, and it reads the annotations at run time: no `from __future__ import annotations` here.
import sys

from kfp import compiler, dsl
from kfp import kubernetes as platform

IMAGE = "neurobatch.invalid/runtime-image"
CLAIM = "cvmfs-neurodesk"
MOUNT = "/cvmfs/neurodesk.ardc.edu.au"

TOOLS = f"""\
set -eu
cd {MOUNT} || {{ echo "SMOKE: {MOUNT} cannot be read"; exit 11; }}
count=$(ls neurodesk-modules 2>/dev/null | wc -l)
if [ "$count" -eq 0 ]; then echo "SMOKE: {MOUNT}/neurodesk-modules lists nothing"; exit 12; fi
echo "{MOUNT}/neurodesk-modules lists $count categories:"
ls neurodesk-modules
mkdir -p "$(dirname "$0")"
printf %s "$count" > "$0"
"""

PRODUCE = """\
set -eu
mkdir -p "$(dirname "$0")"
printf 'neurobatch smoke artifact\\n' > "$0"
echo "wrote $(wc -c < "$0") bytes to $0"
"""

CONSUME = """\
set -eu
count=$0 artifact=$1
case "$count" in
  *[!0-9]* | "" | 0) echo "SMOKE: the parameter of step tools arrived as '$count'"; exit 21 ;;
esac
[ -f "$artifact" ] || { echo "SMOKE: the artifact of step produce did not arrive at $artifact"; exit 22; }
content=$(cat "$artifact")
if [ "$content" != 'neurobatch smoke artifact' ]; then
  echo "SMOKE: the artifact of step produce arrived as '$content'"; exit 23
fi
echo "took $count from step tools and the artifact of step produce"
"""


@dsl.container_component
def tools(categories: dsl.OutputPath(int)):  # noqa: ANN201
    """List the categories of the Neurodesk modules and hand their number on."""
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", TOOLS], args=[categories])


@dsl.container_component
def produce(artifact: dsl.Output[dsl.Artifact]):  # noqa: ANN201
    """Write an artifact."""
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", PRODUCE], args=[artifact.path])


@dsl.container_component
def consume(categories: int, artifact: dsl.Input[dsl.Artifact]):  # noqa: ANN201
    """Check that both arrived."""
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", CONSUME], args=[categories, artifact.path])


@dsl.pipeline(name="neurobatch-smoke", description="Tools by the claim, a parameter and an artifact between steps")
def smoke() -> None:
    """Put the steps together; nothing is taken from the cache, since a proof must run."""
    listed = tools().set_caching_options(False)
    platform.mount_pvc(listed, pvc_name=CLAIM, mount_path=MOUNT)
    made = produce().set_caching_options(False)
    consume(categories=listed.outputs["categories"], artifact=made.outputs["artifact"]).set_caching_options(False)


if __name__ == "__main__":
    compiler.Compiler().compile(smoke, sys.argv[1])
