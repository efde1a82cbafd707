"""The backtest: learn from some of the controllers in the logs, foretell what the others earned.

The only proof from logs alone that a venv can compare controllers. For every controller a venv is learned, by the
settings of the run, from the trajectories of all others. In it the controller, repeated from its own rows, is run
from the real first rows of its trajectories, and what it earns is held against what it earned in the logs. `replayed`
is the same with the recorded actions: where that is right and the controller's return is not, the repeated controller
is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from revive.config.settings import Settings
from revive.data.joint import with_joint
from revive.data.readers.column import label_of_rows
from revive.data.split import split
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows, observed_range
from revive.errors import Problem, UserError
from revive.pipeline.context import Context, TrainingContext
from revive.pipeline.inputs import Inputs
from revive.pipeline.logs import read_options
from revive.pipeline.problems import policy_venv
from revive.pipeline.stages import train, venv_learner
from revive.policy.controllers import fit_controller, pieces_by_behaviour, pieces_by_label
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.intervals import prediction
from revive.policy.policy import Policy, action_range
from revive.policy.problem import reward_of_rows
from revive.tracking.base import NullTracker
from revive.training import Learner
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

CLUSTERS = "clusters"
MOST_STEPS, MOST_STARTS, FEWEST_ROWS = 400, 64, 60
FILE = "backtest.json"


@dataclass(frozen=True)
class Question:
    """controllers: label -> its pieces of the logs (first row, row behind). by: a column, or `clusters`."""

    by: str
    controllers: dict[float, list[tuple[int, int]]]

    def to_json(self) -> dict[str, Any]:
        """What the answer depends on beside venv and data."""
        return {"by": self.by, "controllers": {f"{k:g}": v for k, v in self.controllers.items()}}


def prepare_backtest(settings: Settings, inputs: Inputs) -> Question | None:
    """The controllers that are to be held out one after the other; None where no backtest is asked for.

    Raises UserError where the logs do not hold two controllers that can be told apart, or there is no reward.
    """
    by = settings.backtest.controllers
    if by is None:
        return None
    place = "backtest.controllers"
    if inputs.task is None or inputs.task.decides is None:
        raise UserError(
            Problem(
                "a backtest needs a reward and a decision", place=place, remedy="backtest.controllers=null"
            )
        )
    logs = inputs.logs
    found = _by_behaviour(inputs) if by == CLUSTERS else pieces_by_label(logs, _label(settings, inputs, by))
    large = {k: v for k, v in found.items() if sum(b - a for a, b in v) >= FEWEST_ROWS}
    if len(large) < 2:
        what = f"the logs hold {len(large)} controller{'' if len(large) == 1 else 's'} of {FEWEST_ROWS} rows or more"
        how = "by how the trajectories act" if by == CLUSTERS else f"by '{by}'"
        remedy = (
            "name the column that tells them: backtest.controllers=COLUMN"
            if by == CLUSTERS
            else "name another column"
        )
        raise UserError(Problem(f"{what}, told {how}; a backtest needs two", place=place, remedy=remedy))
    most = sorted(large, key=lambda k: -sum(b - a for a, b in large[k]))[: settings.backtest.most]
    return Question(by, {k: large[k] for k in sorted(most)})


def _label(settings: Settings, inputs: Inputs, column: str) -> NDArray[np.float64]:
    for node in inputs.graph.nodes:
        for i, own in enumerate(inputs.graph.columns(node)):
            if column in (own.name, node) and node in inputs.logs.arrays and inputs.graph[node].is_leaf:
                return np.asarray(inputs.logs.arrays[node][:, i])
    source: Any = inputs.made if settings.dataset.path is None else settings.dataset.path
    return label_of_rows(source, column, inputs.logs, read_options(settings))


def _by_behaviour(inputs: Inputs) -> dict[float, list[tuple[int, int]]]:
    assert inputs.task is not None
    graph = inputs.task.graph
    arrays = with_joint(inputs.logs, graph).arrays
    seen = [
        arrays[graph.source_of(n)] for n in graph[inputs.task.target].inputs if graph.source_of(n) in arrays
    ]
    x, a = (np.asarray(v, dtype=np.float64) for v in (np.concatenate(seen, 1), arrays[inputs.task.target]))
    x, a = ((v - v.mean(0)) / np.maximum(v.std(0), 1e-9) for v in (x, a))
    return pieces_by_behaviour(inputs.logs, x, a)


@dataclass
class Fold(TrainingContext):
    """The training context of one venv of the backtest: nothing is kept of it but what it foretells."""

    parent: Context
    name: str

    def checkpoint(self, stage: str) -> Path:
        return self.parent.folder.path / "checkpoints" / f"{self.name}.ckpt"

    def watch(self, learner: Learner, done: int, total: int) -> None:
        self.parent.watch(learner, done, total)


def backtest(context: Context, question: Question | None) -> dict[str, Any]:
    """{by, rows: one per controller, rank, ordered}; empty where none is asked for.

    A row: {controller, trajectories, rows, logged, predicted {mean, low, high}, inside, replayed}, rewards per step.
    rank: Spearman's correlation of predicted and logged. ordered: the share of pairs that are put in the right order.
    """
    if question is None:
        return {}
    made_of = {**context.made_of["venv"], "backtest": str(question.to_json())}
    kept = context.folder.read_json(FILE) if context.folder.is_finished("backtest") else None
    if kept and context.folder.made_of("backtest") == made_of:
        context.terminal.note("backtest: done before, taken as it is")
        return kept  # type: ignore[no-any-return]
    with context.stage("backtest", made_of) as records:
        rows = [_held_out(context, question, label) for label in question.controllers]
        found = {"by": question.by, "rows": rows, **agreement(rows)}
        context.folder.write_json(FILE, found)
        records.artifact(context.folder.path / FILE)
    for row in rows:
        context.terminal.note(f"backtest  {_told(row)}")
    return found


def _told(row: dict[str, Any]) -> str:
    """One controller in a line."""
    foretold = row["predicted"]
    return (
        f"controller {row['controller']:g} earned {row['logged']:.4g} per step, foretold {foretold['mean']:.4g} "
        f"({foretold['low']:.4g} .. {foretold['high']:.4g})"
    )


def agreement(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Spearman's rank correlation, and the share of pairs in the right order."""
    logged = np.array([row["logged"] for row in rows])
    foretold = np.array([row["predicted"]["mean"] for row in rows])
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    right = [(logged[i] - logged[j]) * (foretold[i] - foretold[j]) > 0 for i, j in pairs]
    rank = float(spearmanr(logged, foretold).statistic) if len(rows) > 2 else None
    return {"rank": rank, "ordered": float(np.mean(right))}


def _held_out(context: Context, question: Question, label: float) -> dict[str, Any]:
    logs = context.inputs.logs
    held = logs.cut(question.controllers[label])
    others = logs.cut([piece for k, pieces in question.controllers.items() if k != label for piece in pieces])
    seed, chosen = context.settings.seed, context.settings.dataset.split
    parts = split(others, validation=0.5, mode="auto", gap=chosen.gap, seed=seed)
    inputs = replace(context.inputs, parts=parts)
    fold = Fold(context.settings, inputs, context, f"backtest_{label:g}")
    learner = venv_learner(fold)
    fold.checkpoint("venv").unlink(missing_ok=True)
    train(fold, "venv", learner, NullTracker(context.settings.log_dir, context.settings.experiment))
    fold.checkpoint("venv").unlink(missing_ok=True)
    return {"controller": label, **foretold(context, learner.result().requires_grad_(False), held)}


@torch.no_grad()
def foretold(context: Context, venv: VirtualEnv, held: Trajectories) -> dict[str, Any]:
    """What a controller would earn in a venv that never read its rows, and what it earned in them."""
    task, venv = context.task, policy_venv(context, venv)
    codec = venv.codec.for_graph(task.graph)
    rows = Rows.of(codec, task.graph, held, held).to(context.device)
    steps = min(int(held.lengths.max()), MOST_STEPS)
    starts = torch.as_tensor(held.starts)
    starts = starts[torch.linspace(0, len(starts) - 1, min(len(starts), MOST_STARTS)).long()]
    begin = [starts + part.start for part in rows.parts]
    world = EvaluationEnvironment.at(venv, rows, task.reward, begin, steps, seed=1)
    index, inside = rows.windows(world.first, steps)
    with torch.enable_grad():
        policy = _repeated(venv, rows, task.target, task.graph)
    actor = policy.actor(generator=torch.Generator(venv.device).manual_seed(2))
    predicted = _mean(world, world.roll(actor), inside)  # (M, B)
    data = rows.at(index)
    replayed = _mean(world, venv.replay(data, rows.past(world.first)), inside)
    row_reward = reward_of_rows(rows, venv, task.graph, task.reward)
    logged = (row_reward[index] * inside).sum(0)[0] / inside.sum(0)[0]
    interval = prediction(predicted, None, len(starts))
    earned = float(logged.double().mean())
    return {
        "trajectories": held.count,
        "rows": held.rows,
        "logged": earned,
        "predicted": interval.to_json(),
        "inside": interval.low <= earned <= interval.high,
        "replayed": float(replayed.double().mean()),
    }


def _mean(world: EvaluationEnvironment, rolled: dict[str, Tensor], inside: Tensor) -> Tensor:
    """Mean reward per step of every branch over the steps that the logs have: (M, B)."""
    codec = world.venv.codec.for_graph(world.venv.graph)
    reward = world.reward(codec.decode({name: rolled[name] for name in rolled if name in world.venv.graph}))
    alive = world.venv.alive(rolled)
    weight = inside.to(reward.dtype)
    return (reward * weight * (1.0 if alive is None else alive[:-1])).sum(0) / weight.sum(0)


def _repeated(venv: VirtualEnv, rows: Rows, target: str, graph: Any) -> Policy:
    """The held-out controller, fitted on its own rows."""
    codec = venv.codec.for_graph(graph)
    low, high = action_range(venv.graph, codec, target, *observed_range(rows.values, (target,))[target])
    torch.manual_seed(0)
    policy = Policy(graph, codec, target, NetworkSpec(hidden=(32, 32)), 1, low, high).to(venv.device)
    own = torch.arange(rows.parts[0].start, rows.parts[0].stop, device=rows.device)
    values = rows.at(own, (*policy.inputs, target))
    seen = torch.cat([values[name] for name in policy.inputs], -1)
    return fit_controller(policy, seen, values[target])
