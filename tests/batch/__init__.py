"""Batches on a rehearsal server with a real cluster: `make test-batch`."""
