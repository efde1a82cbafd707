"""The tuning stage: the best constant values of the tunable nodes, in the virtual environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from revive.config.instantiate import instantiate
from revive.config.settings import Settings
from revive.data.windows import Rows
from revive.errors import Problem, UserError
from revive.graph.decision_graph import DecisionGraph
from revive.pipeline.context import Context
from revive.pipeline.inputs import Inputs
from revive.pipeline.problems import policy_venv
from revive.pipeline.resume import LEFT, digest, was_finished, weights_digest
from revive.pipeline.stages import Learned, venv_bundle
from revive.report import figures
from revive.report.tuning_figure import tuning as draw_tuning
from revive.runs import changes_between, leaves, write_yaml
from revive.tuning.initial import InitialState
from revive.tuning.methods import Method
from revive.tuning.result import Tuned
from revive.tuning.scene import Scene, logged_scene
from revive.tuning.space import Array, Space
from revive.tuning.tune import tune
from revive.venv.virtual_env import VirtualEnv

FILE = "tuning.yaml"


@dataclass(frozen=True)
class Question:
    """What is asked for, checked before anything is written."""

    space: Space
    method: Method
    initial: InitialState | None
    logged: dict[str, Array]
    reward: str  # of the file, its digest

    def asked(self, settings: Settings) -> dict[str, Any]:
        """What the answer depends on beside data and venv, as plain values."""
        chosen = settings.tuning.model_dump(mode="json", exclude={"initial_state"})
        initial = self.initial.digest() if self.initial else None
        ranges = {
            f"{d.node}.{d.column.name}": list(d.choices or (d.low, d.high)) for d in self.space.dimensions
        }
        return {
            **chosen,
            "initial_state": initial,
            "seed": settings.seed,
            "ranges": ranges,
            "reward": self.reward,
        }


def prepare_tuning(settings: Settings, inputs: Inputs) -> Question | None:
    """What tuning needs, or None where none is wanted. Raises UserError with what is wrong."""
    chosen = settings.tuning
    if chosen.mode == "none":
        return None
    parts = (inputs.parts.train, inputs.parts.validation)
    logged = {
        name: np.concatenate([_known(part.arrays[name], (part.missing or {}).get(name)) for part in parts])
        for name in inputs.graph.tunables
        if name in parts[0].arrays
    }
    space = Space.of(inputs.graph, logged)
    method: Method = instantiate(chosen.method, "tuning.method", settings.trust.targets)
    method.check(space)
    _require_policy(settings, inputs.graph)
    initial = chosen.initial_state
    state = None if initial is None else InitialState.of(inputs.graph, initial)
    assert settings.reward is not None  # `gather` asked for it
    return Question(space, method, state, logged, digest(settings.reward) or "")


def _known(values: Array, missing: np.ndarray | None) -> Array:
    return values if missing is None else np.where(missing, np.nan, values)


def _require_policy(settings: Settings, graph: DecisionGraph) -> None:
    if settings.tuning.decided_by == "policy" and not graph.decisions:
        what = "a policy is to decide, but the graph has no decision node"
        raise UserError(Problem(what, place="tuning.decided_by", remedy="write tuning.decided_by=behaviour"))
    there = settings.policy.mode != "none" or was_finished(settings, "policy")
    if settings.tuning.decided_by == "policy" and not there:
        what = "the learned policy is to decide, but policy.mode=none learns none"
        remedy = "write tuning.decided_by=behaviour, or let a policy be learned"
        raise UserError(Problem(what, place="tuning.decided_by", remedy=remedy))


def tune_parameters(
    context: Context, venv: VirtualEnv, learned: Learned | None, question: Question | None
) -> dict[str, Any]:
    """Tune, or take what this run found before for the same question; empty where nothing is asked."""
    if question is None:
        return {}
    folder, asked = context.folder, question.asked(context.settings)
    path, made_of = folder.path / FILE, _made_of(context, asked)
    if folder.is_finished("tuning") and not changes_between(folder.made_of("tuning") or {}, made_of):
        context.terminal.note("tuning: done before, taken as it is")
        earlier = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {key: value for key, value in earlier.items() if key != "settings"}
    if folder.is_finished("tuning"):
        folder.set_aside(["tuning"], LEFT)
    with context.stage("tuning", made_of) as records:
        tuned = _tune(context, venv, learned, question)
        found = tuned.to_json()
        write_yaml(path, {**found, "settings": asked})
        figure = draw_tuning(tuned, context.task.graph, question.logged)
        figures.save(figure, context.folder.figures / "tuning.png")
        records.params({**found["values"], "asked": asked})
        records.metrics(_measured(tuned))
        records.artifact(path)
        records.artifact(context.folder.figures / "tuning.png", "figures")
    context.terminal.note(_told(tuned))
    return found


def _made_of(context: Context, asked: dict[str, Any]) -> dict[str, Any]:
    """What the answer depends on: the question, the data, the venv and, where one decides, the policy."""
    decides = context.settings.tuning.decided_by == "policy"
    policy = weights_digest(context.folder.path / "policy") if decides else None
    return {
        **context.made_of.get("data", {}),
        **leaves({"tuning": asked}),
        "venv": weights_digest(venv_bundle(context)),
        "policy": policy,
    }


def _measured(tuned: Tuned) -> dict[str, float]:
    """What the records hold in numbers."""
    reward = tuned.reward
    found = {"reward": reward.mean, "reward.low": reward.low, "reward.high": reward.high}
    found |= {"reward.members_std": float(np.std(reward.members)), "judged": float(tuned.judged)}
    if tuned.gain is not None:
        found |= dict(zip(("gain", "gain.low", "gain.high"), tuned.gain, strict=True))
    for scan in tuned.scans:
        if scan.standard_error is not None:
            found[f"{scan.node}.{scan.column}.standard_error"] = scan.standard_error
    return found


def _tune(context: Context, venv: VirtualEnv, learned: Learned | None, question: Question) -> Tuned:
    chosen, graph = context.settings.tuning, context.task.graph
    venv = policy_venv(context, venv)
    rows = context.rows(venv.codec.for_graph(graph), graph)
    actor = learned.policy.requires_grad_(False).actor() if learned else None
    return tune(
        venv,
        context.task.reward,
        question.space,
        _scene(context, venv, rows, question, chosen.starts, fresh=False),
        _scene(context, venv, rows, question, chosen.confirm, fresh=True),
        direction="min" if chosen.mode == "min" else "max",
        method=question.method,
        budget=chosen.budget,
        caution=chosen.caution,
        actor=actor if chosen.decided_by == "policy" else None,
        seed=context.settings.seed,
        progress=lambda judged: context.watch(None, judged, chosen.budget),
    )


def _scene(
    context: Context, venv: VirtualEnv, rows: Rows, question: Question, branches: int, *, fresh: bool
) -> Scene:
    horizon, seed = context.settings.tuning.horizon, context.settings.seed + (2000 if fresh else 1)
    if question.initial is None:
        return logged_scene(venv, rows, branches=branches, horizon=horizon, seed=seed, fresh=fresh)
    usual = {name: values.median(0).values for name, values in rows.values.items()}
    graph = context.task.graph
    return question.initial.scene(venv, graph, draws=branches, horizon=horizon, seed=seed, usual=usual)


def _told(tuned: Tuned) -> str:
    lines = []
    for scan in tuned.scans:
        error = "" if scan.standard_error is None else f" (se {scan.standard_error:.2g})"
        if scan.by_member is not None:
            error += " members {:.4g} .. {:.4g}".format(*scan.by_member)
        lines.append(f"  {scan.node}.{scan.column} = {scan.best:.5g}{error}")
    reward = tuned.reward
    within = f"({reward.low:.4g} .. {reward.high:.4g}) over {tuned.horizon} steps"
    lines.append(f"  reward per step {reward.mean:.4g} {within}")
    if tuned.logged is not None:
        lines[-1] += f", with the logs' values {tuned.logged.mean:.4g}"
    return "\n".join([*lines, *(f"  flat: {direction}" for direction in tuned.flat)])
