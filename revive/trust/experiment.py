"""Experiment design: how much an action must be moved, and for how long, for its effect to be told.

A dither of sd d on the action, independent of everything, adds to the operator's own moves. After n steps the effect
has a standard error of sd(e) / (sqrt(n) sqrt(d^2 + moved^2)), e what the model leaves of the output, so that an effect
theta is found at a power P and a rate alpha of false findings where

    n (d^2 + moved^2) >= ( (z_{1 - alpha/2} + z_P) sd(e) / theta )^2,

theta being the smallest effect that would matter. The grades ask for an overlap as well (grading.py). The output pays:
in a loop that forgets by `rho` each step its variance grows by about (theta d)^2 / (1 - rho^2), the stationary variance
of a first-order autoregression; theta is the largest effect that the interval allows, but no larger than one with which
a usual move of the action would make the whole usual change of the output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import norm

from revive.data.trajectories import FloatArray
from revive.trust.card import CausalCard
from revive.trust.grading import NIL
from revive.trust.remarks import NARROW

ALPHA: Final = 0.05
SPARE: Final = 4.0  # times the overlap below which nothing is told
LONGEST: Final = 1_000_000


@dataclass(frozen=True)
class Column:
    """What is known of a pair beside its card. Standard deviations of action, output and its change in one step;
    remembers: autocorrelation of the output at lag 1 (rho)."""

    action_sd: float
    output_sd: float
    change_sd: float
    remembers: float


@dataclass(frozen=True)
class Dither:
    """What to do with one action. needed: false where the logs tell its effects already.

    amplitude: of a two-level signal, plus or minus so much, drawn anew every `hold` steps. steps: how long.
    output, because: the output that asks for most. disturbs: sd that the dither adds to that output at most;
    bound: what was allowed.
    power: the chance to find the smallest effect that matters, with that amplitude and length.
    """

    action: str
    needed: bool
    amplitude: float
    hold: int
    steps: int
    output: str
    because: str
    disturbs: float
    bound: float
    power: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def dithers(
    cards: Sequence[CausalCard],
    columns: Mapping[tuple[str, str], Column],
    *,
    power: float,
    steps: int,
    bound: float,
) -> list[Dither]:
    """One for each action: the largest that any of its outputs asks for, within what all of them allow.

    power: wanted. steps: of the experiment, made longer where the bound allows too little.
    bound: sd that the dither may add to an output, in spreads of that output in the logs.
    """
    found = []
    for action in dict.fromkeys(card.action for card in cards):
        mine = [card for card in cards if card.action == action and (card.action, card.output) in columns]
        if mine:
            found.append(_dither(mine, columns, power, steps, bound))
    return found


def _dither(
    cards: Sequence[CausalCard],
    columns: Mapping[tuple[str, str], Column],
    power: float,
    steps: int,
    bound: float,
) -> Dither:
    asking = [card for card in cards if card.grade in "CD"]
    wanted = {card.output: _wanted(card, columns[card.action, card.output], power, steps) for card in cards}
    worst = max(asking or cards, key=lambda card: wanted[card.output])
    known = columns[worst.action, worst.output]
    allowed = min(
        bound * columns[c.action, c.output].output_sd / max(_gain(c, columns[c.action, c.output]), 1e-300)
        for c in cards
    )
    amplitude = min(wanted[worst.output], allowed) if asking else 0.0
    energy = amplitude**2 + worst.moved**2
    theta, z = _smallest(known), norm.ppf(1 - ALPHA / 2)
    longer = math.ceil(((z + norm.ppf(power)) * worst.rest / theta) ** 2 / max(energy, 1e-300) - 1e-6)
    needed = min(LONGEST, max(steps, longer)) if asking else steps
    reached = float(norm.cdf(theta * math.sqrt(needed * energy) / worst.rest - z))
    return Dither(
        action=worst.action,
        needed=bool(asking),
        amplitude=amplitude,
        hold=max(1, worst.dead_time // 2),
        steps=needed,
        output=worst.output,
        because=worst.reasons[0] if asking and worst.reasons else "its effects are known",
        disturbs=amplitude * _gain(worst, known),
        bound=bound * known.output_sd,
        power=reached,
    )


def _smallest(known: Column) -> float:
    """The smallest effect that matters: a usual move makes a share NIL of a usual change."""
    return NIL * known.change_sd / max(known.action_sd, 1e-300)


def _wanted(card: CausalCard, known: Column, power: float, steps: int) -> float:
    """The amplitude that finds the smallest effect that matters in so many steps, and is overlap enough."""
    z = norm.ppf(1 - ALPHA / 2) + norm.ppf(power)
    for_power = (z * card.rest / _smallest(known)) ** 2 / steps - card.moved**2
    for_overlap = SPARE * NARROW * known.action_sd**2
    return float(math.sqrt(max(for_power, for_overlap, 0.0)))


def _gain(card: CausalCard, known: Column) -> float:
    """sd of the output per sd of the dither, with the largest effect that the logs allow."""
    theta = min(max(abs(card.low), abs(card.high)), known.change_sd / max(known.action_sd, 1e-300))
    return theta / math.sqrt(max(1.0 - min(known.remembers, 0.999) ** 2, 1e-6))


def played(plan: Sequence[Dither], seed: int) -> dict[str, FloatArray]:
    """Action -> what to add to it in each step (longest of all experiments,); zero where nothing is needed."""
    steps = max((dither.steps for dither in plan if dither.needed), default=0)
    series = {}
    for number, dither in enumerate(plan):
        random = np.random.default_rng([seed, number])
        levels = random.choice([-1.0, 1.0], size=-(-steps // dither.hold)).repeat(dither.hold)[:steps]
        series[dither.action] = dither.amplitude * levels * (np.arange(steps) < dither.steps)
    return series
