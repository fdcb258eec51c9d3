"""What the rehearsal has in place of CVMFS-CSI: a chart with the real one's name, version and values, and its image.

Stands for oci://registry.cern.ch/kubernetes/charts/cvmfs-csi 2.5.2 and registry.cern.ch/kubernetes/cvmfs-csi:v2.5.2.

Like the real one: the values, and the files that they become in /etc/cvmfs; names, labels and update strategy of pods;
autofs on the node's /var/cvmfs, which mounts on demand, never expires with timeout 0 and remembers a failed mount for
60 s; a FUSE file system that dies with the node plugin's pod; the reconciler that unmounts what died; storage classes
that give a repository or all of /cvmfs; the prefetcher. A mount fails as the client's does where the proxy is CERN's or
missing, no server is named, the public key is no key or a configuration repository is asked for.

Unlike it: no CSI is spoken (claims become hostPath volumes, so a mount happens when the kubelet asks for the folder),
the file system is squashfuse with a toy tree inside of the image, and no server is ever contacted: one whose name ends
in `.invalid` counts as dead, every other one as alive. Only `* * * * *` is a schedule.
"""
