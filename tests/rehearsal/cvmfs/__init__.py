"""What the rehearsal has in place of CVMFS-CSI: a chart with the real one's name, version and values, and its image.

Stands for oci://registry.cern.ch/kubernetes/charts/cvmfs-csi 2.5.2 and registry.cern.ch/kubernetes/cvmfs-csi:v2.5.2.
What is the same, what differs, and what only the real driver shows: README.md beside this file.
"""
