"""The tables of the page, from `summary.json` and `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from revive.data.duration import in_time, steps_told
from revive.graph.units import effect_units, labelled
from revive.report.trust.parts import escape, listed, number, paragraph, percent, table

MOST_ROWS = 60  # of a table
Study = Mapping[str, Any]


def context_of_use(summary: Study) -> str:
    """What was logged, what the policy visits, and how often it leaves what was logged."""
    uses = summary["policy"].get("conduct", [])
    if not uses:
        return paragraph("No policy was learned; what was logged is in the data report (data_report.html).")
    units = summary["data"].get("units", {})
    rows = [
        (
            labelled(use["column"], units.get(use["column"])),
            "action" if use["is_action"] else "state",
            f"{number(use['logged'][0])} to {number(use['logged'][1])}",
            f"{number(use['visited'][0])} to {number(use['visited'][1])}",
            percent(use["outside"]),
            f"{use['moves']:.1f} x" if use.get("moves") is not None else "",
        )
        for use in uses
    ]
    heads = (
        "column",
        "",
        "logged (least to most)",
        "the policy visits",
        "steps outside",
        "moves, against the logs",
    )
    told = (
        "The run speaks about these ranges and no others, and about the plant as it was while it was logged."
    )
    return paragraph(told) + table(heads, rows)


def parameter_table(parameters: Study) -> str:
    """A row for each parameter of the user's functions."""
    heads = ("node", "parameter", "fitted", "least and most of the members", "halves", "bounds", "")
    rows = [
        (
            node,
            labelled(name, own["units"]),
            number(own["value"], 4),
            f"{number(own['low'], 4)} to {number(own['high'], 4)}",
            " and ".join(number(half, 4) for half in own["halves"]),
            f"{number(own['min'])} to {number(own['max'])}",
            "next to a bound" if own["at_bound"] else "",
        )
        for node, of in parameters.items()
        for name, own in of.items()
    ]
    return table(heads, rows)


def backtest_table(backtest: Study) -> str:
    """A row for each controller that was held out."""
    rows = [
        (
            f"{row['controller']:g}",
            str(row["trajectories"]),
            number(row["logged"], 4),
            f"{number(row['predicted']['mean'], 4)} ({number(row['predicted']['low'])} .. "
            f"{number(row['predicted']['high'])})",
            "yes" if row["inside"] else "no",
            number(row["replayed"], 4),
        )
        for row in backtest.get("rows", [])
    ]
    heads = (
        "controller",
        "trajectories",
        "earned per step",
        "foretold (90 %)",
        "inside",
        "with its recorded actions",
    )
    if not rows:
        return ""
    return table(heads, rows) + paragraph(
        f"{percent(backtest['ordered'])} of the pairs are put in the right order."
    )


def error_table(errors: Study, step: float | None) -> str:
    """Errors at some steps, venv and simple predictors. step: seconds that one takes, where that is known."""
    rows = []
    for name, entry in errors.items():
        for key, said in (
            ("venv", "venv"),
            ("linear", "linear model"),
            ("persistence", "nothing changes"),
            ("average", "always the mean"),
        ):
            if key in entry:
                at = [_mean(entry[key], k) for k in (1, 10, 50, 100)]
                rows.append((f"{labelled(name, entry['units'])}: {said}", *(number(value) for value in at)))
    heads = (steps_told(1, step), *(f"{k}{in_time(k, step)}" for k in (10, 50, 100)))
    return table(("mean absolute error, both halves", *heads), rows[:MOST_ROWS])


def _mean(table_: Sequence[Sequence[float | None]], step: int) -> float | None:
    found = [half[step - 1] for half in table_ if step <= len(half)]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def band_table(bands: Study, units: Mapping[str, str | None], step: float | None) -> str:
    """Widths of the bands, and what they were counted on. step: seconds that one takes, where that is known."""
    rows = [
        (
            f"{labelled(name, units.get(name))}, at step {k}{in_time(int(k), step)}",
            f"± {number(band['width'])}",
            *_band_cells(band),
        )
        for name, steps in bands["steps"].items()
        for k, band in steps.items()
    ]
    rows += [
        (
            f"{labelled(name, units.get(name))}, whole paths of {steps_told(int(k), step)}",
            f"± {number(width)}",
            *_band_cells(band),
        )
        for lengths in bands["paths"].values()
        for k, band in lengths.items()
        for name, width in band["width"].items()
    ]
    heads = (
        "band of 90 %",
        "typical width",
        "windows",
        "worth so many independent ones",
        "covers, nine times in ten",
        "counted on one half, tested on the other",
    )
    notes = sorted(
        {band["why"] for lengths in bands["paths"].values() for band in lengths.values() if band["why"]}
    )
    return (
        paragraph(_BANDS) * bool(rows)
        + table(heads, rows[:MOST_ROWS])
        + listed([escape(note) for note in notes])
    )


_BANDS: Final = (
    "Typical width: how far the band reaches above and below the foretold value, on average. Windows: stretches of the "
    "logs that it was counted on; they overlap, so they are worth fewer independent ones. Covers: the share of "
    "new values (or whole paths) that the band will hold lies between these two, nine times in ten. Last: the band was "
    "counted on the windows of one half, and this share of those of the other half lay inside, either way round; 90 % "
    "is wanted."
)


def _band_cells(band: Study) -> tuple[str, ...]:
    across = " and ".join(percent(share) for share in band["across"])
    worth = f"{band['blocks']:.0f}"
    if band["q"] is None:
        return (str(band["windows"]), worth, "no band can be promised", across)
    low, high = band["between"]
    return (str(band["windows"]), worth, f"{percent(low)} to {percent(high)}", across)


def calibration_table(calibration: Study) -> str:
    """Coverage of the spread that the venv states by itself, and CRPS."""
    rows = []
    for name, entry in calibration.items():
        for k in entry["pit"]:
            crps = entry["crps"][k]
            cells = (
                percent(entry["cover"]["50"][k]),
                percent(entry["cover"]["90"][k]),
                "under 0.001" if (entry["p"][k] or 1.0) < 0.001 else number(entry["p"][k], 2),
                number(crps["venv"]),
                number(crps["still"]),
                number(crps["usual"]),
            )
            rows.append((f"{name}, step {k}", *cells))
    heads = (
        "the venv's own spread, before the bands",
        "inside its 50 %",
        "inside its 90 %",
        "chance of such bars",
        "error (CRPS)",
        "of 'nothing changes'",
        "of 'what is usual'",
    )
    return table(heads, rows[:MOST_ROWS])


def gain_table(entry: Study, seconds: float | None) -> str:
    """Gain, dead time and settling time of each pair. seconds: that a step takes, where that is known."""
    rows = []
    for pair in entry["of"]:
        step, gain = pair["step"], pair["step"]["gain"]
        names = {side: pair[side]["name"] for side in ("input", "output")}
        known = {pair[side]["name"]: pair[side]["units"] for side in names if pair[side]["units"]}
        units = f" {effect_units(known, names['input'], names['output'])}".rstrip()
        rows.append(
            (
                f"{pair['input']['name']} → {pair['output']['name']}",
                f"{number(gain['mean'])} ({number(gain['low'])} .. {number(gain['high'])}){units}",
                _dead_time(step["dead_time"], seconds),
                steps_told(step["settling"], seconds)
                if step["settling"] is not None
                else "not within the rollout, whose end the gain is told at",
            )
        )
    return table(("step response", "gain (models from .. to)", "dead time", "settling time (5 %)"), rows)


def _dead_time(steps: int | None, seconds: float | None) -> str:
    if steps is None:
        return "–"
    return "none: shows in the next step" if steps == 0 else steps_told(steps, seconds)


def gap_table(gaps: Sequence[Study], units: Mapping[str, str]) -> str:
    """What each column that the policy does not see would gain. units: of columns."""
    rows = [
        (
            labelled(gap["column"], gap["units"]),
            *(
                (
                    f"{number(gap['gain'])} ± {number(gap['error'])}",
                    f"{gap['action']} moves by {number(gap['slope'])} {_slope(gap, units)}",
                )
                if gap["gain"] > 0
                else ("none found", "")
            ),
            "yes" if gap["certain"] else "no",
        )
        for gap in gaps
    ]
    heads = ("column", "gain of reward per step", "by", "sure (above two standard errors)")
    return table(heads, rows)


def _slope(gap: Study, units: Mapping[str, str]) -> str:
    return effect_units(units, gap["column"], gap["action"]) or f"per unit of {gap['column']}"
