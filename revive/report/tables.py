"""The tables of a run and the sentences below them, from the figures of its summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from revive.data.duration import duration, steps_told
from revive.data.finding import MOST_ALIKE, first_of_each
from revive.graph.units import with_unit
from revive.report.second_opinion import disagree, gains
from revive.report.summary import Summary
from revive.trust.card import Cards, CausalCard

LEAST_SHARE = 0.001  # a share below it is told as such
PLAIN: dict[str, Any] = {
    "title_justify": "left",
    "caption_justify": "left",
    "title_style": "bold",
    "box": None,
    "pad_edge": False,
    "padding": (0, 2, 0, 0),
}
PLACES = ("in the logs", "venv, training half", "venv, validation half", "true (simulator)")


def policy_table(summary: Summary) -> Table:
    """Per episode where there are episodes, else per step."""
    policy = summary.policy
    per_episode = "episodes" in policy
    told = _per_episode(policy["episodes"]) if per_episode else _per_step(policy)
    step = summary.data.get("step_seconds")
    title = "Reward per step (in brackets: 90 % of rollouts)"
    if per_episode:
        title = f"Return per episode of at most {steps_told(policy['episodes']['steps'], step)}"
        title += " (in brackets: steps, share that ended in done)" if _is_varied(policy["episodes"]) else ""
    table = Table(title=title, **PLAIN)
    table.add_column("")
    for where in PLACES:
        table.add_column(where, justify="right")
    logs, behaviour, learned, truth = told
    learned[policy["learned_in_half"]] += " *"
    table.add_row("logs' controller", logs, *behaviour, "")
    table.add_row("learned policy" if not _fallback(policy) else "clone taken", "", *learned, truth)
    honest = "" if summary.verdicts else "; the other half is the honest estimate"
    table.caption = f"* learned in it{honest}"
    return table


def _per_step(policy: Mapping[str, Any]) -> tuple[str, list[str], list[str], str]:
    def cells(estimates: list[dict[str, float]]) -> list[str]:
        return [f"{e['mean']:.3f} ({e['low']:.2f} .. {e['high']:.2f})" for e in estimates]

    truth = policy.get("truth")
    real = f"{truth['mean']:.3f} (se {truth['se']:.4f})" if truth else ""
    return f"{policy['logged']:.3f}", cells(policy["behaviour"]), cells(policy["halves"]), real


def _per_episode(episodes: Mapping[str, Any]) -> tuple[str, list[str], list[str], str]:
    varied = _is_varied(episodes)

    def cell(of: Mapping[str, float]) -> str:
        more = f" ({of['length']:.0f}, {of['ended']:.0%})" if varied else ""
        return f"{of['return']:.5g}{more}"

    truth = episodes.get("truth")
    real = f"{cell(truth)}, se {truth['se']:.2g}" if truth else ""
    behaviour, learned = ([cell(half) for half in episodes[who]] for who in ("behaviour", "learned"))
    return cell(episodes["logs"]), behaviour, learned, real


def _is_varied(episodes: Mapping[str, Any]) -> bool:
    found = [episodes["logs"], *episodes["behaviour"], *episodes["learned"]]
    return any(of["ended"] > 0 for of in found) or len({round(of["length"]) for of in found}) > 1


def venv_table(summary: Summary) -> Table:
    """The errors at a step; up to it in summaries that do not hold them."""
    venv, other = summary.venv, summary.venv["other_half"]
    at_step = "at_step" in venv
    step = summary.data.get("step_seconds")
    long = f" of {duration(step)}" if step else ""
    table = Table(
        title=f"Open-loop rollout error (mean absolute error {'at' if at_step else 'over the first'} steps{long})",
        **PLAIN,
    )
    table.add_column("step" if at_step else "steps")
    for steps in venv["rollout_mae"]:
        table.add_column(steps, justify="right")
    names = {"persistence": "nothing changes", "average": "always the mean"}
    for of, label in (
        (venv, "venv, on the validation half"),
        (other, "venv of the other half, on the training half"),
    ):
        found = (
            of["at_step"] if at_step else {"venv": of["rollout_mae"], "persistence": of["persistence_mae"]}
        )
        for kind, errors in found.items():
            table.add_row(names.get(kind, label), *(f"{value:.3f}" for value in errors.values()))
    if "test" in venv:
        table.add_row("up to the step, on the test part", *_figures(venv["test"]["rollout_mae"][0]))
        table.add_row("nothing changes", *_figures(venv["test"]["persistence_mae"]))
    return table


def _figures(errors: Mapping[str, float]) -> list[str]:
    return [f"{value:.3f}" for value in errors.values()]


def parameter_lines(parameters: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """A line for each parameter of the user's functions: its value, those of members and halves, and its bounds."""
    return [
        f"fitted  {node}: {_parameter(n, own)}" for node, of in parameters.items() for n, own in of.items()
    ]


def _parameter(name: str, own: Mapping[str, Any]) -> str:
    value = with_unit(f"{own['value']:.4g}", own["units"] or "")
    halves = " and ".join(f"{half:.4g}" for half in own["halves"])
    bounds = f"bounds {own['min']:g} .. {own['max']:g}"
    near = ", which a member is next to" if own["at_bound"] else ""
    return f"{name} {value} ({own['low']:.4g} .. {own['high']:.4g}; halves {halves}), {bounds}{near}"


LEGEND = (
    "grades A, B: the logs tell the effect; C: they do not; D: a hidden cause, or a contradiction. "
    "overlap: share of the action that follows from nothing logged"
)


def card_lines(cards: Cards, most: int = 6) -> list[str]:
    """The causal cards in a few lines: the worst grades first, the well known ones counted."""
    ordered = sorted(cards.cards, key=lambda card: "DCBA-".index(card.grade))
    shown = [card for card in ordered if card.grade in "CD"] or ordered[:2]
    lines = [f"causes  {_card(card)}" for card in shown[:most]]
    rest = [card.grade for card in ordered if card not in shown[:most]]
    if rest:
        counted = ", ".join(f"{rest.count(grade)} of grade {grade}" for grade in "DCBA" if grade in rest)
        pairs = "pair" if len(rest) == 1 else "pairs"
        lines.append(f"causes  and {len(rest)} more {pairs} of action and state: {counted}")
    if lines:
        lines.append(f"        {LEGEND}")
    return [*lines, *(f"causes  {said}" for said in cards.skipped)]


def _card(card: CausalCard) -> str:
    """`power -> temperature  A: effect -0.99 (-1.05 .. -0.938), overlap 18%; measurement-noise`."""
    named = "".join(f"; {remark.code}" for remark in card.remarks)
    effect = f"{with_unit(f'{card.effect:.3g}', card.units)} ({card.low:.3g} .. {card.high:.3g})"
    return f"{card.action} -> {card.output}  {card.grade}: effect {effect}, overlap {card.overlap:.2g}{named}"


def sentences(summary: Summary) -> list[str]:
    """What stands below the tables: the prediction, the choice, how the policy acts, and the verdicts."""
    policy, gate = summary.policy, _gate(summary.gate)
    if "predicted" not in policy:
        return [*_verdicts(summary, ""), *gate]
    failed = bool(summary.gate) and summary.gate["status"] == "fail"
    lines = [
        *_prediction(policy, failed),
        *_terms(policy),
        *_limits(policy),
        *_by_the_logs(policy, failed),
        _choice(policy),
        *_conduct(policy),
    ]
    sound = "verdict    nothing was found that speaks against the estimate (docs/trust.md says what was looked for)"
    tipping = [f"tipping    {pair['sentence']}" for pair in summary.tipping[:1]]
    return ["\n".join(line for line in [*lines, *tipping] if line), *_verdicts(summary, sound), *gate]


def _gate(gate: Mapping[str, Any]) -> list[str]:
    if not gate:
        return []
    accepted = " (accepted: gate.override=true)" if gate["overridden"] else ""
    words = {
        "pass": "pass",
        "warn": "warn: see above",
        "fail": "FAIL: do not use what was learned on the plant",
    }
    return [f"gate       {words[gate['status']]}{accepted}"]


def _prediction(policy: Mapping[str, Any], failed: bool) -> list[str]:
    """failed: whether the gate fails; then the figure is no promise."""
    if "interval" not in policy["predicted"]:
        return []
    if "episodes" in policy:
        foretold = policy["episodes"]["predicted"]
        mean, low, high, unit = foretold["mean"], foretold["low"], foretold["high"], "per episode"
    else:
        mean, unit = policy["predicted"]["mean"], "per step"
        low, high = policy["predicted"]["interval"]["low"], policy["predicted"]["interval"]["high"]
    if failed:
        return [
            f"predicted  {mean:.5g} {unit} in a venv that failed its tests, see below: nothing is promised"
        ]
    return [f"predicted  {mean:.5g} {unit}; the true mean lies between {low:.5g} and {high:.5g} (90 %)"]


def _limits(policy: Mapping[str, Any]) -> list[str]:
    return [
        f"limit      {of['limit']}: exceeded in {of['predicted']:.2%} of the steps, {of['allowed']:.2%} allowed "
        f"(logs {of['logged']:.2%})"
        for of in policy.get("constraints", [])
    ]


def _terms(policy: Mapping[str, Any]) -> list[str]:
    told = [
        f"{name} {of['predicted']:.4g} (logs {of['logged']:.4g})"
        for name, of in policy.get("terms", {}).items()
    ]
    return [f"terms      {', '.join(told)}, per step"] if told else []


def _by_the_logs(policy: Mapping[str, Any], failed: bool) -> list[str]:
    """What the logs alone say of the policy, beside the venv in the same measure. failed: whether the gate fails."""
    fqe = policy.get("fqe", {})
    if "halves" not in fqe:
        return [f"logs alone cannot say what it is worth: {fqe['reason']}"] if "reason" in fqe else []
    of = fqe["halves"][fqe["half"]]
    gain, foretold = gains(of)
    remedy = "" if failed else ": try the policy before you rely on it (report.html)"
    lines = [f"           they disagree, so one of them is wrong{remedy}"]
    return [
        f"logs alone {of['policy']:.4g} per step, {gain:+.4g} against their controller; the venv says "
        f"{of['venv_policy']:.4g} and {foretold:+.4g} (fitted Q evaluation, discount {fqe['gamma']:g})",
        *(lines if disagree(policy) else []),
    ]


def _choice(policy: Mapping[str, Any]) -> str:
    chosen = policy.get("chosen")
    if not chosen:
        return ""
    if chosen["fallback"]:
        return f"taken      the best clone ({chosen['source']}), no learned policy. Why: {chosen['fallback']}"
    return f"taken      {chosen['source']}, iteration {chosen['iteration']}"


def _outside(share: float) -> str:
    if share == 0:
        return "never outside"
    told = f"under {LEAST_SHARE:.1%}" if share < LEAST_SHARE else f"{share:.1%}"
    return f"outside in {told} of the steps"


def _conduct(policy: Mapping[str, Any]) -> list[str]:
    lines = []
    actions = [use for use in policy.get("conduct", []) if use["is_action"]]
    for use in actions[:MOST_ALIKE]:
        visited, logged = (f"{low:.3g} to {high:.3g}" for low, high in (use["visited"], use["logged"]))
        more = f"; moves {use['moves']:.1f} times those of the logs" if use["moves"] is not None else ""
        outside = _outside(use["outside"])
        lines.append(f"acts       {use['column']} {visited}, logged {logged} ({outside}){more}")
    return lines + (
        [f"acts       and {len(actions) - MOST_ALIKE} columns more"] if len(actions) > MOST_ALIKE else []
    )


def _verdicts(summary: Summary, sound: str) -> list[str]:
    if not summary.verdicts:
        return [sound] if sound else []
    ordered = sorted(summary.verdicts, key=lambda v: v["severity"] != "distrust")
    shown, more = first_of_each(ordered, _severity_and_code)
    said = [f"{v['severity'].upper()}: {v['sentence']}\n    -> {v['remedy']}" for v in shown]
    return [*said, *(f"{kind}: {count} more of this kind, in summary.json" for kind, count in more.items())]


def _severity_and_code(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['severity'].upper()} {verdict['code']}"


def _fallback(policy: Mapping[str, Any]) -> bool:
    return bool(policy.get("chosen", {}).get("fallback"))
