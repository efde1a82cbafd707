"""What `summary.json` says about a policy: per step, per episode, with intervals, and how it behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from revive.data.windows import Rows
from revive.pipeline.context import Context
from revive.pipeline.problems import evaluation_environment
from revive.pipeline.stages import Learned
from revive.policy.conduct import Use, conduct
from revive.policy.constraints import Constraints
from revive.policy.episodes import (
    Episodes,
    episode_environment,
    episodes_of,
    has_episodes,
    logged_episodes,
    longest,
    play,
)
from revive.policy.evaluation import EvaluationEnvironment
from revive.policy.fqe import Logs, discounted_mean, fitted_q
from revive.policy.imitation import independent
from revive.policy.intervals import Interval, prediction
from revive.policy.problem import mean_terms, reward_of_rows
from revive.policy.simulator import Truth
from revive.report.summary import Estimate
from revive.venv.virtual_env import Actor, VirtualEnv


@dataclass(frozen=True)
class Appraisal:
    """figures: of `summary.json`. uses: how the policy behaves in the half that it did not learn in."""

    figures: dict[str, Any]
    uses: list[Use]


def appraise(
    context: Context, venv: VirtualEnv, rows: Rows, learned: Learned, truth: Truth | None
) -> Appraisal:
    """rows: both halves, with the histories that the policy sees."""
    world = evaluation_environment(context, venv, rows)
    actor = learned.policy.actor()
    rolled = world.roll(actor)
    ours, theirs = episodes_of(world, rolled, actor), play(world, None)
    halves, behaviour = ([_estimate(e.per_step, venv, h) for h in range(venv.halves)] for e in (ours, theirs))
    interval = foretold(world, ours.per_step, learned.half)
    figures: dict[str, Any] = {
        "predicted": {
            **halves[1 - learned.half].to_json(),
            "interval": {"low": interval.low, "high": interval.high},
        },
        "halves": [half.to_json() for half in halves],
        "behaviour": [half.to_json() for half in behaviour],
        **_of_policy(context, learned),
    }
    if truth is not None:
        figures["truth"] = {
            "mean": truth.mean,
            "se": truth.standard_error,
            "episodes": len(truth.rewards),
        }
    if context.settings.policy.evaluation.fqe.updates:
        figures["fqe"] = _by_the_logs(context, world, learned, ours, theirs)
    if task_limits := context.task.constraints:
        figures["constraints"] = _kept(task_limits, world, rolled, actor, learned.half, ours)
    if terms := _terms(world, rolled, actor, learned.half, ours):
        figures["terms"] = terms
    if has_episodes(rows, venv):
        figures["episodes"] = _per_episode(context, venv, rows, learned, truth)
    members = venv.members_of(1 - learned.half)
    uses = conduct(venv, rows, context.task.target, rolled, ours.alive, members)
    figures["conduct"] = [use.to_json() for use in uses]
    return Appraisal(figures, uses)


def _of_policy(context: Context, learned: Learned) -> dict[str, Any]:
    """Where the policy comes from."""
    return {
        "learned_in_half": learned.half,
        "iteration": learned.iteration,
        "inputs": list(learned.policy.inputs),
        "chosen": {
            "source": learned.source,
            "half": learned.half,
            "iteration": learned.iteration,
            "fallback": learned.fallback,
        },
        "compared": learned.compared,
        "horizon": learned.horizon,
        "learning": context.learning("policy"),
    }


def foretold(world: EvaluationEnvironment, values: Tensor, half: int) -> Interval:
    """The interval for the truth of `values` (M, B), foretold by the half that the policy did not learn in."""
    venv, other = world.venv, 1 - half
    own = float(values[venv.members_of(half)].double().mean())
    return prediction(values[venv.members_of(other)], own, independent(world, other))


def _terms(
    world: EvaluationEnvironment, rolled: dict[str, Tensor], actor: Actor, half: int, ours: Episodes
) -> dict[str, dict[str, float]]:
    """Named terms of the reward per step: in the logs, and of the policy in the half that it did not learn in."""
    codec = actor.codec or world.venv.codec
    logged = mean_terms(world.reward, codec, world.rows)
    found = world.reward.terms(codec.decode(rolled))
    members, alive = world.venv.members_of(1 - half), ours.alive
    return {
        name: {"logged": logged[name], "predicted": float((term * alive)[:, members].double().mean())}
        for name, term in found.items()
    }


def _kept(
    limits: Constraints,
    world: EvaluationEnvironment,
    rolled: dict[str, Tensor],
    actor: Actor,
    half: int,
    ours: Episodes,
) -> list[dict[str, Any]]:
    """The share of the steps that exceed each limit, in the logs and in the half the policy did not learn in."""
    exceeded = limits.exceeded((actor.codec or world.venv.codec).decode(rolled)) * ours.alive  # (L, T, M, B)
    members = world.venv.members_of(1 - half)
    steps = ours.alive[:, members].sum().clamp_min(1.0)
    shares = (exceeded[:, :, members].sum((1, 2, 3)) / steps).tolist()
    return [
        {"limit": limit.text, "logged": limit.logged, "predicted": share, "allowed": limits.allowed}
        for limit, share in zip(limits.limits, shares, strict=True)
    ]


def _by_the_logs(
    context: Context, world: EvaluationEnvironment, learned: Learned, ours: Episodes, theirs: Episodes
) -> dict[str, Any]:
    """Fitted Q evaluation of either half, beside what its venv says of the same starts in the same measure."""
    task, venv, chosen = context.task, world.venv, context.settings.policy.evaluation.fqe
    reward = reward_of_rows(world.rows, venv, task.graph, task.reward)
    logs = Logs(venv, world.rows, learned.policy, task.target, reward)
    members = [venv.members_of(half) for half in range(venv.halves)]
    starts = [world.first[of.start] for of in members]
    found = fitted_q(logs, starts, gamma=chosen.gamma, updates=chosen.updates, seed=context.settings.seed)
    told: dict[str, Any] = {"gamma": chosen.gamma, "half": 1 - learned.half}
    if isinstance(found, str):
        return {**told, "reason": found}
    told["halves"] = [
        {
            "policy": worth.policy,
            "logs": worth.logs,
            "venv_policy": float(discounted_mean(ours.of(of).reward, chosen.gamma).mean()),
            "venv_behaviour": float(discounted_mean(theirs.of(of).reward, chosen.gamma).mean()),
        }
        for worth, of in zip(found, members, strict=True)
    ]
    return told


def _per_episode(
    context: Context, venv: VirtualEnv, rows: Rows, learned: Learned, truth: Truth | None
) -> dict[str, Any]:
    task, steps = context.task, longest(rows, context.settings.policy.evaluation.episode)
    world = episode_environment(venv, rows, task.reward, steps=steps, seed=1)
    ours, theirs = play(world, learned.policy.actor()), play(world, None)
    logs = logged_episodes(rows, reward_of_rows(rows, venv, task.graph, task.reward), venv, steps)
    found = {
        "steps": steps,
        "count": len(rows.starts),
        "logs": logs.to_json(),
        "behaviour": _by_half(theirs, venv),
        "learned": _by_half(ours, venv),
        "predicted": foretold(world, ours.returns, learned.half).to_json(),
    }
    if truth is not None and len(truth.reward) >= steps:
        found["truth"] = truth.first(steps).to_json()
    return found


def _by_half(episodes: Episodes, venv: VirtualEnv) -> list[dict[str, float]]:
    return [episodes.of(venv.members_of(half)).to_json() for half in range(venv.halves)]


def _estimate(per_step: Tensor, venv: VirtualEnv, half: int) -> Estimate:
    return Estimate.of(per_step[venv.members_of(half)].cpu())
