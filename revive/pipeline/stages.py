"""The two things that are learned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from revive.config.instantiate import instantiate
from revive.config.settings import Settings
from revive.deploy.bundle import check_bundle, read_policy, read_venv, save_policy, save_venv
from revive.errors import Problem, UserError
from revive.pipeline.context import Context, TrainingContext
from revive.pipeline.envelope import envelope_of
from revive.pipeline.problems import earlier_venv, policy_problem, venv_problem
from revive.pipeline.resume import uses_other_venv, was_finished
from revive.pipeline.scenario import scenario_of
from revive.pipeline.scored import scored_per_step
from revive.pipeline.shortlist import adopt_shortlist, keep_shortlist
from revive.pipeline.trust import Certainty, certainty_of, tipping_of, venv_verdicts
from revive.policy.candidate import Candidate
from revive.policy.choice import Choice, Court, Score
from revive.policy.compared import compared
from revive.policy.imitation import replayed
from revive.policy.learners.base import PolicyLearner
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem
from revive.policy.verdicts import Verdict, first_distrust
from revive.report.tables import parameter_lines
from revive.tracking.base import StageTracker
from revive.tracking.lightning import StageLogger
from revive.training import Learner, fit
from revive.venv.first_principles import fitted_parameters
from revive.venv.learners.base import VenvLearner
from revive.venv.virtual_env import VirtualEnv

LOOKED_AT = 8  # candidates whose gain is asked for, before a clone is taken


def learn_venv(context: Context) -> VirtualEnv | None:
    """Learn the virtual environment, or take the one that this run or another one learned before."""
    bundle = context.folder.path / "venv"
    if uses_other_venv(context.settings):
        return earlier_venv(context)
    if context.folder.is_finished("venv"):
        context.terminal.note("venv: done before, taken as it is")
        return read_venv(bundle, context.inputs.code)
    if context.settings.venv.mode == "none":
        return None
    tuned = context.settings.venv.mode == "tune"
    with context.stage("venv") as records:
        venv = search_venv(context, records) if tuned else fit_venv(context, records)
        save_venv(venv, bundle, context.provenance, scenario=scenario_of(context, venv))
        records.artifact(bundle)
    for line in parameter_lines(fitted_parameters(venv)):
        context.terminal.note(line)
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


def train(
    context: TrainingContext, stage: str, learner: Learner, records: StageTracker, until: int | None = None
) -> bool:
    """Train to the end, or through so many rounds; whether the end is reached."""
    machine = context.settings.trainer
    return fit(
        learner,
        accelerator=machine.accelerator,
        devices=machine.devices,
        precision=machine.precision,
        checkpoint=context.checkpoint(stage),
        logger=StageLogger(records),
        progress=partial(context.watch, learner),
        until=until,
    )


def fit_venv(context: Context, records: StageTracker) -> VirtualEnv:
    """Train all members of both halves and keep the best of each."""
    learner = venv_learner(context)
    train(context, "venv", learner, records)
    notes = learner.notes()
    context.note_learning("venv", notes, records)
    size = "x".join(map(str, notes["hidden"])) or "linear"
    context.terminal.note(
        f"network  {size}, {notes['updates']} of at most {context.settings.venv.budget} updates: {notes['stopped']}"
    )
    return learner.result()


def venv_learner(context: TrainingContext) -> VenvLearner:
    """The venv's learner, ready."""
    problem = venv_problem(context)
    learner = instantiate(
        context.settings.venv.learner, "venv.learner", context.settings.trust.targets, problem=problem
    )
    return learner  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Learned:
    """A policy of one copy, and how it was chosen.

    half: in whose venv, or from whose rows, it learned. source: which learner made it, and which variant it is.
    fallback: why a clone of the logs' controller was taken, where that is so. verdicts: on the venv, passed before.
    horizon: of training rollouts, and what it follows from. tipping: how strong a hidden cause would cancel its gain.
    compared: each learner's best policy with every member (revive/policy/compared.py).
    """

    policy: Policy
    half: int
    iteration: int
    score: float
    source: str
    fallback: str | None
    verdicts: list[Verdict] = field(default_factory=list)
    horizon: dict[str, Any] = field(default_factory=dict)
    tipping: list[dict[str, Any]] = field(default_factory=list)
    shortlist: list[Score] = field(default_factory=list)  # for a trial on the plant; kept by `keep_shortlist`
    compared: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """How it was chosen, for beside its bundle."""
        return {
            "half": self.half,
            "iteration": self.iteration,
            "score": self.score,
            "source": self.source,
            "fallback": self.fallback,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "horizon": self.horizon,
            "tipping": self.tipping,
            "compared": self.compared,
        }


def read_learned(bundle: Path) -> Learned:
    """A policy bundle with `chosen.json` in it."""
    chosen = json.loads((bundle / "chosen.json").read_text(encoding="utf-8"))
    chosen["verdicts"] = [Verdict(**verdict) for verdict in chosen.get("verdicts", [])]
    return Learned(read_policy(bundle), **chosen)


def search_venv(context: Context, records: StageTracker) -> VirtualEnv:
    """The best venv of many trials."""
    from revive.pipeline.search import search  # knows this module

    return read_venv(search(context, "venv", records) / "venv", context.inputs.code)


def search_policy(context: Context, records: StageTracker) -> Learned:
    """The best policy of many trials."""
    from revive.pipeline.search import search

    trial = search(context, "policy", records)
    adopt_shortlist(trial, context.folder.path)
    return read_learned(trial / "policy")


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
        envelope = envelope_of(learned.policy, context.inputs.parts, context.settings.seed)
        save_policy(learned.policy, bundle, context.provenance, envelope=envelope)
        context.folder.write_json("policy/chosen.json", learned.to_json())
        if not tuned:
            keep_shortlist(context.folder.path, learned.shortlist, context.provenance)
        records.artifact(bundle)
    return learned


def fit_policy(context: Context, venv: VirtualEnv, records: StageTracker) -> Learned:
    """Train candidates in each half's venv and take one of them."""
    problem = policy_problem(context, venv)
    records.params(problem.horizon.to_json())
    context.terminal.note(f"horizon  {problem.horizon.told(context.inputs.logs.step_seconds)}")
    if not context.checkpoint("policy").exists():
        expected = _made(context, problem).seconds()
        context.terminal.note(f"policy   will take about {expected:.0f} s here")
    learner = _made(context, problem)
    train(context, "policy", learner, records)
    learned = chosen_policy(learner, partial(scored_per_step, context))
    context.note_learning("policy", learner.notes(), records)
    for name, seconds in learner.spent().items():
        context.note_seconds(f"policy.{name}", seconds)
    return learned


def chosen_policy(
    learner: PolicyLearner, scored: Callable[[Policy], dict[str, float] | None] = lambda policy: None
) -> Learned:
    """The best of a learner's candidates; the best clone where the venv is not to be trusted.

    scored: what a policy earns in the simulator, which is told and decides nothing.
    """
    court, candidates = Court(learner.problem), learner.candidates()
    replay = replayed(learner.problem)
    choice, doubtful = certain_choice(court, candidates, replay.clone_at_fault)
    promised = None if choice.fallback else choice.score.mean_gain
    verdicts = [*venv_verdicts(learner.problem, replay, promised), *doubtful]
    if distrust := first_distrust(verdicts):
        choice = court.choose(candidates, distrust)
    taken = choice.candidate
    return Learned(
        taken.policy,
        taken.half,
        taken.iteration,
        choice.score.pessimistic,
        taken.name,
        choice.fallback,
        verdicts,
        learner.problem.horizon.to_json(),
        tipping=[] if choice.fallback else tipping_of(learner.problem, taken),
        shortlist=court.shortlist(candidates, taken),
        compared=[line.to_json() for line in compared(court, candidates, taken, scored)],
    )


def certain_choice(
    court: Court, candidates: list[Candidate], clone_at_fault: bool
) -> tuple[Choice, list[Verdict]]:
    """The best candidate where its gain is certain; else of the next few whose gain is certain the one that gains at
    least the most; else the best whose gain is no reason to take a clone; else the best, with the verdicts on it."""
    looked_at: dict[str, tuple[Choice, Certainty]] = {}
    best = tried = court.choose(candidates, clone_at_fault=clone_at_fault)
    while not tried.fallback and len(looked_at) < LOOKED_AT:
        found = certainty_of(court.problem, tried.candidate, clone_at_fault)
        if tried is best and not found.doubts:
            return best, []
        looked_at[tried.candidate.key] = tried, found
        tried = court.choose(candidates, without=looked_at, clone_at_fault=clone_at_fault)
    certain = [(choice, found) for choice, found in looked_at.values() if not found.doubts]
    if certain:
        return max(certain, key=lambda pair: pair[1].low)[0], []
    told = [(choice, found.doubts) for choice, found in looked_at.values()]
    passing = (pair for pair in told if first_distrust(pair[1]) is None)
    return next(passing, next(iter(told), (best, [])))


def policy_learner(context: TrainingContext, venv: VirtualEnv) -> PolicyLearner:
    """The policy's learner, ready: it starts from a clone of the logs' controller for each half's venv."""
    return _made(context, policy_problem(context, venv))


def _made(context: TrainingContext, problem: PolicyProblem) -> PolicyLearner:
    """What the settings name; the same weights every time."""
    torch.manual_seed(problem.seed)
    learner = instantiate(
        context.settings.policy.learner, "policy.learner", context.settings.trust.targets, problem=problem
    )
    return learner  # type: ignore[no-any-return]
