"""The section about cause and effect: causal cards and tipping strength, where the summary holds them.

It reads `causal` {cards: [{action, output, grade, overlap, effect, low, high, dead_time, reasons, remarks, moves_acf,
rest_acf, cross}], skipped} and `tipping` [{sentence, ...}] of `summary.json`, and shows nothing where they are not
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from revive.data.duration import steps_told
from revive.graph.units import with_unit
from revive.report.figures import FAINT, MODEL, OTHER
from revive.report.tipping_figure import tipping_figure
from revive.report.trust.parts import (
    escape,
    grid,
    listed,
    number,
    numbers,
    paragraph,
    percent,
    picture,
    section,
    table,
)

Study = Mapping[str, Any]
GRADES = {
    "A": "known, from many moves of the action's own",
    "B": "known, from few moves of the action's own",
    "C": "cannot be told from these logs",
    "D": "something unlogged moves both, or the logs contradict what was declared",
    "-": "not asked",
}
MOST_CARDS, MOST_DRAWN = 30, 4
_LAGS = (
    "Left: whether the action's own moves go together with what neither the logged columns nor the present action "
    "explain of the output. To the left of 0 there should be nothing: a tall bar there, an output that moves before "
    "the action, hints at a cause that nobody logged. A tall bar to the right is a response that comes so many steps "
    "later; small ones that die away behind 0 come from noise of the sensor. Right: how long own moves last, and "
    "whether what is left lasts; a first point far below 0 is noise of the sensor."
)
SMALL = 0.3  # correlation that an axis holds at least, so that small ones look small
EARLIEST = -10  # lag at which `cross` begins


def causes(summary: Study) -> str:
    """The section; nothing where the run has no cards."""
    causal, tipping = summary.get("causal") or {}, summary.get("tipping") or []
    cards = sorted(causal.get("cards", []), key=lambda card: "DCBA-".index(card["grade"]))
    return section(
        "card",
        "Cause or coincidence?",
        "Whether the logs can tell what an action does, from what the operator did of his own accord. A and B: "
        "they can; C: they "
        "cannot; D: something that is not logged moves both, and what was learned may be how the operator reacts, "
        "not what the "
        "plant does.",
        _cards(cards[:MOST_CARDS], summary["data"].get("step_seconds")),
        _remarks(cards),
        listed([escape(said) for said in causal.get("skipped", [])]),
        paragraph(_LAGS) if any(card.get("cross") for card in cards[:MOST_DRAWN]) else "",
        picture(_drawn(cards[:MOST_DRAWN])) if any(card.get("cross") for card in cards[:MOST_DRAWN]) else "",
        paragraph("How strong a hidden cause would have to be to cancel the gain:") if tipping else "",
        listed([escape(pair["sentence"]) for pair in tipping]),
        picture(tipping_figure(tipping[:MOST_DRAWN])) if tipping and "gains" in tipping[0] else "",
    )


def _cards(cards: list[Study], step: float | None) -> str:
    rows = [
        (
            _pair(card),
            f"{card['grade']}: {GRADES.get(card['grade'], '')}",
            f"{with_unit(number(card['effect']), card.get('units', ''))} "
            f"({number(card['low'])} .. {number(card['high'])})",
            percent(card["overlap"]),
            steps_told(card["dead_time"], step),
        )
        for card in cards
    ]
    heads = (
        "action → output",
        "grade",
        "effect (interval)",
        "own moves (share of its variance)",
        "shows after",
    )
    return table(heads, rows)


def _pair(card: Study) -> str:
    return f"{card['action']} → {card['output']}"


def _remarks(cards: list[Study]) -> str:
    lines = []
    for card in cards:
        remarks = card.get("remarks", [])
        known = {remark["sentence"] for remark in remarks}
        said = [reason for reason in card.get("reasons", []) if reason not in known]
        said += [f"{remark['sentence']} {remark['remedy']}" for remark in remarks]
        lines += [f"{escape(_pair(card))}: {escape(line)}" for line in said]
    return listed(list(dict.fromkeys(lines)))


def _drawn(cards: list[Study]) -> Figure:
    """Correlation of own moves with what is left over lags, and autocorrelations of both."""
    figure, axes = grid(2 * len(cards), width=10.5, height=2.0, columns=2)
    for i, card in enumerate(cards):
        across, own = axes[2 * i : 2 * i + 2]
        cross = numbers(card["cross"])
        across.bar(EARLIEST + np.arange(len(cross)), cross, 0.8, color=MODEL)
        across.set_ylim(min(-SMALL, 1.1 * cross.min()), max(SMALL, 1.1 * cross.max()))
        across.set_xlabel("steps that the response comes after the move", fontsize=8)
        across.set_title(f"{_pair(card)}: own moves and what is left".replace("$", r"\$"), fontsize=8)
        for key, colour, label in (("moves_acf", OTHER, "own moves"), ("rest_acf", MODEL, "what is left")):
            values = numbers(card[key])
            own.plot(1 + np.arange(len(values)), values, ".-", color=colour, lw=0.8, label=label)
        own.set_xlabel("lag [steps]", fontsize=8)
        own.set_title("correlation with themselves, so many steps later", fontsize=8)
        for axis in (across, own):
            axis.axhline(0.0, color=FAINT, lw=0.6)
            axis.set_ylabel("correlation", fontsize=8)
    axes[1].legend(fontsize=6, frameon=False)
    return figure
