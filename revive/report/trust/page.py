"""The page: words first, then one section per question, drawn from `summary.json` and `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revive.report.trust import policy_figures, venv_figures
from revive.report.trust.causes import causes
from revive.report.trust.parts import escape, listed, number, paragraph, percent, picture, section
from revive.report.trust.tables import (
    backtest_table,
    band_table,
    calibration_table,
    context_of_use,
    error_table,
    gain_table,
    gap_table,
)
from revive.report.trust.worth import worth

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
        f"<p class='faint'>{' '.join(_word(line) for line in told['words'])}</p>",
    ]
    for key, title in (
        ("may", "What may be concluded"),
        ("may_not", "What may not be concluded, and what speaks against it"),
        ("todo", "What to do about it"),
    ):
        lines = [escape(line) for line in told[key]]
        parts += [f"<h3>{title}</h3>", listed(lines) or paragraph("Nothing.")]
    parts += ["<h3>Context of use</h3>", context_of_use(summary)]
    return "".join(parts)


def _word(line: str) -> str:
    """An entry of the glossary, its head in italics."""
    head, _, rest = line.partition(":")
    return f"<i>{escape(head)}</i>:{escape(rest)}"


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
            error_table(study["errors"]),
        ),
        section(
            "rollouts",
            "What does it foretell, and do the bands hold?",
            "Rollouts from three places. The inner band holds nine logged values in ten at each step, the outer "
            "one nine whole "
            "paths in ten. Their widths were counted on rows that the venv did not learn from"
            + (", kept aside from a search too." if study["calibrated_on"] == "test" else ", half by half."),
            picture(venv_figures.windows(study["rollouts"])) if study["rollouts"]["first"] else "",
            band_table(study["bands"], units),
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
            "bars are level. A hump in the middle says that the venv is less sure than it could be, high ends that "
            "it is too sure. In the table: how often logged values lay inside the spread that should hold 50 % and "
            "90 % of them; the chance of bars so uneven although the spread is right; and the error of the whole "
            "distribution (CRPS, in the unit of the column, smaller is better), beside that of two simple guesses.",
            _figure(venv_figures.calibration(study["calibration"])),
            calibration_table(study["calibration"]),
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
                gain_table(entry),
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


def _policy_sections(summary: Study, study: Study) -> list[str]:
    found = [
        section(
            "backtest",
            "Would it have foretold what other controllers earned?",
            "The logs hold several controllers. Each was held out in turn: a venv learned from the others had to "
            "foretell "
            "what it earned. Without this, no log can show that a venv is able to compare controllers.",
            backtest_table(summary.get("backtest", {})),
        )
    ]
    found += [causes(summary), *worth(study)]
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
            f"The logs' controller and {_who(summary)} from the same starts, under the same disturbances and "
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
            gap_table(policy["input_gap"]),
        ),
    ]


def _who(summary: Study) -> str:
    """What is handed over."""
    return (
        "the copy that is handed over"
        if summary["policy"].get("chosen", {}).get("fallback")
        else "the learned policy"
    )


def _figure(figure: Any) -> str:
    return "" if figure is None else picture(figure)


def _held(entry: Study) -> str:
    held = ", ".join(f"{escape(name)} = {number(value)}" for name, value in list(entry["held"].items())[:12])
    return f"Held at (row {entry['row']}): {held}."


def _medians(surface: Study) -> str:
    held = surface.get("held", {})
    if not held:
        return "."
    named = ", ".join(f"{escape(name)} = {number(value)}" for name, value in list(held.items())[:12])
    return f", the others held at {named}."
