"""What a search came to, and how much too well it thinks of what it chose: the validation data against the test part.

A search reads the validation data again and again, so that what it chooses looks better there than it is. The test
part was read by nobody before.
"""

from __future__ import annotations

from typing import Any

from revive.data.windows import Rows
from revive.pipeline.context import Context
from revive.pipeline.problems import evaluation_environment, policy_venv
from revive.pipeline.stages import Learned
from revive.policy.evaluation import EvaluationEnvironment
from revive.search.trials import FILE, read_trials
from revive.venv.validation import RolloutError, rollout_error
from revive.venv.virtual_env import VirtualEnv


def search_summary(
    context: Context, venv: VirtualEnv, errors: RolloutError, learned: Learned | None
) -> dict[str, Any]:
    """Stage -> what `summary.json` says of its search; stages that were not searched are left out.

    errors: of the venv, on the halves.
    """
    found = {}
    for stage in ("venv", "policy"):
        folder = context.folder.path / "search" / stage
        if (folder / FILE).is_file():
            found[stage] = _of_trials(read_trials(folder), context.seconds.get(stage))
    if context.inputs.parts.test is None:
        return found
    if "venv" in found:
        found["venv"] |= _venv_optimism(context, venv, errors)
    if "policy" in found and learned is not None:
        found["policy"] |= _policy_optimism(context, venv, learned)
    return found


def _of_trials(book: dict[str, Any], wall: float | None) -> dict[str, Any]:
    trials = book["trials"]
    states = [trial["state"] for trial in trials]
    return {
        "metric": book["metric"],
        "trials": {state: states.count(state) for state in sorted(set(states))},
        "chosen": book["chosen"],
        "training_seconds": round(sum(trial["seconds"] for trial in trials), 1),
        "wall_seconds": wall,
    }


def _venv_optimism(context: Context, venv: VirtualEnv, errors: RolloutError) -> dict[str, Any]:
    """Mean absolute rollout error over both halves' members: on the other half, and on the test part."""
    test = context.inputs.parts.test
    assert test is not None
    unread = rollout_error(venv, Rows.of(venv.codec, venv.graph, test, test))
    steps = min(errors.horizon, unread.horizon)
    if not steps:
        return {}
    validation, tested = errors.mean_until(steps, None), unread.mean_until(steps, None)
    return {"validation": validation, "test": tested, "optimism": tested - validation, "steps": steps}


def _policy_optimism(context: Context, venv: VirtualEnv, learned: Learned) -> dict[str, Any]:
    """The gain over the logs' controller in the venv of the half that the policy did not learn in, reward per step:
    from states of that half, and from states of the test part."""
    test, graph = context.inputs.parts.test, context.task.graph
    assert test is not None
    venv = policy_venv(context, venv)
    codec = venv.codec.for_graph(graph)
    beds = {
        "validation": evaluation_environment(context, venv, context.rows(codec, graph)),
        "test": evaluation_environment(context, venv, Rows.of(codec, graph, test, test)),
    }
    gains = {name: _gain(bed, venv, learned) for name, bed in beds.items()}
    return {**gains, "optimism": gains["validation"] - gains["test"]}


def _gain(bed: EvaluationEnvironment, venv: VirtualEnv, learned: Learned) -> float:
    judges = venv.members_of(1 - learned.half)
    return float((bed.rewards(learned.policy.actor()) - bed.rewards(None))[judges].mean())
