"""The base image's own settings: listen on every address, open no browser, delete for good."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # traitlets provides it
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.open_browser = False
c.FileContentsManager.delete_to_trash = False
