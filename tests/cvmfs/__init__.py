"""The Neurodesk tools in pods: mounts, verdicts and faults on a server of their own, with real autofs and FUSE."""
