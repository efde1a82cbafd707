"""The data report as one HTML page: findings, proposals, the graph, histograms and trajectories."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from revive.data.duration import duration
from revive.data.finding import counted
from revive.data.report import DataReport, applied_line
from revive.data.trajectories import Trajectories
from revive.graph.decision_graph import DecisionGraph
from revive.report import figures

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1.4rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.error { color: #a00 } .warning { color: #a60 } .proposal { color: #06a }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto }
svg { max-width: 100%; height: auto }
"""
MOST_COLUMNS, MOST_ROWS = 24, 1000


def data_page(title: str, report: DataReport, graph: DecisionGraph | None, logs: Trajectories | None) -> str:
    """A page that stands alone; graph and logs None where they could not be read."""
    parts = [f"<h1>{html.escape(title)}</h1>", _overview(report), _findings(report), _proposals(report)]
    if graph is not None:
        parts += ["<h2>Decision flow graph</h2>", svg(figures.decision_graph(graph))]
        parts += [f"<details><summary>Mermaid</summary><pre>{html.escape(graph.mermaid())}</pre></details>"]
    if report.columns:
        parts += ["<h2>Columns</h2>", _columns(report)]
    if graph is not None and logs is not None:
        drawn = _panels_of(graph, logs, report)
        parts += ["<h2>Histograms</h2>", _drawn(drawn), svg(_histograms(graph, logs, drawn[0]))]
        rows = int(logs.lengths.max())
        first = f", its first {MOST_ROWS} of {rows} rows" if rows > MOST_ROWS else ""
        parts += [f"<h2>The longest trajectory{first}</h2>", svg(_trajectory(graph, logs, drawn[0]))]
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def svg(figure: Figure) -> str:
    """The figure as an SVG element, without what differs between two equal pictures."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "revive"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _overview(report: DataReport) -> str:
    counts = report.counts
    lengths = (
        f"{report.shortest} to {report.longest}" if report.shortest != report.longest else f"{report.longest}"
    )
    trajectories = counted(report.trajectories, "trajectory", "trajectories")
    size = f"{counted(report.rows, 'row')} in {trajectories} of {lengths} rows"
    every = f", a row every {duration(report.step_seconds)}" if report.step_seconds else ""
    left_out = "".join(f"<p>Not in whole: {html.escape(what)}.</p>" for what in report.left_out)
    return f"<p>{size + every if report.rows else 'the data could not be read'}. {counts}.</p>{left_out}"


def _findings(report: DataReport) -> str:
    rows = [(f.severity, f.where, f.message, f.remedy) for f in report.findings]
    return _table("Findings", ("", "where", "what", "remedy"), rows, [f.severity for f in report.findings])


def _proposals(report: DataReport) -> str:
    rows = [("proposal", ", ".join(p.columns), p.message, p.yaml) for p in report.proposals]
    lines = "".join(f"<li>{html.escape(applied_line(p))}</li>" for p in report.applied)
    applied = f"<h2>Applied</h2><ul>{lines}</ul>" if lines else ""
    return applied + _table(
        "Proposals", ("", "columns", "what the data say", "accept with"), rows, ["proposal"] * len(rows)
    )


def _columns(report: DataReport) -> str:
    rows = [
        (c.node, c.column, c.type, *(f"{v:.6g}" for v in (c.min, *c.quartiles, c.max)), str(c.missing))
        for c in report.columns
    ]
    return _table("", ("node", "column", "type", "min", "25 %", "median", "75 %", "max", "missing"), rows)


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] | None = None
) -> str:
    if not rows:
        return ""
    lines = [
        f"<tr class='{kind}'>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row, kind in zip(rows, classes or [""] * len(rows), strict=True)
    ]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    above = f"<h2>{html.escape(title)}</h2>" if title else ""
    return f"{above}<table><tr>{head}</tr>{''.join(lines)}</table>"


def _panels_of(
    graph: DecisionGraph, logs: Trajectories, report: DataReport
) -> tuple[list[tuple[str, int]], int]:
    """The columns to draw, and how many there are: the actions' first, then those that something is said about."""
    shown = [
        n for n in logs.arrays if n in graph.nodes and n not in graph.transitions and not graph[n].history
    ]
    columns = [(name, i) for name in shown for i in range(graph[name].width)]
    if len(columns) <= MOST_COLUMNS:
        return columns, len(columns)
    named = {f.where for f in report.findings} | {place for p in report.proposals for place in p.columns}
    notable = [f"{name}.{graph.columns(name)[i].name}" in named for name, i in columns]
    rank = [
        0 if name in graph.decisions else 1 if said else 2
        for (name, _), said in zip(columns, notable, strict=True)
    ]
    first = sorted(sorted(range(len(columns)), key=rank.__getitem__)[:MOST_COLUMNS])
    return [columns[place] for place in first], len(columns)


def _drawn(drawn: tuple[list[tuple[str, int]], int]) -> str:
    """Which columns the pictures leave out."""
    panels, count = drawn
    said = f"{len(panels)} of {count} columns: the actions, those with a finding or a proposal, then the first others."
    return f"<p>{said}</p>" if count > len(panels) else ""


def _histograms(graph: DecisionGraph, logs: Trajectories, panels: Sequence[tuple[str, int]]) -> Figure:
    figure, axes = figures.panels(len(panels), width=11, height=2.0, columns=4)
    for axis, (name, i) in zip(axes, panels, strict=True):
        values = logs.arrays[name][:, i]
        axis.hist(values[np.isfinite(values)], bins=50, histtype="stepfilled", color=figures.MODEL)
        axis.set_title(figures.label(graph.columns(name)[i]), fontsize=9)
        axis.tick_params(labelsize=7)
    return figure


def _trajectory(graph: DecisionGraph, logs: Trajectories, panels: Sequence[tuple[str, int]]) -> Figure:
    longest = int(logs.lengths.argmax())
    start = int(logs.starts[longest])
    stop = min(int(logs.ends[longest]), start + MOST_ROWS)
    figure, axes = figures.panels(len(panels), width=11, height=1.3)
    for axis, (name, i) in zip(axes, panels, strict=True):
        axis.plot(logs.arrays[name][start:stop, i], color=figures.DATA, lw=0.8)
        axis.set_ylabel(figures.label(graph.columns(name)[i]), fontsize=8)
        axis.tick_params(labelsize=7)
    return figure
