"""A stand-in for Minikube v1.38.1, its docker driver with containerd, one node, one version of Kubernetes.

Served by the rehearsal's mirror as one executable file (a zip archive with a first line for the kernel), for
Python 3.9 and later with nothing but its standard library. It takes the flags listed in `flags.py` and refuses all
others; messages, identifiers and exit codes are those of Minikube's source at v1.38.1, where they are given as such.
"""

VERSION = "v1.38.1"
KUBERNETES = "v1.20.2"
BASE_IMAGE = "gcr.io/k8s-minikube/kicbase:v0.0.50"
