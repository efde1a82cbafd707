"""Tipping strength: how strong a hidden cause would have to be to cancel what a policy promises.

A cause that nobody logged, that moves the action a and the output y, makes the effect of a on y look larger or smaller
than it is by at most

    bias = sd(y | a, s) / sd(a | s) * sqrt( R2_y R2_a / (1 - R2_a) )

where R2_a is the share of the operator's own moves that it explains and R2_y the share of what the model leaves of the
response (Cinelli and Hazlett 2020, Journal of the Royal Statistical Society B 82, equation 9; own moves and remainder
as in revive/trust/evidence.py). What is left of the gain with such a bias is asked of the venv: in a world where the
learned effect is off by it, the logged moves are as good as before, and only departures from them pay the price:

    y' = f(s, a) - bias (a - E[a | s]).

The clone stays where it was logged, the policy does not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.joint import decided_by
from revive.nn.heads import Outputs
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.policy import Policy
from revive.trust.card import Cards, CausalCard, Reference
from revive.venv.node_model import NodeModel
from revive.venv.virtual_env import VirtualEnv

SHARES: Final = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of the effect that may be spurious
MOST: Final = 3  # pairs that are asked about: those of the largest effects


@dataclass(frozen=True)
class Tipping:
    """Of one action and output. gains: over the clone, per step, with none and with each of `shares` of the effect
    spurious. at: the share that cancels the gain, None where none of them does.

    strength: the share of the operator's own moves and of the remaining response, both alike, that the cause of such a
    bias explains; 1 at most. product: R2_y R2_a / (1 - R2_a) at that point, None with `at`. reach: the same for the
    whole effect. columns: what logged columns explain, to compare with.
    """

    action: str
    output: str
    shares: tuple[float, ...]
    gains: tuple[float, ...]
    at: float | None
    strength: float
    product: float | None
    reach: float
    columns: tuple[Reference, ...]

    @property
    def sentence(self) -> str:
        """For people."""
        if self.gains[0] <= 0:
            return f"'{self.action}' on '{self.output}': the policy gains nothing that a hidden cause could cancel."
        if self.at is None:
            return (
                f"No hidden cause behind the effect of '{self.action}' on '{self.output}' cancels the gain, "
                f"even if {self.shares[-1]:g} times the effect were its doing."
            )
        text = (
            f"A hidden cause that explained {self.strength:.0%} of the operator's own moves of '{self.action}' and "
            f"{self.strength:.0%} of what the model leaves of '{self.output}' would cancel the gain"
        )
        others = [c for c in self.columns if c.column != self.output]  # a column is no hidden cause of itself
        strongest = max(others, key=lambda c: min(c.moves, c.response), default=None)
        if strongest is None:
            return f"{text}."
        return (
            f"{text}; of the logged columns '{strongest.column}' comes closest to that, with {strongest.moves:.0%} "
            f"and {strongest.response:.0%}."
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence}


def tipping_points(
    cards: Cards | None, world: EvaluationEnvironment, policy: Policy, clone: Policy, half: int
) -> list[Tipping]:
    """For the clearest effects of the decision that are known (grades A and B).

    half: in which the policy learned; the other one's venv is asked.
    """
    if cards is None:
        return []
    known = [
        card for card in cards.cards if card.grade in ("A", "B")
    ]  # else there is no effect to start from
    decided = decided_by(policy.graph, policy.target)
    mine = [card for card in known if card.node in decided and card.rest > 0 and card.moved > 0]
    mine.sort(key=lambda card: -card.share)
    found = []
    for card in mine[:MOST]:
        place = _place(world.venv, card)
        if place is not None:
            found.append(_tipping(card, place, world, policy, clone, half))
    return found


@dataclass(frozen=True)
class _Place:
    """Where a pair lies in a transition's network: dimension of its input and of its output."""

    transition: str
    input: int
    output: int


def _place(venv: VirtualEnv, card: CausalCard) -> _Place | None:
    """None where the action reaches the output through other nodes, or either is no continuous column."""
    for transition in venv.graph.transitions:
        if transition not in venv.models:
            continue
        outputs = [column.name for column in venv.graph.columns(transition)]
        inputs, before = venv.graph[transition].inputs, 0
        for name in inputs:
            if name == card.node and card.output in outputs:
                columns = [column.name for column in venv.graph.columns(name)]
                if card.action not in columns:
                    return None
                moved = venv.codec[name].dimensions(columns.index(card.action))
                follows = venv.codec[transition].dimensions(outputs.index(card.output))
                if moved.stop - moved.start != 1 or follows.stop - follows.start != 1:
                    return None
                return _Place(transition, before + moved.start, follows.start)
            before += venv.codec.width(name)
    return None


@torch.no_grad()
def _tipping(
    card: CausalCard,
    place: _Place,
    world: EvaluationEnvironment,
    policy: Policy,
    clone: Policy,
    half: int,
) -> Tipping:
    members = world.venv.members_of(1 - half)
    gains = []
    for share in (0.0, *SHARES):
        leaning = replace(world, venv=_leaning(world.venv, world.rows, card, place, share * card.effect))
        earned = [float(leaning.rewards(p.actor())[members].double().mean()) for p in (policy, clone)]
        gains.append(earned[0] - earned[1])
    at = crossing((0.0, *SHARES), gains)
    reach = (card.effect * card.moved / card.rest) ** 2
    product = None if at is None else at**2 * reach
    strength = 1.0 if product is None else equal_strength(product)
    return Tipping(
        card.action, card.output, (0.0, *SHARES), tuple(gains), at, strength, product, reach, card.references
    )


def equal_strength(product: float) -> float:
    """The R2 with R2 * R2 / (1 - R2) = product: the robustness value of Cinelli and Hazlett."""
    return 0.5 * (math.sqrt(product**2 + 4.0 * product) - product)


def crossing(shares: Sequence[float], gains: Sequence[float]) -> float | None:
    """Where the gain first falls to zero, between two shares on a line; None where it never does, 0 from the start."""
    if not gains[0] > 0:
        return 0.0
    for (low, before), (high, after) in zip(
        zip(shares, gains, strict=True), zip(shares[1:], gains[1:], strict=True), strict=False
    ):
        if not after > 0:
            drop = before - after
            return low + (high - low) * (before / drop if math.isfinite(drop) and drop > 0 else 0.0)
    return None


def _leaning(venv: VirtualEnv, rows: Rows, card: CausalCard, place: _Place, bias: float) -> VirtualEnv:
    """The same venv, whose effect of the action is smaller by `bias` (physical units) away from what was logged."""
    every = torch.arange(0, rows.count, max(1, rows.count // 5000), device=rows.device)
    values = rows.at(every, venv.graph[place.transition].inputs)
    x = torch.cat([values[name] for name in venv.graph[place.transition].inputs], dim=-1).double()
    others = torch.cat([x, torch.ones_like(x[:, :1])], dim=-1)
    others[:, place.input] = 0.0
    usual = torch.linalg.lstsq(others, x[:, place.input : place.input + 1], driver="gelsd").solution[:, 0]
    usual[place.input] = 0.0
    slope = (
        bias * _unit(venv.codec, place.transition, card.output) / _unit(venv.codec, card.node, card.action)
    )
    weights = slope * usual
    weights[place.input] = -slope
    other = copy.copy(venv)
    other._modules = dict(venv._modules)
    models = dict(venv.models.items())
    models[place.transition] = _Leaning(venv.model(place.transition), weights.float(), place.output)
    other.models = nn.ModuleDict(models)
    return other


def _unit(codec: Codec, node: str, column: str) -> float:
    """How far a physical unit of a column reaches in model space, in the middle of what was logged."""
    found = codec[node]
    number = [c.name for c in found.columns].index(column)
    width = found.dimensions(number)
    z = torch.zeros(2, found.width, device=found.scale.device)
    z[:, width] = torch.tensor([[-0.5], [0.5]], device=z.device)
    below, above = found.decode_column(number, z).reshape(2, -1)[:, 0].tolist()
    return 1.0 / max(abs(above - below), 1e-12)


class _Leaning(NodeModel):
    """A node's model, to one dimension of whose mean is added a linear function of its inputs."""

    def __init__(self, inner: NodeModel, weights: Tensor, output: int) -> None:
        nn.Module.__init__(self)
        self.inner, self.output, self.layout, self.spec = inner, output, inner.layout, inner.spec
        self.register_buffer("weights", weights)

    def forward(self, x: Tensor, current: Tensor | None) -> Outputs:
        out, weights = self.inner(x, current), self.get_buffer("weights")
        added = torch.zeros_like(out.mean)
        added[..., self.output] = x @ weights[:-1] + weights[-1]
        return out._replace(mean=out.mean + added)
