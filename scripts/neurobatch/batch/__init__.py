"""Notebooks as batch jobs: one notebook over many subjects, watched, resubmitted where it failed, results beside it.

Everything here needs the standard library alone, so that it starts at once and runs in any Python, also where Elyra's
environment must stay as it is. A batch is a folder in the lab's storage (docs/batch.md): its journal says what was
submitted, each subject's folder how it went. Pods see the same storage through a claim.
"""
