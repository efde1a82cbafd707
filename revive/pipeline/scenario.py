"""What a run's venv bundle carries beside the venv, so that it can be stepped by itself."""

from __future__ import annotations

from revive.data.scenario import Scenario, Source, logged_ranges, sampled
from revive.pipeline.context import TrainingContext
from revive.policy.horizon import trusted_steps
from revive.venv.validation import rollout_error
from revive.venv.virtual_env import VirtualEnv


def scenario_of(context: TrainingContext, venv: VirtualEnv) -> Scenario | None:
    """A sample of both halves' rows, the trusted horizon, the reward; None where the logs lack what a rollout needs."""
    inputs, chosen = context.inputs, context.settings.policy
    parts = (inputs.parts.train, inputs.parts.validation)
    task = inputs.task
    found = sampled([venv.graph, *([] if task is None else [task.graph])], parts)
    if found is None:
        return None
    errors = rollout_error(venv.to(context.device), context.rows(venv.codec, venv.graph))
    arrays, ends, begins = found
    return Scenario(
        arrays=arrays,
        ends=ends,
        begins=begins,
        longest=max(int(part.lengths.max()) for part in parts),
        trusted=max(1, trusted_steps(errors)) if errors.venv else None,
        targets=() if task is None else task.targets,
        seen=tuple(chosen.inputs) if task is not None and chosen.inputs else None,
        history=chosen.window,
        ranges=logged_ranges(venv.graph, parts),
        reward=None if task is None else Source(task.reward.path.name, task.reward.path.read_bytes()),
        worst=None if task is None else float(task.logged_reward.min()),
    )
