"""Limits that nobody has confirmed, and a policy that leans on them.

`new` takes the range that was logged for the legal one. A policy that stays at such a limit might do better beyond it,
or must not go even so far: only somebody who knows the plant can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from revive.graph.units import with_unit
from revive.policy.conduct import Use
from revive.policy.verdicts import Verdict

OFTEN = 0.05  # share of the steps at a limit


def about_guessed_limits(
    uses: Iterable[Use], guessed: Collection[str], units: Mapping[str, str]
) -> list[Verdict]:
    """A caution for each column that is often at a limit which is still marked as a guess.

    guessed: columns whose limits are. units: of columns.
    """
    return [_verdict(use, units.get(use.column, "")) for use in uses if use.column in guessed and _often(use)]


def _often(use: Use) -> list[tuple[str, float, float]]:
    ends = zip(("lower", "upper"), use.limits, use.at_limits, strict=True)
    return [(word, limit, share) for word, limit, share in ends if limit is not None and share > OFTEN]


def _verdict(use: Use, unit: str) -> Verdict:
    told = " and ".join(
        f"the {word} limit {with_unit(f'{limit:g}', unit)} in {share:.0%}"
        for word, limit, share in _often(use)
    )
    what = "The policy sets" if use.is_action else "The policy brings"
    return Verdict(
        "guessed-limit",
        f"{what} '{use.column}' to {told} of the steps; its limits are a guess of 'new', not the plant's.",
        f"Correct min and max of '{use.column}' in the description, or confirm them: delete the word GUESS there.",
        "caution",
    )
