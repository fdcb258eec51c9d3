"""A rehearsal of the pipeline API of KFP 2.0.0 (and 2.5.0): one DAG of container steps, and 501 for the rest.

Stands for ml-pipeline (the API server), the driver and the persistence agent. Under 800 lines on purpose: what
it does not rehearse it refuses by name, so that nothing seems to work that was never tried.
"""
