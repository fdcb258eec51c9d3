"""From the browser to a submitted notebook, on a rehearsed server with a cluster: `make test-access`."""
