"""`neurobatch run --local` with this machine's real Docker, papermill and kernel."""
