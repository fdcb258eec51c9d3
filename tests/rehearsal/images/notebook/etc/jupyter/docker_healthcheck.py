#!/usr/bin/python3
"""Health check of the image: the running Jupyter server's API answers."""

import json
import pathlib
import sys
import urllib.request

runtime = pathlib.Path("/home/jovyan/.local/share/jupyter/runtime")
servers = sorted(runtime.glob("jpserver-*.json"), key=lambda path: path.stat().st_mtime)
if not servers:
    sys.exit(1)
url = json.loads(servers[-1].read_text())["url"]
urllib.request.urlopen(url + "api", timeout=3).read()
