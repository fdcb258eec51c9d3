"""Clusters that somebody else runs: rights, storage classes, namespaces, OpenShift's APIs, and a whole installation."""
