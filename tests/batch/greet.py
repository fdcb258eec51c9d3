"""A scientist's own pipeline, as the kfp SDK compiles it: two steps, parameters of two types, the lab's storage.

Usage: python greet.py OUTPUT.yaml, with the SDK of requirements/kfp-2.0.0.txt.
"""

# mypy: disable-error-code="no-untyped-def,valid-type,untyped-decorator,import-not-found"
import sys

from kfp import compiler, dsl
from kfp import kubernetes as platform

IMAGE = "docker.io/library/python:3.11"
STORAGE = "neurodesktop-storage"


@dsl.container_component
def double(number: int, doubled: dsl.OutputPath(int)):  # noqa: ANN201
    """Hand on twice the number."""
    script = 'mkdir -p "$(dirname "$1")" && echo $(($0 * 2)) > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[number, doubled])


@dsl.container_component
def write(subject: str, number: int):  # noqa: ANN201
    """Write what arrived into the study's folder; a number of 13 and more is bad luck."""
    script = f'test "$1" -lt 13 && echo "$0 $1" > /{STORAGE}/study/greeting-$0.txt'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-ec", script], args=[subject, number])


@dsl.pipeline(name="greet")
def greet(subject: str, number: int = 3) -> None:
    """Both, one after the other."""
    twice = double(number=number).set_caching_options(False)
    written = write(subject=subject, number=twice.outputs["doubled"]).set_caching_options(False)
    platform.mount_pvc(written, pvc_name=STORAGE, mount_path=f"/{STORAGE}")


compiler.Compiler().compile(greet, sys.argv[1])
