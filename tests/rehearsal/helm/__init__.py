"""A command line over Helm's own engine, in place of the program helm.

The engine (v4.2.3, the Go code of Helm) is a library in the Python package helm-python-sdk; this package gives it
the arguments and the outputs of `helm` that the roles use, and refuses all others. Installing, waiting, rolling back
and the release records in Secrets are the engine's, against the real API server.
"""
