"""What the server can know of CVMFS' stratum servers before a client is installed."""
