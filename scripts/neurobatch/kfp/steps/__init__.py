"""Programs that run inside steps: one file each, embedded in a compiled pipeline, Python 3.8 and what the image has."""
