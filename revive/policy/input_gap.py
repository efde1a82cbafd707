"""What a logged column that the policy does not see would be worth to it: `policy_input_gap`.

To the decision is added `k (c - mean of c)` for one column c at a time, k on a grid on both sides of zero, and every
variant is rolled out from the same starts under the same noise. What the best of them gains, judged on starts that it
was not chosen by, is a lower bound of what learning with this column would gain: a straight line on top of a finished
policy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.policy.bounds import soft_clip
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.policy import Policy
from revive.venv.virtual_env import Actor

SLOPES = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)  # spreads of the action per spread of the column
MOST_COLUMNS, MOST_ACTIONS, STEPS, STARTS = 6, 3, 100, 16


@torch.no_grad()
def policy_input_gap(
    policy: Policy, world: EvaluationEnvironment, rows: Rows, graph: DecisionGraph, half: int
) -> list[dict[str, Any]]:
    """Best first: {column, node, action, slope, gain, error, certain} per step, of columns that the policy does not
    see.

    half: whose venv judges. slope: physical units of the action per unit of the column. gain: mean over members and the
    starts that did not choose the slope; error: its standard error over starts. certain: whether it is above two of
    them. rows: with all nodes of `graph`, the graph of the experiment.
    """
    seen = {policy.graph.source_of(name) for name in policy.inputs}
    unseen = [n for n in graph.leaves if n in rows.values and graph[n].history is None and n not in seen]
    unseen = [n for n in unseen if n not in (graph.step, graph.trajectory, graph.done)]
    layout = policy.layout
    found = []
    pairs = [
        (node, i, d)
        for node in unseen
        for i, column in enumerate(graph.columns(node))
        if column.type != "category"
        for d in range(min(layout.continuous, MOST_ACTIONS))
    ]
    if not pairs:
        return []
    short = _shortened(world)
    base = short.rewards(policy.actor())[world.venv.members_of(half)]  # (E, B)
    for node, i, d in pairs[: MOST_COLUMNS * MOST_ACTIONS]:
        found.append(_of_pair(policy, short, rows, node, i, d, half, base))
    best: dict[str, dict[str, Any]] = {}
    for entry in found:
        if entry["column"] not in best or entry["gain"] > best[entry["column"]]["gain"]:
            best[entry["column"]] = entry
    return sorted(best.values(), key=lambda entry: -entry["gain"])


def _shortened(world: EvaluationEnvironment) -> EvaluationEnvironment:
    steps, venv = min(world.horizon, STEPS), world.venv
    per_half = venv.members // venv.halves
    begin = [world.first[h * per_half][: 2 * STARTS] for h in range(venv.halves)]
    return EvaluationEnvironment.at(venv, world.rows, world.reward, begin, steps, seed=2)


def _of_pair(
    policy: Policy,
    world: EvaluationEnvironment,
    rows: Rows,
    node: str,
    column: int,
    dimension: int,
    half: int,
    base: Tensor,
) -> dict[str, Any]:
    many = world.repeated(len(SLOPES))
    actor = _with_column(policy, rows, node, column, dimension, world.first.shape[1])
    rewards = many.rewards(actor)[world.venv.members_of(half)]  # (E, slopes * B)
    gains = rewards.reshape(len(base), len(SLOPES), -1) - base.unsqueeze(1)
    by_start = gains.double().mean(0)  # (slopes, B)
    chooses = torch.arange(by_start.shape[1]) % 2 == 0
    best = int(by_start[:, chooses].mean(1).argmax())
    kept = by_start[best, ~chooses]
    gain, error = (
        float(kept.mean()),
        float(kept.std() / max(1, len(kept)) ** 0.5) if len(kept) > 1 else float("nan"),
    )
    names = policy.graph.columns(policy.target)
    action = names[policy.codec[policy.target].terms[dimension]]
    source = policy.codec[node]
    scale = float(policy.codec[policy.target].scale[dimension] / source.scale[source.dimensions(column)][0])
    own = policy.graph.columns(node)[column]
    return {
        "column": own.name,
        "node": node,
        "units": own.units,
        "action": action.name,
        "slope": SLOPES[best] * scale,
        "gain": gain,
        "error": error,
        "certain": gain > 2.0 * error,
    }


def _with_column(policy: Policy, rows: Rows, node: str, column: int, dimension: int, starts: int) -> Actor:
    """The policy plus a straight line in one column; branches `v * starts ..` have the slope v."""
    plain, width = policy.actor(), policy.codec.width(node)
    where = policy.codec[node].dimensions(column).start
    center = rows.values[node][:, where].mean()
    slopes = torch.tensor(SLOPES, device=policy.low.device).repeat_interleave(starts)

    def decide(x: Tensor) -> Tensor:
        own, extra = x[..., :-width], x[..., -width:]
        action = plain.decide(own).clone()
        moved = action[..., dimension] + slopes * (extra[..., where] - center)
        action[..., dimension] = soft_clip(moved, policy.low[dimension], policy.high[dimension])
        return action

    inputs = (*policy.inputs, node)
    graph = policy.graph.with_inputs(policy.target, inputs)
    return replace(plain, inputs=inputs, decide=decide, graph=graph, codec=policy.codec.for_graph(graph))
