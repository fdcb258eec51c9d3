"""What the node's mirrors say of an image: containerd tells only what the last place that it asked has said.

Behind a mirror that lacks an image, the last place is the image's own registry, which a closed network never reaches.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from neurobatch.remote.common import text
from neurobatch.remote.network import registry
from neurobatch.remote.network.door import Door

#: What Minikube syncs into its node, as containerd reads it (docs/hosts.md of containerd).
MIRRORS = "/var/lib/neurobatch/minikube/.minikube/files/etc/containerd/certs.d"
#: Seconds for one question, and for all about one image.
PATIENCE, LIMIT = 5, 10
_HOST = re.compile(r'^\[host\."([^"]+)"\]', re.MULTILINE)
_LOGIN = re.compile(r'authorization = "([^"]+)"')


def mirror(image: str, folder: str = MIRRORS) -> str:
    """Return in one line what the mirror of an image's registry says of it, empty where there is none."""
    where, repository, reference = registry.split(image)
    place = Path(folder) / where
    settings = text(str(place / "hosts.toml")) or ""
    found = _HOST.search(settings)
    if not found:
        return ""
    # A registry below a path has /v2 in front of it, see neurobatch.mirrors.
    url = found[1].replace("/v2/", "/", 1)
    asked = registry.Registry(Door("", [], PATIENCE), url, ca=text(str(place / "ca.crt")) or "")
    login = _LOGIN.search(settings)
    asked.basic = login[1] if login else ""
    answer = asked.manifest(repository, reference, time.monotonic() + LIMIT)
    name = f"{repository}{'@' if reference.startswith('sha256:') else ':'}{reference}"
    words = {"there": f"has {name}", "absent": f"has no {name}: not found"}
    return f"The mirror {url} {words.get(answer['state'], 'says of ' + name + ': ' + str(answer.get('detail')))}"
