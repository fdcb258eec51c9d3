"""Minikube and Kubeflow Pipelines on a server of their own: applied, broken, repaired, removed."""
