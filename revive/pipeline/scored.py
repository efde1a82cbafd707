"""What policies earn in the simulator, for experiments that have one; nothing is chosen by it."""

from __future__ import annotations

from revive.pipeline.context import Context
from revive.policy.policy import Policy
from revive.policy.simulator import Truth


def scored(context: Context, policy: Policy) -> Truth | None:
    """A policy in plants that no log came from, the same ones for every policy; None without a simulator."""
    if context.inputs.truth is None:
        return None
    chosen, seed = context.settings.policy.truth, context.settings.seed + 1000
    return context.inputs.truth.score(
        policy, context.task.reward, episodes=chosen.episodes, steps=chosen.steps, seed=seed
    )


def scored_per_step(context: Context, policy: Policy) -> dict[str, float] | None:
    """{mean, se}: of the reward per step, steps after an end count as 0; steps: how many. None without a simulator."""
    truth = scored(context, policy)
    if truth is None:
        return None
    return {"mean": truth.mean, "se": truth.standard_error, "steps": len(truth.reward)}
