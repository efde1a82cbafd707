"""Whether the members of a venv agree about what an action does, where it was logged.

From logged states the recorded decisions are replayed twice, once with half a spread more action in every step. All
members of both halves start from the same rows. What is asked of them is only the sign of what becomes of each state
column: an optimiser that is wrong about it drives the plant the wrong way, however small the prediction error is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.policy.reward import Reward
from revive.venv.validation import judged_transitions
from revive.venv.virtual_env import VirtualEnv

STARTS = 64  # of each half
STEP = 0.5  # spreads of the action
NOTICEABLE = 0.05  # spreads of a column that an effect must reach to be asked about
MATTERS = 0.05  # spreads of the reward that half a spread of a column must be worth


@dataclass(frozen=True)
class SignOfEffect:
    """What the members say about one dimension of the action and one state column after `steps` steps.

    effect: mean size, in spreads of the column. within: share of the members that agree with most of their own half,
    from 0.5 to 1, weighted by the size of the effect; members that throw dice reach about 0.7. between: share of the
    starts, weighted likewise, at which the two halves agree.
    """

    action: str
    column: str
    steps: int
    effect: float
    within: float
    between: float


@torch.no_grad()
def signs_of_effects(
    venv: VirtualEnv, rows: Rows, target: str, reward: Reward, horizon: int
) -> list[SignOfEffect]:
    """Of every effect that is noticeable, on a column that the reward depends on; after 1 and `horizon` steps."""
    horizon = min(horizon, int(rows.lengths.max()))
    index, valid = rows.windows(_starts(venv, rows, horizon), horizon)
    data, past = rows.at(index), rows.past(index[0])
    before = venv.replay(data, past)
    found = []
    for action, moved in _moves(venv, target, data[target]):
        after = venv.replay({**data, target: moved}, past)
        for node in judged_transitions(venv, rows):
            layout, columns = venv.codec.layout(node), venv.codec[node].columns
            for dimension in range(layout.ordered):
                term = venv.codec[node].term_of_dimension[dimension]
                name = columns[venv.codec[node].terms[term]].name
                if not _counts(venv, rows, node, dimension, reward):
                    continue
                effect = (after[node] - before[node])[..., dimension]
                found += [
                    _agreement(venv, action, name, steps, effect[steps - 1], valid[steps - 1])
                    for steps in sorted({1, horizon})
                ]
    return [sign for sign in found if sign.effect >= NOTICEABLE]


def _starts(venv: VirtualEnv, rows: Rows, horizon: int) -> Tensor:
    """The same rows of both halves under every member, (M, B)."""
    picked = []
    for part in rows.parts:
        room = torch.arange(part.start, part.stop, device=rows.device)
        fits = room[rows.ends[room] - room >= horizon]
        fits = fits if len(fits) else room
        picked.append(fits[torch.linspace(0, len(fits) - 1, min(STARTS, len(fits))).long()])
    return torch.cat(picked).expand(venv.members, -1)


def _moves(venv: VirtualEnv, target: str, action: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Every dimension of an action (T, M, B, d) by itself: half a spread more, or the next value of a category."""
    layout, codec = venv.codec.layout(target), venv.codec[target]
    names = [codec.columns[i].name for i in codec.terms]
    for dimension in range(layout.ordered):
        moved = action.clone()
        moved[..., dimension] += STEP
        yield names[dimension], moved
    for (start, stop), name in zip(layout.blocks, names[layout.ordered :], strict=True):
        moved = action.clone()
        moved[..., start:stop] = action[..., start:stop].roll(1, dims=-1)
        yield name, moved


def _counts(venv: VirtualEnv, rows: Rows, node: str, dimension: int, reward: Reward) -> bool:
    """Whether the reward of logged rows changes with a state column, before or after the step."""
    index = torch.linspace(0, rows.count - 1, min(512, rows.count), device=rows.device).long()
    batch = rows.at(index.expand(venv.members, -1))
    batch = {name: value[:1] for name, value in venv.completed(batch).items()}
    moved = dict(batch)
    for name in (node, venv.graph.state_of(node)):
        if name in moved:
            moved[name] = batch[name].clone()
            moved[name][..., dimension] += STEP
    codec = venv.codec
    known = {name for name in batch if name in codec.nodes or name in venv.graph.nodes}
    before, after = (reward(codec.decode({n: v for n, v in b.items() if n in known})) for b in (batch, moved))
    spread = float(before.std()) if before.numel() > 1 else 0.0
    return float((after - before).abs().mean()) > MATTERS * spread


def _agreement(
    venv: VirtualEnv, action: str, column: str, steps: int, effect: Tensor, valid: Tensor
) -> SignOfEffect:
    """effect, valid: (M, B)."""
    by_half = (effect.nan_to_num(0.0) * valid).reshape(venv.halves, -1, effect.shape[-1])  # (halves, E, B)
    size = by_half.abs().sum()
    mean = by_half.mean(1)  # (halves, B)
    weight = mean.abs().sum(0)
    same = (mean[0] * mean[1] > 0).float()
    return SignOfEffect(
        action,
        column,
        steps,
        float(size / (valid.sum() or 1)),
        float(0.5 + 0.5 * (mean.abs().sum() * by_half.shape[1] / size.clamp_min(1e-12))),
        float((same * weight).sum() / weight.sum().clamp_min(1e-12)),
    )
