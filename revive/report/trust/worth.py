"""What the policies are worth by several measures, drawn from `report.json` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from revive.report.second_opinion import gains, second_opinion
from revive.report.trust.parts import number, paragraph, section, table

Study = Mapping[str, Any]
HALVES = ("training", "validation")


def worth(summary: Study, study: Study) -> list[str]:
    """The sections on policies and models, on the terms of the reward, and on what the logs alone say."""
    found = study.get("evaluation", {})
    return [
        section(
            "compared",
            "What does every model say of every policy?",
            "Mean reward per step of each learner's best policy in the models of either half, all from the same "
            "starts under the same noise: the lowest and the highest member, and the gain over the logs' controller "
            "with its spread over members. The half that a policy learned in (*) flatters it. A policy is named after "
            "the method that found it, and its settings.",
            compared_table(found.get("compared", [])),
        ),
        section(
            "fqe",
            "What do the logs say without a model?",
            "Fitted Q evaluation estimates the policy's discounted reward per step from logged transitions alone; "
            "beside it the same measure in the models, from the same starts. Where the two gains have different signs, "
            "one of them is wrong. Far from the logged actions neither knows.",
            _fqe(found.get("fqe", {})),
            paragraph(second_opinion(summary["policy"])),
        ),
        section(
            "terms",
            "What is the reward made of?",
            "Terms that get_reward returns by name, per step; predicted in the half in which the policy did not learn.",
            terms_table(found.get("terms", {})),
        ),
    ]


def compared_table(lines: Sequence[Study]) -> str:
    """Policies x halves; members as a range. The simulator's word beside it, where there is one."""
    rows, known = [], any(line.get("truth") for line in lines)
    for line in lines:
        cells = []
        for half, members in enumerate(line["rewards"]):
            own = " *" if line["half"] == half else ""
            gain = f"{number(line['gain'][half])} ± {number(line['spread'][half])}"
            cells += [f"{number(min(members))} .. {number(max(members))}{own}", gain]
        if known:
            cells.append(number(line["truth"]["mean"]) if line["truth"] else "")
        rows.append((f"{line['name']}{' (taken)' if line['taken'] else ''}", *cells))
    heads = [f"{what}, {half} half" for half in HALVES for what in ("members", "gain")]
    return table(("policy", *heads, *(["in the simulator"] if known else [])), rows)


def _fqe(fqe: Study) -> str:
    if "reason" in fqe:
        return paragraph(f"The logs cannot say: {fqe['reason']}.")
    rows = []
    heads = (
        "half",
        "policy, by the logs",
        "its gain, by the logs",
        "policy, by the models",
        "its gain, by the models",
    )
    for half, of in enumerate(fqe.get("halves", [])):
        unseen = "" if half == fqe["half"] else " (in which it learned)"
        logs_gain, venv_gain = gains(of)
        figures = (of["policy"], logs_gain, of["venv_policy"], venv_gain)
        rows.append((f"{HALVES[half]}{unseen}", *(number(value) for value in figures)))
    return table(heads, rows)


def terms_table(terms: Study) -> str:
    """Named terms of the reward."""
    rows = [(name, number(of["logged"]), number(of["predicted"])) for name, of in terms.items()]
    return table(("term", "in the logs", "predicted"), rows)
