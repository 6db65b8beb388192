"""The report: one HTML file that holds everything, without scripts or outside resources."""

from __future__ import annotations

import base64
import html
import json
import struct
from typing import TYPE_CHECKING

from fastmodes.presets import PRESETS

from .thresholds import THRESHOLDS
from .verdicts import QUICK_CAVEAT

if TYPE_CHECKING:
    from pathlib import Path

    from .experiments import Datasets
    from .gallery import Picture
    from .verdicts import Claim

    Pictures = list[tuple[Picture, Path]]


_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
body { color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
section, details { border: 1px solid #d0d0d0; border-radius: .5rem; padding: .75rem 1rem; margin: 1rem 0; }
section h3 { margin: 0 0 .5rem; font-size: 1.05rem; }
.verdict { display: inline-block; border-radius: .6rem; padding: .05rem .6rem; font-size: .85rem; font-weight: 600; }
.yes { background: #d3efdc; color: #0b4d22; }
.part { background: #fdeab8; color: #5a3d00; }
.no { background: #f8d3d0; color: #7a120a; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .35rem .5rem; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid #e2e2e2; }
ul { padding-left: 1.2rem; margin: .4rem 0; }
li { overflow-wrap: anywhere; }
figure { margin: 1.25rem 0; }
img { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .9rem; color: #444; }
.picture { overflow-x: auto; }
.note { background: #fdeab8; padding: .6rem 1rem; border-radius: .5rem; }
@media (max-width: 40rem) { body { padding: .6rem; font-size: .95rem; } section { padding: .5rem .6rem; }
  .wide img { max-width: none; width: 56rem; } .wide figcaption::after { content: " (swipe sideways)"; } }
"""
_LOOKS = {"reproduced": "yes", "reproduced in part": "part", "not reproduced": "no"}


def html_report(claims: list[Claim], pictures: Pictures, datasets: Datasets, *, quick: bool = False) -> str:
    """The report as HTML text.

    Parameters
    ----------
    claims : list of Claim
    pictures : list of (Picture, path)
        Their PNG files are embedded.
    datasets : dict of str to Dataset
    quick : bool
        Whether the numbers are those of a quick run.

    Returns
    -------
    str
    """
    shown = {name: [pair for pair in pictures if pair[0].claim == name] for name in (claim.name for claim in claims)}
    body = [
        "<h1>How learning rules shape a linear recurrent network: thirteen claims, tested</h1>",
        "<p>Nine claims of Williams, Payeur and Lajoie (2026), in our words, and four of ours. Every number below was "
        "computed by fastmodes; every verdict follows from the checks beside it.</p>",
    ]
    if quick:
        body.append(f'<p class="note">{QUICK_CAVEAT}</p>')
    body.append(_summary(claims, quick))
    for claim in claims:
        body.append(_section(claim, shown[claim.name]))
    body.append(_thresholds())
    body.append(_parameters())
    body.append(_origin(datasets))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,"><title>fastmodes: thirteen claims, tested</title>'
        f"<style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _badge(verdict: str) -> str:
    return f'<span class="verdict {_LOOKS[verdict]}">{verdict}</span>'


def _summary(claims: list[Claim], quick: bool) -> str:
    mark = " <b>quick run, not to be quoted</b>" if quick else ""
    rows = "".join(
        f'<tr><td><a href="#{claim.name}">{claim.name}</a></td>'
        f"<td>{_badge(claim.verdict)}{mark}<br>{html.escape(claim.statement)}</td></tr>"
        for claim in claims
    )
    return (
        "<h2>Verdicts</h2><table><thead><tr><th>Claim</th><th>Verdict, and what is claimed</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _section(claim: Claim, pictures: Pictures) -> str:
    measured = "".join(f"<li>{html.escape(text)}</li>" for text in claim.measured)
    checks = "".join(
        f"<li>{'holds' if holds else '<b>fails</b>'}: {html.escape(k)}</li>" for k, holds in claim.checks.items()
    )
    remark = f"<p>{html.escape(claim.remark)}</p>" if claim.remark else ""
    figures = "".join(_figure(picture, path) for picture, path in pictures)
    return (
        f'<section id="{claim.name}"><h3>{claim.name} {_badge(claim.verdict)}</h3>'
        f"<p>{html.escape(claim.statement)} <small>({html.escape(claim.source)})</small></p>"
        f"<p><b>Measured</b></p><ul>{measured}</ul><p><b>Checks</b></p><ul>{checks}</ul>{remark}{figures}</section>"
    )


def _figure(picture: Picture, path: Path) -> str:
    content = path.read_bytes()
    image = base64.b64encode(content).decode("ascii")
    # Width and height stand at bytes 16 to 24 of every PNG; wide pictures scroll sideways on a phone.
    width, height = struct.unpack(">II", content[16:24])
    kind = ' class="wide"' if width > 1.6 * height else ""
    return (
        f'<figure{kind}><div class="picture"><img width="{width}" height="{height}"'
        f' src="data:image/png;base64,{image}" alt="{html.escape(picture.alt, quote=True)}"></div>'
        f"<figcaption>{html.escape(picture.title)}</figcaption></figure>"
    )


def _thresholds() -> str:
    """What decides, number by number."""
    rows = "".join(
        f"<tr><td>{one.claim}</td><td>{html.escape(one.what)}</td><td>{one.value:g}</td>"
        f"<td>{html.escape(one.reason)}</td></tr>"
        for one in THRESHOLDS.values()
    )
    return (
        "<h2>Thresholds: the numbers that decide</h2><details><summary>All of them, with reasons</summary>"
        "<table><thead><tr><th>Claims</th><th>What is compared</th><th>Threshold</th><th>Why this number</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></details>"
    )


def _parameters() -> str:
    parts = []
    for preset in PRESETS.values():
        lists = "".join(
            f"<p><b>{title}</b></p><ul>{''.join(f'<li>{html.escape(text)}</li>' for text in notes)}</ul>"
            for title, notes in (("The paper's", preset.from_paper), ("Ours", preset.ours))
        )
        parts.append(
            f"<details><summary>{html.escape(preset.name)}: {html.escape(preset.title)}</summary>{lists}</details>"
        )
    return "<h2>Parameters: which are the paper's, which are ours</h2>" + "".join(parts)


def _versions(stored: object) -> str:
    """A dataset's attribute as words; of anybody's dataset, which may hold anything there, as it is."""
    try:
        used = json.loads(str(stored))
    except ValueError:
        return str(stored)
    return ", ".join(f"{name} {version}" for name, version in used.items()) if isinstance(used, dict) else str(stored)


def _origin(datasets: Datasets) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(data.attrs.get('title', '')))}</td>"
        f"<td>{html.escape(str(data.attrs.get('created_at', '')))}</td></tr>"
        for name, data in datasets.items()
    )
    listed = html.escape(_versions(next(iter(datasets.values())).attrs.get("versions", "")))
    return (
        f"<h2>Datasets</h2><table><thead><tr><th>Name</th><th>Content</th><th>Computed</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p>{listed}</p>"
    )
