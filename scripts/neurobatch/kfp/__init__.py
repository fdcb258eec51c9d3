"""Kubeflow Pipelines from outside: a REST client, pipelines compiled beforehand, and the smoke run.

The SDK `kfp` is not needed here: it compiles the templates in specs/ (`make specs`), in an environment of its own per
stack, because its generations exclude one another.
"""
