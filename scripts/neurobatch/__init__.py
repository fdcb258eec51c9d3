"""Neurobatch: turns a Linux server into a Neurodesk batch workstation."""
