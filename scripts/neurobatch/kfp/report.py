"""The smoke run as a page to look at, which needs nothing but itself, and as JSON for programs."""

from __future__ import annotations

import dataclasses
import html
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neurobatch.kfp.smoke import Outcome

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2733;--soft:#5b6b7b;--line:#d5dde5;--page:#fff;--card:#f5f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa9b8;--line:#344150;--page:#11181f;--card:#1a232c}}
body{font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;color:var(--ink);background:var(--page);margin:0}
main{max-width:60rem;margin:0 auto;padding:2rem 1.5rem}h1{font-size:1.5rem;margin:0 0 .2rem}
h2{font-size:1.1rem;margin:2rem 0 .6rem}
.when{color:var(--soft);margin:0 0 1.2rem}
.verdict{border-left:.4rem solid;padding:.7rem 1rem;background:var(--card);overflow-wrap:anywhere}
.good{border-color:#1f8a4c}.bad{border-color:#c2352b}table{border-collapse:collapse;width:100%}

td,th{border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td,th{padding:.35rem .6rem .35rem 0;text-align:left;vertical-align:top}

th{font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--ink)}svg .soft{fill:var(--soft)}
svg line{stroke:var(--line)}
.SUCCEEDED{fill:#1f8a4c;color:#1f8a4c}.FAILED{fill:#c2352b;color:#c2352b}.RUNNING,.PENDING{fill:#c98a12;color:#a86f00}
.SKIPPED,.CANCELED{fill:#7b8a99;color:#7b8a99}b.state{fill:none}
pre{background:var(--card);padding:.7rem 1rem;overflow-x:auto;margin:.3rem 0 1rem}
code,pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.85em}
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
<h1>Smoke pipeline</h1><p class="when">{when}</p>
<p class="verdict {mood}">{verdict}</p>
{body}
</main></body></html>
"""
WIDTH, LEFT, ROW = 900, 130, 34


def write(outcome: Outcome, folder: Path) -> None:
    """Write report.html and report.json into ``folder``, which is made where it is missing; each appears whole.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    documents = {"report.html": page(outcome), "report.json": json.dumps(dataclasses.asdict(outcome), indent=2) + "\n"}
    for name, text in documents.items():
        partial = folder / f".{name}.new"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, folder / name)


def page(outcome: Outcome) -> str:
    """Return the page."""
    when = f"{_time(outcome.created)}, {outcome.seconds:.0f} s" + (f", run {outcome.run_id}" if outcome.run_id else "")
    parts = []
    if outcome.steps:
        parts += ["<h2>Timeline</h2>", _timeline(outcome), "<h2>Steps</h2>", _steps(outcome.steps)]
    about = {**outcome.about, **_images(outcome.steps)}
    rows = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in about.items())
    parts += ["<h2>What was proven, with what</h2>", f'<table class="about">{rows}</table>']
    for step in outcome.steps:
        if step["log"]:
            lines = _text("\n".join(step["log"]))
            parts.append(f"<h2>Last lines of {_text(step['name'])}</h2><pre>{lines}</pre>")
    return _PAGE.format(
        title=_text(outcome.verdict.split(":")[0] + ": " + ("SUCCEEDED" if outcome.succeeded else "FAILED")),
        style=_STYLE,
        when=_text(when),
        mood="good" if outcome.succeeded else "bad",
        verdict=_text(outcome.verdict),
        body="\n".join(parts),
    )


def _timeline(outcome: Outcome) -> str:
    """Return a bar for each step on a common scale of seconds since the submission, as SVG."""
    span = max([outcome.seconds, *(step["ended"] - outcome.created for step in outcome.steps), 1.0])
    scale = (WIDTH - LEFT - 90) / span
    height = ROW * len(outcome.steps) + 26
    drawn = []
    for mark in range(5):
        x = LEFT + mark / 4 * span * scale
        drawn.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="0" y2="{height - 22}"/>')
        drawn.append(
            f'<text class="soft" x="{x:.0f}" y="{height - 6}" text-anchor="middle">{mark / 4 * span:.0f} s</text>'
        )
    for number, step in enumerate(outcome.steps):
        y = ROW * number
        drawn.append(f'<text x="0" y="{y + 20}">{_text(step["name"])}</text>')
        if not step["started"]:
            drawn.append(f'<text class="soft" x="{LEFT + 4}" y="{y + 20}">{_text(step["state"])}: not started</text>')
            continue
        # The API's clock has whole seconds and may run a little behind this one.
        start = min(span, max(0.0, step["started"] - outcome.created))
        end = min(span, max(start, (step["ended"] or outcome.created + outcome.seconds) - outcome.created))
        width = max(3.0, (end - start) * scale)
        left = LEFT + start * scale
        label = f"{end - start:.0f} s"
        drawn.append(
            f'<rect class="{_text(step["state"])}" x="{left:.1f}" y="{y + 5}" width="{width:.1f}" height="22" rx="3"/>'
        )
        drawn.append(f'<text x="{left + width + 6:.1f}" y="{y + 20}">{label}</text>')
    words = "; ".join(f"{step['name']} {step['state']}" for step in outcome.steps)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{_text(words)}">{"".join(drawn)}</svg>'


def _steps(steps: list[dict[str, Any]]) -> str:
    head = "<tr><th>Step</th><th>State</th><th>Started</th><th class=n>Seconds</th><th>What it said</th></tr>"
    rows = []
    for step in steps:
        seconds = f"{step['ended'] - step['started']:.0f}" if step["started"] and step["ended"] else ""
        started = _time(step["started"])[11:19] if step["started"] else ""
        cells = (
            f"<td>{_text(step['name'])}</td><td><b class='state {_text(step['state'])}'>{_text(step['state'])}</b></td>"
        )
        rows.append(f"<tr>{cells}<td>{started}</td><td class=n>{seconds}</td><td>{_text(step['error'])}</td></tr>")
    return f'<table class="steps">{head}{"".join(rows)}</table>'


def _images(steps: list[dict[str, Any]]) -> Mapping[str, str]:
    """Return the digests that the steps ran on, in one row where they are the same."""
    found: dict[str, list[str]] = {}
    for step in steps:
        if step["digest"]:
            found.setdefault(step["digest"], []).append(step["name"])
    if not found:
        return {}
    return {"image digest": "; ".join(f"{digest} ({', '.join(names)})" for digest, names in found.items())}


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _text(text: str) -> str:
    return html.escape(str(text))
