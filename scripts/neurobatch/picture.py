"""Draw docs/images/architecture.svg: who speaks to whom, and what listens where.

The picture is text: boxes and arrows below, in pixels of a 1000 x 520 canvas. `neurobatch docs` writes it, the same
bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 1000, 520
TITLE = "A server is provisioned over SSH; everything but sshd listens on loopback or on a private bridge"


@dataclass(frozen=True)
class Box:
    """A rectangle with a title and lines of text, ``pad`` px from its left edge."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    fill: str = "#ffffff"
    pad: int = 12


@dataclass(frozen=True)
class Arrow:
    """A straight line with a head at its end; ``stopped`` ends in a cross instead."""

    x1: int
    y1: int
    x2: int
    y2: int
    label: str
    label_x: int
    label_y: int
    stopped: bool = False


BOXES = (
    Box(20, 20, 240, 230, "Controlling machine", fill="#eef3fa"),
    Box(40, 60, 200, 80, "ansible-playbook", ("site.yml, roles, stacks/", "-i inventories/mylab")),
    Box(40, 155, 200, 80, "Browser", ("http://127.0.0.1:8888/lab", "through ssh -L")),
    Box(
        20, 360, 240, 100, "Any other machine",
        ("reaches sshd, as before;", "nothing that we install"),
        fill="#f6f6f6",
    ),
    Box(400, 20, 580, 480, "Server (Debian 12)", fill="#f3f8f0"),
    Box(420, 60, 170, 80, "sshd", ("port 22, as the server", "had it before")),
    Box(610, 60, 350, 80, "Docker Engine", ("docker.service, no TCP port", "log rotation, mirror of docker.io")),
    Box(
        420, 160, 540, 200, "neurodesktop.service",
        ("container neurodesktop on the bridge nbdesk0",),
        fill="#e5f0df", pad=60,
    ),
    Box(440, 212, 240, 66, "JupyterLab with Elyra", ("127.0.0.1:8888 of the server",)),
    Box(440, 286, 240, 66, "Desktop's servers", ("bridge: 8080 3389 5901 2222",)),
    Box(
        700, 212, 240, 140, "Kept on the server",
        ("volume neurodesk-home", "~/neurodesktop-storage", "/etc/neurobatch/secrets", "/var/log/neurobatch"),
    ),
    Box(
        420, 380, 540, 100, "minikube.service",
        ("Kubeflow Pipelines (UI 31380, MinIO 9000), CVMFS-CSI,", "forwards on loopback only"),
        fill="#e5f0df",
    ),
)  # fmt: skip
ARROWS = (
    Arrow(240, 100, 420, 90, "SSH: provisioning", 275, 78),
    Arrow(240, 195, 420, 125, "SSH: tunnel", 275, 205),
    Arrow(460, 140, 460, 212, "", 0, 0),
    Arrow(260, 410, 388, 410, "refused", 290, 400, stopped=True),
)

_STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;font-size:14px;fill:#222}"
    ".title{font-weight:bold}.small{font-size:13px;fill:#444}"
    ".box{stroke:#555;stroke-width:1.2}.line{stroke:#1f4e79;stroke-width:2;fill:none}.stop{stroke:#a02020;stroke-width:3}"
)


def render() -> str:
    """Return the picture as SVG text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img">',
        f"<title>{escape(TITLE)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 10 5 0 10z" fill="#1f4e79"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *(_box(box) for box in BOXES),
        *(_arrow(arrow) for arrow in ARROWS),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box) -> str:
    rows = [
        f'<rect class="box" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" '
        f'fill="{box.fill}"/>',
        f'<text class="title" x="{box.x + box.pad}" y="{box.y + 24}">{escape(box.title)}</text>',
    ]
    for number, line in enumerate(box.lines, start=1):
        rows.append(f'<text class="small" x="{box.x + box.pad}" y="{box.y + 26 + 20 * number}">{escape(line)}</text>')
    return "\n".join(rows)


def _arrow(arrow: Arrow) -> str:
    head = "" if arrow.stopped else ' marker-end="url(#head)"'
    rows = [f'<path class="line" d="M{arrow.x1} {arrow.y1} {arrow.x2} {arrow.y2}"{head}/>']
    if arrow.stopped:
        x, y = arrow.x2, arrow.y2
        rows.append(f'<path class="stop" d="M{x - 7} {y - 7} {x + 7} {y + 7}M{x - 7} {y + 7} {x + 7} {y - 7}"/>')
    if arrow.label:
        rows.append(f'<text class="small" x="{arrow.label_x}" y="{arrow.label_y}">{escape(arrow.label)}</text>')
    return "\n".join(rows)
