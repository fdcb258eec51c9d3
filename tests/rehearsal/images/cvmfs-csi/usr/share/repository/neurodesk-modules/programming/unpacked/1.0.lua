whatis("A toy that starts as an unpacked container does")
prepend_path("PATH", "/cvmfs/neurodesk.ardc.edu.au/containers/unpacked_1.0_20261121")
