"""The two things that are learned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import torch

from revive.config.instantiate import instantiate
from revive.config.settings import Settings
from revive.data.codec import Codec
from revive.data.computed import known_values
from revive.data.windows import Rows, observed_range
from revive.deploy.bundle import check_bundle, read_policy, read_venv, save_policy, save_venv
from revive.errors import Problem, UserError
from revive.pipeline.context import Bench, Context
from revive.pipeline.resume import uses_other_venv, was_finished
from revive.policy.clone import clone_behaviour
from revive.policy.evaluation import TestBed
from revive.policy.learner import FirstOrderLearner
from revive.policy.policy import Policy, action_range
from revive.policy.starts import Starts, dead_time
from revive.tracking.base import StageTracker
from revive.tracking.lightning import StageLogger
from revive.training import fit
from revive.venv.learner import MultiStepLearner
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

Model = TypeVar("Model")


def learn_venv(context: Context) -> VirtualEnv | None:
    """Learn the virtual environment, or take the one that this run or another one learned before."""
    bundle = context.folder.path / "venv"
    if uses_other_venv(context.settings):
        return _earlier_venv(context)
    if context.folder.is_finished("venv"):
        context.terminal.note("venv: done before, taken as it is")
        return read_venv(bundle, context.given.code)
    if context.settings.venv.mode == "none":
        return None
    tuned = context.settings.venv.mode == "tune"
    with context.stage("venv") as records:
        venv = search_venv(context, records) if tuned else fit_venv(context, records)
        save_venv(venv, bundle, context.provenance)
        records.artifact(bundle)
    return venv


def venv_bundle(context: Context) -> Path:
    """Where the venv of this command lies, once there is one."""
    other = context.settings.venv_path if uses_other_venv(context.settings) else None
    return other or context.folder.path / "venv"


def require_venv(settings: Settings) -> None:
    """Raises UserError where learning a policy or tuning lacks a venv; nothing is written before."""
    learned = settings.venv.mode != "none" or settings.venv_path or was_finished(settings, "venv")
    wanted = settings.policy.mode != "none" or settings.tuning.mode != "none"
    if wanted and not learned:
        raise UserError(
            Problem(
                "venv.mode=none needs a venv that was learned before",
                place="venv_path",
                remedy="name its bundle, venv_path=RUN_FOLDER/venv, or the run that learned it, run_id=NAME",
            )
        )
    if settings.venv_path:
        check_bundle("venv", settings.venv_path)


def _take_over(venv: VirtualEnv, earlier: VirtualEnv | None) -> set[str]:
    """Copy the nodes of an earlier venv that have the same inputs and shape; returns their names.

    Raises UserError for a frozen node that cannot be taken from there.
    """
    taken = venv.take_over(earlier) if earlier is not None else set()
    frozen = [n for n in venv.graph.learned if venv.graph[n].freeze and n not in taken]
    if frozen:
        what = f"'{frozen[0]}' is to be kept as it was learned before, but no earlier venv holds it"
        raise UserError(
            Problem(what, place="nodes.freeze", remedy="name that venv: venv_path=RUN_FOLDER/venv")
        )
    return taken


def _earlier_venv(context: Bench, same_graph: bool = True) -> VirtualEnv | None:
    path = context.settings.venv_path
    if path is None:
        return None
    venv = read_venv(path, context.given.code)
    if same_graph and venv.graph != context.given.graph:
        raise UserError(Problem("this venv was learned for another decision flow graph", path))
    return venv


@dataclass(frozen=True)
class Fitting(Generic[Model]):
    """A learner that is ready to be trained, and what is made of it once it is."""

    stage: str
    learner: MultiStepLearner | FirstOrderLearner
    result: Callable[[], Model]

    @property
    def chunks(self) -> int:
        return len(self.learner.chunks)

    def train(self, bench: Bench, records: StageTracker, until: int | None = None) -> bool:
        """Train to the end, or through so many chunks; whether the end is reached."""
        machine = bench.settings.trainer
        return fit(
            self.learner,
            self.chunks,
            accelerator=machine.accelerator,
            devices=machine.devices,
            precision=machine.precision,
            checkpoint=bench.checkpoint(self.stage),
            logger=StageLogger(records),
            progress=partial(bench.watch, self.learner),
            until=until,
        )


def fit_venv(context: Bench, records: StageTracker) -> VirtualEnv:
    """Train all members of both halves and keep the best of each."""
    fitting = venv_fitting(context)
    fitting.train(context, records)
    assert isinstance(fitting.learner, MultiStepLearner)
    kept = {f"kept.{stage}": sum(members) / len(members) for stage, members in fitting.learner.kept.items()}
    records.metrics(kept)
    return fitting.result()


def venv_fitting(context: Bench) -> Fitting[VirtualEnv]:
    """The venv's learner, ready."""
    chosen, given = context.settings.venv, context.given
    earlier = _earlier_venv(context, same_graph=False)
    codec = Codec.fit(given.graph, known_values(given.parts.train))
    if earlier is not None:
        codec.adopt(earlier.codec)
    rows = context.rows(codec, given.graph)
    torch.manual_seed(context.settings.seed)
    spec = NetworkSpec.from_json(chosen.network.model_dump())
    scales = context.change_scales(rows, codec)
    venv = VirtualEnv(given.graph, codec, 2 * chosen.members, spec, scales, given.code)
    learner = instantiate(
        chosen.learner,
        "venv.learner",
        venv=venv,
        rows=rows,
        losses=given.losses,
        rule=given.rule,
        warm=_take_over(venv, earlier),
        seed=context.settings.seed,
    )
    assert isinstance(learner, MultiStepLearner)
    return Fitting("venv", learner, lambda: venv.subset(learner.best_members(chosen.keep)))


@dataclass(frozen=True)
class Learned:
    """A policy of one copy, and how it was chosen."""

    policy: Policy
    half: int
    iteration: int
    score: float

    def to_json(self) -> dict[str, float]:
        """How it was chosen, for beside its bundle."""
        return {"half": self.half, "iteration": self.iteration, "score": self.score}


def read_learned(bundle: Path) -> Learned:
    """A policy bundle with `chosen.json` in it."""
    return Learned(read_policy(bundle), **json.loads((bundle / "chosen.json").read_text(encoding="utf-8")))


def search_venv(context: Context, records: StageTracker) -> VirtualEnv:
    """The best venv of many trials."""
    from revive.pipeline.search import search  # knows this module

    return read_venv(search(context, "venv", records) / "venv", context.given.code)


def search_policy(context: Context, records: StageTracker) -> Learned:
    """The best policy of many trials."""
    from revive.pipeline.search import search

    return read_learned(search(context, "policy", records) / "policy")


def learn_policy(context: Context, venv: VirtualEnv) -> Learned | None:
    """Learn a policy in the virtual environment, or take the one that this run learned before."""
    bundle = context.folder.path / "policy"
    if context.folder.is_finished("policy"):
        context.terminal.note("policy: done before, taken as it is")
        return read_learned(bundle)
    if context.settings.policy.mode == "none":
        return None
    with context.stage("policy") as records:
        tuned = context.settings.policy.mode == "tune"
        learned = search_policy(context, records) if tuned else fit_policy(context, venv, records)
        save_policy(learned.policy, bundle, context.provenance)
        context.folder.write_json("policy/chosen.json", learned.to_json())
        records.artifact(bundle)
    return learned


def judging_bed(context: Bench, venv: VirtualEnv, rows: Rows) -> TestBed:
    """Where policies are compared: fixed starts and noise in both halves."""
    chosen = context.settings.policy.evaluation
    return TestBed.make(venv, rows, context.task.reward, starts=chosen.starts, horizon=chosen.horizon, seed=1)


def fit_policy(context: Bench, venv: VirtualEnv, records: StageTracker) -> Learned:
    """Train a policy in each half's venv and keep the better one."""
    fitting = policy_fitting(context, venv, records)
    fitting.train(context, records)
    return fitting.result()


def policy_fitting(context: Bench, venv: VirtualEnv, records: StageTracker) -> Fitting[Learned]:
    """The policy's learner, ready: a clone of the behaviour policy for each half's venv."""
    chosen, task, seed = context.settings.policy, context.task, context.settings.seed
    venv.requires_grad_(False)
    codec = venv.codec.for_graph(task.graph)
    rows = context.rows(codec, task.graph)
    ranges = observed_range(rows.values, (*venv.graph.states, task.target))
    low, high = action_range(venv.graph, codec, task.target, *ranges[task.target])
    torch.manual_seed(seed)
    spec = NetworkSpec.from_json({**chosen.network.model_dump(), "std": "constant"})
    policy = Policy(task.graph, codec, task.target, spec, venv.halves, low, high, chosen.noise)
    starts = Starts(venv, rows, ranges, chosen.starts.wide, chosen.starts.shuffled)
    delay = dead_time(venv, rows, task.target, task.reward)
    clone_behaviour(policy, venv, starts, **chosen.clone.model_dump(), seed=seed)
    learner = instantiate(
        chosen.learner,
        "policy.learner",
        policy=policy,
        venv=venv,
        reward=task.reward,
        starts=starts,
        bed=judging_bed(context, venv, rows),
        reward_spread=float(task.logged_reward.std()),
        reward_limit=float(task.logged_reward.max()),
        horizon=chosen.horizon or max(30, 5 * delay),
        seed=seed,
    )
    assert isinstance(learner, FirstOrderLearner)
    records.params({"dead_time": delay, "horizon": learner.horizon})

    def chosen_policy() -> Learned:
        best = learner.best()
        return Learned(policy.single(best.copy, best.weights), best.copy, best.iteration, best.score)

    return Fitting("policy", learner, chosen_policy)
