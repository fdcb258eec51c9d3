"""Neurodesktop's settings of Jupyter: the desktop behind /neurodesktop, and what runs when Jupyter starts."""

import subprocess

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # traitlets provides it
c.ServerProxy.servers = {
    "neurodesktop": {
        "command": ["/opt/neurodesktop/desktop_services.sh"],
        "port": 8080,
        "timeout": 60,
        "request_headers_override": {
            "Authorization": "Basic am92eWFuOnBhc3N3b3Jk",
        },
        "launcher_entry": {
            "path_info": "neurodesktop",
            "title": "Neurodesktop",
        },
    }
}
c.FileContentsManager.allow_hidden = True

before_notebook = subprocess.call("/opt/neurodesktop/jupyterlab_startup.sh")
