"""The page: words first, then one section per question, drawn from `summary.json` and `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revive.graph.units import with_unit
from revive.report.trust import policy_figures
from revive.report.trust.causes import causes
from revive.report.trust.parts import (
    escape,
    listed,
    number,
    paragraph,
    percent,
    picture_or_nothing,
    section,
    valued,
)
from revive.report.trust.tables import backtest_table, context_of_use, gap_table
from revive.report.trust.venv_sections import venv_sections
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
    sections = [part for part in (*venv_sections(summary, study), *_policy_sections(summary, study)) if part]
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


def _policy_sections(summary: Study, study: Study) -> list[str]:
    found = [_backtest(summary), causes(summary), *worth(summary, study)]
    policy = study.get("policy")
    if not policy:
        return found
    units = summary["data"].get("units", {})
    return [
        *found,
        _before_and_after(summary, policy),
        _surface(policy["surface"], units),
        _tree(policy["tree"], units),
        _gap(policy, units),
    ]


def _backtest(summary: Study) -> str:
    return section(
        "backtest",
        "Would it have foretold what other controllers earned?",
        "The logs hold several controllers. Each was held out in turn: a venv learned from the others had to foretell "
        "what it earned. Without this, no log can show that a venv is able to compare controllers.",
        backtest_table(summary.get("backtest", {})),
    )


def _before_and_after(summary: Study, policy: Study) -> str:
    half = ("training", "validation")[policy["half"]]
    return section(
        "before-after",
        "What would the policy do differently?",
        f"The logs' controller and {_who(summary)} from the same starts, under the same disturbances and the same "
        f"noise, in the venv of the {half} half, in which the policy did not learn. Grey is what was logged.",
        picture_or_nothing(
            policy_figures.before_and_after(policy["before_after"], summary["data"].get("step_seconds"))
        ),
    )


def _surface(surface: Study, units: Mapping[str, str]) -> str:
    return section(
        "policy",
        "What does the policy answer?",
        "Its decision over the inputs that it follows most" + _medians(surface, units),
        picture_or_nothing(policy_figures.surface(surface)),
    )


def _tree(tree: Study, units: Mapping[str, str]) -> str:
    explains = [
        f"It explains {percent(value)} of how '{escape(name)}' varies, and is off by "
        f"{escape(with_unit(number(tree['error'][name]), units.get(name, '')))} on average"
        for name, value in tree.get("fidelity", {}).items()
    ]
    return section(
        "tree",
        "The same in a few rules",
        f"A small tree that imitates the policy, to be read and questioned, not to be used. {'; '.join(explains)}.",
        f"<pre>{escape(tree['text'])}</pre>" if tree else "",
    )


def _gap(policy: Study, units: Mapping[str, str]) -> str:
    return section(
        "input-gap",
        "What should it see besides?",
        "Columns that are logged but that the policy does not see, and what a straight line in each would gain in the "
        "venv. It is a lower bound: a policy that learns with the column may gain more.",
        gap_table(policy["input_gap"], units),
    )


def _who(summary: Study) -> str:
    """What is handed over."""
    return (
        "the copy that is handed over"
        if summary["policy"].get("chosen", {}).get("fallback")
        else "the learned policy"
    )


def _medians(surface: Study, units: Mapping[str, str]) -> str:
    held = surface.get("held", {})
    return f", the others held at {valued(held, units)}." if held else "."
