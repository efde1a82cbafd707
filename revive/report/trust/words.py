"""The first page: what a run shows, in words for somebody who knows the plant and no machine learning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from revive.data.duration import steps_told
from revive.data.finding import MOST_ALIKE, first_of_each
from revive.report.trust.glossary import glossary
from revive.report.trust.parts import number, percent, quoted
from revive.report.trust.todo import todo
from revive.report.trust.verdict import headline, is_copy, level_of, reward_of
from revive.venv.bands import COVERED

FAR = 0.01  # share of the steps outside what was logged, from which it is said


def words(summary: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, Any]:
    """{level, headline, short, may, may_not, todo}: sentences, of `summary.json` and the study."""
    level = level_of(summary)
    return {
        "level": level,
        "headline": headline(summary),
        "short": _short(summary, study),
        "may": [*_may_venv(study, summary["data"].get("step_seconds")), *_may_policy(summary)],
        "may_not": [*_may_not(summary, study), *_no_better(summary), *_always()],
        "todo": todo(summary, study),
        "words": glossary(summary),
    }


def _short(summary: Mapping[str, Any], study: Mapping[str, Any]) -> list[str]:
    data, policy = summary["data"], summary["policy"]
    count = study["trajectories"]
    lines = [
        f"From {data['rows']} logged steps ({count} uninterrupted {'run' if count == 1 else 'runs'}) a virtual "
        "plant was "
        "learned, twice: once from each half of the logs, so that either can be tested on steps that it never saw."
    ]
    if isinstance(gate := summary.get("gate"), Mapping) and gate.get("overridden"):
        lines.append(
            "The run failed its gate, and somebody accepted that (gate.override=true). Read why below."
        )
    if "predicted" not in policy:
        return lines
    if is_copy(summary):
        lines.append(
            "No learned policy could be relied on. What is handed over is a copy of a controller that is in the logs. "
            f"Why: {policy['chosen']['fallback'].rstrip('.')}."
        )
    else:
        lines.append("In it a controller was searched that earns more than the one in the logs.")
    lines.append(_promise(summary))
    truth = policy.get("truth")
    if truth:
        outside = ", outside that interval" if _misses(policy, truth["mean"]) else ""
        lines.append(
            f"In the simulator that this experiment has, it earns {number(truth['mean'], 4)} per step{outside}."
        )
    return lines


def _misses(policy: Mapping[str, Any], truth: float) -> bool:
    """Whether the true reward lies outside of what was foretold; both are told per step."""
    _, low, high, _, unit = reward_of(policy)
    return unit == "per step" and low is not None and high is not None and not low <= truth <= high


def _promise(summary: Mapping[str, Any]) -> str:
    """What is foretold, beside what the logs earned; no promise where the run is not to be believed."""
    policy = summary["policy"]
    mean, low, high, logged, unit = reward_of(policy)
    earned = f"Reward {unit} (larger is better): the logs' controller earned {number(logged, 4)}"
    if level_of(summary) == "stop":
        return (
            f"{earned}. In the virtual plant what is handed over earns {number(mean, 4)}; that promises nothing about "
            "the plant, for the reasons below."
        )
    who = "the copy" if is_copy(summary) else "the learned controller"
    return (
        f"{earned}; {who} is expected to earn {number(mean, 4)}, and its true mean to lie between {number(low, 4)} and "
        f"{number(high, 4)} nine times in ten, if the plant is as the virtual plant says."
    )


def _may_venv(study: Mapping[str, Any], long: float | None) -> list[str]:
    """long: seconds that a step takes, where that is known."""
    lines = []
    for name, entry in list(study["errors"].items())[:3]:
        horizon = len(entry["venv"][0])
        step = next(k for k in (50, 25, 10, 5, 1) if k <= horizon)
        venv, still = (_both(entry[key], step) for key in ("venv", "persistence"))
        if venv is None or still is None or still <= 0 or venv >= still:
            continue
        units = f" {entry['units']}" if entry["units"] else ""
        lines.append(
            f"{steps_told(step, long)} ahead, with the actions known, '{name}' is foretold to {number(venv)}{units} on "
            "average, on logs "
            f"that were not learned from; assuming that nothing changes errs by {number(still)}{units}."
        )
    held: dict[str, list[str]] = {}
    for name, steps in study["bands"]["steps"].items():
        alike = takewhile(lambda item: not unlike(item[1]), steps.items())
        promised = [k for k, band in alike if band["q"] is not None]
        if promised:
            held.setdefault(promised[-1], []).append(name)
    for steps_ahead, names in held.items():
        lines.append(
            f"The bands around {quoted(names)} up to {steps_told(int(steps_ahead), long)} ahead hold {COVERED:.0%} of "
            "what is logged, counted on steps that were not learned from. They may be relied on under the logs' way of "
            "controlling."
        )
    return lines


def _both(table: Any, step: int) -> float | None:
    found = [half[step - 1] for half in table if half[step - 1] is not None]
    return sum(found) / len(found) if found else None


def _may_policy(summary: Mapping[str, Any]) -> list[str]:
    policy = summary["policy"]
    if "predicted" not in policy or level_of(summary) == "stop" or is_copy(summary):
        return []
    _, low, _, logged, unit = reward_of(policy)
    if low is None or low <= logged:
        return []
    return [
        f"The learned controller is expected to do better than the logged one: even the lower end of the interval, "
        f"{number(low, 4)} {unit}, is above {number(logged, 4)}. It was worked out in the half that it did not "
        "learn in."
    ]


def _no_better(summary: Mapping[str, Any]) -> list[str]:
    """That a gain is not certain, where no verdict says so already."""
    policy, said = summary["policy"], {verdict["code"] for verdict in summary.get("verdicts", [])}
    if "predicted" not in policy or level_of(summary) == "stop" or said & {"gain", "no-gain"}:
        return []
    _, low, high, logged, unit = reward_of(policy)
    if low is None or low > logged:
        return []
    what = (
        "the copy does as well as the controller that it copies"
        if is_copy(summary)
        else "the learned controller does better than the logged one"
    )
    between = f"{number(low, 4)} to {number(high, 4)} {unit}"
    return [f"That {what}: its interval, {between}, reaches below the {number(logged, 4)} that was logged."]


def _may_not(summary: Mapping[str, Any], study: Mapping[str, Any]) -> list[str]:
    why = summary["policy"].get("chosen", {}).get("fallback")  # said above
    verdicts = [v for v in summary.get("verdicts", []) if v["sentence"] != why]
    shown, more = first_of_each(verdicts, lambda verdict: verdict["code"])
    lines = [v["sentence"] for v in shown]
    lines += [f"{count} more of the kind '{code}' stand in summary.json." for code, count in more.items()]
    lines += _left_the_logs(summary)
    lines += [
        f"Whole paths of '{node.removeprefix('next_')}': {why}."
        for node, why in _no_paths(study, summary["data"].get("step_seconds"))
    ]
    lines += [
        f"That the bands around '{name}' hold from {steps_told(int(first), summary['data'].get('step_seconds'))} ahead "
        f"on: counted on one half of the logs, they hold only {percent(share)} of the other half."
        for name, first, share in _unlike(study)
    ]
    drifting = [name for name, parts in study["drift"].items() if any(part["alarm"] for part in parts)]
    if drifting:
        what = f"what the venv gets wrong about {quoted(drifting)} shifts within the logs"
        lines.append(f"That the plant stays as it was: {what}.")
    return lines


def unlike(band: Mapping[str, Any]) -> bool:
    """Whether a band counted on one half holds less of the other than chance explains (three standard errors).

    Both halves are samples of about half of the independent windows n, so that the share that the band of one holds of
    the other has a variance of 2 * .9 * .1 / (n / 2).
    """
    shares = [share for share in band.get("across", ()) if share is not None]
    chance = 3.0 * math.sqrt(4.0 * COVERED * (1.0 - COVERED) / max(band["blocks"], 1.0))
    return bool(shares) and min(shares) < COVERED - chance


def _unlike(study: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Columns with such bands: the first step of one, and the least share that any of them holds of a half."""
    found = []
    for name, steps in study["bands"]["steps"].items():
        bad = {k: band for k, band in steps.items() if band["q"] is not None and unlike(band)}
        if bad:
            least = min(share for band in bad.values() for share in band["across"] if share is not None)
            found.append((name, next(iter(bad)), least))
    return found


def _left_the_logs(summary: Mapping[str, Any]) -> list[str]:
    far = [use for use in summary["policy"].get("conduct", []) if use["outside"] > FAR]
    lines = []
    for use in far[:MOST_ALIKE]:
        what = "sets" if use["is_action"] else "leads to"
        lines.append(
            f"In {percent(use['outside'])} of its steps the controller {what} '{use['column']}' outside what was ever "
            f"logged ({number(use['logged'][0])} to {number(use['logged'][1])}). What happens there is a guess."
        )
    return lines + ([f"So it is with {len(far) - MOST_ALIKE} more columns."] if len(far) > MOST_ALIKE else [])


def _no_paths(study: Mapping[str, Any], long: float | None) -> list[tuple[str, str]]:
    found = []
    for node, lengths in study["bands"]["paths"].items():
        missing = [(k, band["why"]) for k, band in lengths.items() if band["q"] is None]
        if missing:
            found.append((node, f"over {steps_told(int(missing[0][0]), long)} and more {missing[0][1]}"))
    return found


def _always() -> list[str]:
    return [
        "That no unlogged cause moves both the operator and the plant: logs alone can hint at it, never rule it out.",
        "That the plant will be tomorrow what it was in the logs: wear, other products and other seasons are not "
        "in them.",
    ]
