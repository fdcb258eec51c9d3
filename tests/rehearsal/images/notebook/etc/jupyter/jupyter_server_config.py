"""The base image's own settings: listen on every address, open no browser, delete for good."""

c = get_config()  # noqa: F821  # provided by traitlets
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.open_browser = False
c.FileContentsManager.delete_to_trash = False
