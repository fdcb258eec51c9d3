whatis("A toy: prepends a folder with one script to PATH")
prepend_path("PATH", "/cvmfs/neurodesk.ardc.edu.au/containers/toytool_1.0_20261121")
