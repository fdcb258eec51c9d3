"""Stand-ins for Kubeflow Pipelines: its images, its API and the archive of its manifests."""
