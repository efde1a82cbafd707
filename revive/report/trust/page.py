"""The page: words first, then one section per question, drawn from `summary.json` and `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from revive.report.trust import policy_figures, venv_figures
from revive.report.trust.causes import causes
from revive.report.trust.parts import escape, listed, number, paragraph, percent, picture, section, table

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1.2rem; color: #222 }
h1 { margin-bottom: .2rem } h2 { margin-top: 2.6rem; border-top: 1px solid #ccc; padding-top: 1rem }
table { border-collapse: collapse; margin: .6rem 0 1.2rem } th, td { text-align: left; padding: .25rem 1.2rem .25rem 0;
border-bottom: 1px solid #ddd; vertical-align: top } td.number { font-variant-numeric: tabular-nums }
.verdict { padding: .7rem 1.1rem; border-left: .5rem solid; margin: 1rem 0; font-size: 1.25rem; font-weight: 600 }
.good { border-color: #009e73; background: #e8f6f1 } .care { border-color: #e69f00; background: #fdf5e3 }
.stop { border-color: #d55e00; background: #fbeae2 } .faint { color: #666; font-size: .92rem }
figure { margin: 1rem 0 } figcaption { color: #555; font-size: .9rem } svg { max-width: 100%; height: auto }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto } nav a { margin-right: .9rem; white-space: nowrap }
@media print { nav { display: none } section { break-inside: avoid } }
"""
MOST_ROWS = 60  # of a table
Study = Mapping[str, Any]


def page(summary: Study, told: Study, study: Study) -> str:
    """The whole of it as HTML that needs nothing else. told: what `words` said."""
    title = f"{summary['experiment']}: how far this run may be believed"
    sections = [part for part in (*_venv_sections(study), *_policy_sections(summary, study)) if part]
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='faint'>run {escape(summary['run_id'])}, seed {summary['seed']}, data "
        f"{escape(summary['data']['sha256'][:12])}</p>",
        _first_page(summary, told),
        f"<nav>{''.join(_link(part) for part in sections)}</nav>",
        *sections,
    ]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>\n"


def _link(part: str) -> str:
    key = part.split("'")[1]
    return f"<a href='#{key}'>{part.split('<h2>')[1].split('</h2>')[0]}</a>"


def _first_page(summary: Study, told: Study) -> str:
    parts = [
        f"<div class='verdict {told['level']}'>{escape(told['headline'])}</div>",
        *(paragraph(escape(line)) for line in told["short"]),
    ]
    for key, title in (
        ("may", "What may be concluded"),
        ("may_not", "What may not be concluded"),
        ("todo", "What to do about it"),
    ):
        lines = [escape(line) for line in told[key]]
        parts += [f"<h3>{title}</h3>", listed(lines) or paragraph("Nothing.")]
    parts += ["<h3>Context of use</h3>", _context(summary)]
    parts.append(
        "<p class='faint'>Words: <i>venv</i>, the virtual plant that was learned from the logs. <i>Half</i>: the "
        "logs are cut in "
        "two; each half teaches a venv of its own, which is tested on the other. <i>Member</i>: one of the models "
        "that make up "
        "a venv; where they disagree, the logs did not say enough. <i>Band</i>: what holds nine values in ten, "
        "counted on "
        "steps that were not learned from. <i>Policy</i>: the learned controller. A step is one row of the logs.</p>"
    )
    return "".join(parts)


def _context(summary: Study) -> str:
    uses = summary["policy"].get("conduct", [])
    if not uses:
        return paragraph("No policy was learned; what was logged is in the data report (data_report.html).")
    rows = [
        (
            use["column"],
            "action" if use["is_action"] else "state",
            f"{number(use['logged'][0])} to {number(use['logged'][1])}",
            f"{number(use['visited'][0])} to {number(use['visited'][1])}",
            percent(use["outside"]),
            f"{use['moves']:.1f} x" if use.get("moves") is not None else "",
        )
        for use in uses
    ]
    heads = ("column", "", "logged", "the policy visits", "steps outside", "moves, against the logs")
    told = (
        "The run speaks about these ranges and no others, and about the plant as it was while it was logged."
    )
    return paragraph(told) + table(heads, rows)


def _venv_sections(study: Study) -> list[str]:
    units = {name: entry["units"] for name, entry in study["errors"].items()}
    residuals = study["residuals"]
    return [
        section(
            "error",
            "How wrong is the venv, so many steps ahead?",
            "The venv is started from logged states, given the logged actions, and compared with what was logged. "
            "It never saw "
            "these rows. A venv is worth something where it errs less than the three simple guesses beside it: "
            "that nothing "
            "changes, that all is as it is on average, and a plain linear model (ARX of two steps).",
            picture(venv_figures.errors(study["errors"])) if study["errors"] else "",
            _error_table(study["errors"]),
        ),
        section(
            "rollouts",
            "What does it foretell, and do the bands hold?",
            "Rollouts from three places. The inner band holds nine logged values in ten at each step, the outer "
            "one nine whole "
            "paths in ten. Their widths were counted on rows that the venv did not learn from"
            + (", kept aside from a search too." if study["calibrated_on"] == "test" else ", half by half."),
            picture(venv_figures.windows(study["rollouts"])) if study["rollouts"]["first"] else "",
            _band_table(study["bands"], units),
        ),
        section(
            "distributions",
            "Does it spread as the plant does?",
            "Logged values and the venv's draws at single steps. The distance is how far one would have to be "
            "moved to become "
            "the other (Wasserstein), in units of the column; by chance alone it would be about the second number.",
            _figure(venv_figures.distributions(study["distributions"], units)),
        ),
        section(
            "calibration",
            "Is it as sure as it may be?",
            "Where the spread is right, logged values fall evenly into the ten parts of what was foretold: the "
            "bars are level. A "
            "hump in the middle says that the venv is less sure than it could be, high ends that it is too sure.",
            _figure(venv_figures.calibration(study["calibration"])),
            _calibration_table(study["calibration"]),
        ),
        *(
            section(
                f"response-{escape(target)}",
                f"What does '{target}' do?",
                "One input is moved, all others are held where the plant usually was. Left: the next step; "
                "middle: after a while; "
                "right: the way there. Each line is a model; where they part, or where the ground is shaded, the "
                "logs do not say. " + _held(entry),
                picture(venv_figures.responses(entry)) if entry["of"] else "",
                _gain_table(entry),
            )
            for target, entry in study["responses"].items()
        ),
        section(
            "residuals",
            "Where is it wrong?",
            "What one step got wrong, by the value of each input: the line should lie at zero everywhere, and the "
            "dashed one at 1.",
            _figure(venv_figures.residual_map(residuals["map"])),
            _figure(venv_figures.by_trajectory(residuals["by_trajectory"])),
        ),
        section(
            "drift",
            "Does the plant stay the same?",
            "Errors added up in time. A curve that leaves the dashed lines says that the plant was not the same "
            "throughout; dotted "
            "lines stand where it probably changed.",
            _figure(venv_figures.drift(study["drift"])),
        ),
        section(
            "worst",
            "Where was it worst?",
            "The stretches of the logs with the largest errors. Ask whether something happened there that no "
            "column tells.",
            picture(venv_figures.windows(study["worst"])) if study["worst"]["first"] else "",
        ),
    ]


def _backtest(backtest: Study) -> str:
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


def _policy_sections(summary: Study, study: Study) -> list[str]:
    found = [
        section(
            "backtest",
            "Would it have foretold what other controllers earned?",
            "The logs hold several controllers. Each was held out in turn: a venv learned from the others had to "
            "foretell "
            "what it earned. Without this, no log can show that a venv is able to compare controllers.",
            _backtest(summary.get("backtest", {})),
        )
    ]
    found.append(causes(summary))
    policy = study.get("policy")
    if not policy:
        return found
    half = ("training", "validation")[policy["half"]]
    tree, surface = policy["tree"], policy["surface"]
    return [
        *found,
        section(
            "before-after",
            "What would the policy do differently?",
            "The logs' controller and the learned policy from the same starts, under the same disturbances and "
            "the same noise, in "
            f"the venv of the {half} half, in which the policy did not learn. Grey is what was logged.",
            _figure(policy_figures.before_and_after(policy["before_after"])),
        ),
        section(
            "policy",
            "What does the policy answer?",
            "Its decision over the inputs that it follows most" + _medians(surface),
            _figure(policy_figures.surface(surface)),
        ),
        section(
            "tree",
            "The same in a few rules",
            "A small tree that imitates the policy, to be read and questioned, not to be used. "
            + ", ".join(
                f"It explains {percent(value)} of '{escape(name)}'"
                for name, value in tree.get("fidelity", {}).items()
            )
            + ".",
            f"<pre>{escape(tree['text'])}</pre>" if tree else "",
        ),
        section(
            "input-gap",
            "What should it see besides?",
            "Columns that are logged but that the policy does not see, and what a straight line in each would "
            "gain in the venv. "
            "It is a lower bound: a policy that learns with the column may gain more.",
            _gap_table(policy["input_gap"]),
        ),
    ]


def _figure(figure: Any) -> str:
    return "" if figure is None else picture(figure)


def _held(entry: Study) -> str:
    held = ", ".join(f"{escape(name)} = {number(value)}" for name, value in list(entry["held"].items())[:12])
    return f"Held at (row {entry['row']}): {held}."


def _medians(surface: Study) -> str:
    held = surface.get("held", {})
    if not held:
        return "."
    return ", the others held at "
    f"{', '.join(f'{escape(name)} = {number(value)}' for name, value in list(held.items())[:12])}."


def _error_table(errors: Study) -> str:
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
                rows.append((f"{_unit(name, entry['units'])}: {said}", *(number(value) for value in at)))
    return table(("mean absolute error, both halves", "1 step", "10", "50", "100"), rows[:MOST_ROWS])


def _mean(table_: Sequence[Sequence[float | None]], step: int) -> float | None:
    found = [half[step - 1] for half in table_ if step <= len(half)]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def _unit(name: str, units: str | None) -> str:
    return f"{name} [{units}]" if units else name


def _band_table(bands: Study, units: Mapping[str, str | None]) -> str:
    rows = [
        (f"{_unit(name, units.get(name))}, at step {k}", f"± {number(band['width'])}", *_band_cells(band))
        for name, steps in bands["steps"].items()
        for k, band in steps.items()
    ]
    rows += [
        (f"{_unit(name, units.get(name))}, whole paths of {k}", f"± {number(width)}", *_band_cells(band))
        for lengths in bands["paths"].values()
        for k, band in lengths.items()
        for name, width in band["width"].items()
    ]
    heads = (
        "band of 90 %",
        "typical width",
        "windows",
        "worth",
        "this band itself covers",
        "checked half by half",
    )
    notes = sorted(
        {band["why"] for lengths in bands["paths"].values() for band in lengths.values() if band["why"]}
    )
    return table(heads, rows[:MOST_ROWS]) + listed([escape(note) for note in notes])


def _band_cells(band: Study) -> tuple[str, ...]:
    across = " and ".join(percent(share) for share in band["across"])
    worth = f"{band['blocks']:.0f} independent ones"
    if band["q"] is None:
        return (str(band["windows"]), worth, "no band can be promised", across)
    low, high = band["between"]
    return (str(band["windows"]), worth, f"{percent(low)} to {percent(high)}", across)


def _calibration_table(calibration: Study) -> str:
    rows = []
    for name, entry in calibration.items():
        for k in entry["pit"]:
            crps = entry["crps"][k]
            cells = (
                percent(entry["cover"]["50"][k]),
                percent(entry["cover"]["90"][k]),
                number(entry["p"][k], 2),
                number(crps["venv"]),
                number(crps["still"]),
                number(crps["usual"]),
            )
            rows.append((f"{name}, step {k}", *cells))
    heads = (
        "the venv's own spread, before the bands",
        "of its 50 %",
        "of its 90 %",
        "p of level bars",
        "CRPS (error)",
        "nothing changes",
        "what is usual",
    )
    return table(heads, rows[:MOST_ROWS])


def _gain_table(entry: Study) -> str:
    rows = []
    for pair in entry["of"]:
        step, units = (
            pair["step"],
            f" {pair['output']['units'] or ''} / {pair['input']['units'] or pair['input']['name']}",
        )
        gain = step["gain"]
        rows.append(
            (
                f"{pair['input']['name']} → {pair['output']['name']}",
                f"{number(gain['mean'])} ({number(gain['low'])} .. {number(gain['high'])}){units}",
                f"{step['dead_time']} steps" if step["dead_time"] is not None else "–",
                f"{step['settling']} steps" if step["settling"] is not None else "not within the rollout",
            )
        )
    return table(("step response", "gain (models from .. to)", "dead time", "settling time (5 %)"), rows)


def _gap_table(gaps: Sequence[Study]) -> str:
    rows = [
        (
            _unit(gap["column"], gap["units"]),
            f"{number(gap['gain'])} ± {number(gap['error'])}",
            f"{gap['action']} moves by {number(gap['slope'])} per unit",
            "yes" if gap["certain"] else "no",
        )
        for gap in gaps
    ]
    return table(("column", "gain per step", "by", "above two standard errors"), rows)
