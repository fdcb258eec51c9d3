"""Stands for Argo Workflows: how a step becomes a pod (pods.py), and who may make pods (controller.py)."""
