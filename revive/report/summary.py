"""The figures of a run, as `summary.json` holds them.

data.step_seconds  how long a step of the logs takes; null where they do not tell it. data.units: column -> unit
venv.rollout_mae, venv.persistence_mae   {"1", "10", "50", "100"}: mean absolute error over the first so many
    steps of open-loop rollouts on the validation half, by the members that learned from the training half,
    and by "nothing changes"; physical units, mean over all state columns. venv.other_half: the reverse.
venv.average_mae the same by "always the mean" of the half that was learned from
venv.at_step     {venv, persistence, average}: {"1", ...}: the error at that step, instead of the mean up to it
venv.columns     column -> the same over the longest horizon, one by one
venv.test        {rollout_mae: of either half's members, persistence_mae}, where a test part was kept aside
venv.parameters  node -> parameter of the user's function -> {value: mean over members, low, high: of the members,
    halves, start, min, max, units: as declared, at_bound: whether a member is next to one}; only where there are some
venv.learning    what the learner tried and why it stopped; policy.learning: likewise. Empty where a search did
policy.logged    mean reward per step of the logs
policy.predicted {mean, low, high}: of the learned policy in the venv of the half it did not learn in; low and
    high hold 90 % of all rollouts, over members and starts; interval {low, high}: what holds the true mean nine times
    in ten (revive/policy/intervals.py). Steps after a `done` count as 0
policy.halves    the same in each half's venv; policy.behaviour: of the logs' controller as learned
policy.truth     {mean, se, episodes} per step in the simulator, for experiments that have one
policy.episodes  where the logs hold several trajectories or `done`, from their real first rows: steps: of an episode at
    most; count: of trajectories; logs, behaviour [half, half], learned [half, half]: {return, length, ended: share that
    reached `done`}; predicted {mean, low, high}: the return in the other half's venv and the interval for the true one;
    truth {return, se, length, ended}
policy.fqe       what the logs alone say (revive/policy/fqe.py), per step, discounted by gamma: {gamma, half: the one
    that the policy did not learn in, halves [{policy, logs: fitted Q evaluation of it and of the logs' controller,
    venv_policy, venv_behaviour: the same measure in the venv from the same starts}]}; or reason: why they cannot
policy.compared  [{name, half: where it learned, taken, rewards [half [member]], gain [half], spread [half], truth}]:
    each learner's best policy under common random numbers, per step; gain and its spread over members are against the
    logs' controller; truth {mean, se, steps} in the simulator, over so many steps, or null
policy.constraints [{limit, logged, predicted: share of the steps that exceed it, in the half that the policy did not
    learn in, allowed}], where there are limits
policy.terms     where get_reward returns named terms: term -> {logged, predicted}, per step; predicted in the half that
    the policy did not learn in, steps after a `done` count as 0
policy.chosen    {source: the learner, half, iteration, fallback: why a clone was taken, else null}
policy.horizon   {steps, dead_time, settled, trusted, longest, given}: of training rollouts
policy.conduct   of the action's and the states' columns: {column, is_action, logged [low, high], visited [low, high],
    outside: share of the steps, moves: mean change per step over that of the logs, null for states and categories,
    limits: the declared ones or null, at_limits: share of the steps at each, fastest: the largest logged move where
    many are just as large, else null, faster: share of the steps that move further}
tuning           empty where nothing was tuned; else what `tuning.yaml` holds:
    mode, values {node: {column: value}}, columns {node: {column: {value, standard_error, as_good}}}: the
    standard error of the best value, null at an edge of the range, and other discrete values that do as well;
    reward {mean, low, high, members}: per step on fresh starts, its 95 % interval, every member's mean;
    logged: the same with the values that the logs held most; gain {mean, low, high}: of the paired difference;
    flat: directions in which the reward hardly changes, in words; judged: points; horizon: steps
search           stage -> how its hyper-parameters were searched, empty where they were not: metric, trials {state:
    count}, chosen (see `search/STAGE/trials.json`), training_seconds: of all trials, wall_seconds: of the stage;
    where a test part was kept aside also validation, test, optimism: of the venv the mean absolute rollout error of
    both halves' members over `steps` steps, of the policy the gain over the logs' controller per step
causal           what the logs say about cause and effect (revive/trust/card.py): grade, rows, blocks, false_alarms,
    rows_needed, skipped, cards [{action, output, grade, overlap, effect, low, high, ..., reasons, remarks}]
tipping          of each action and the outputs that it moves most (revive/policy/tipping.py): [{action, output, shares,
    gains: per step over the clone when so many times the effect are spurious, at: the share that cancels the gain or
    null, strength, product, reach, columns [{column, moves, response}], sentence}]; empty where a clone was taken
gate             {status: pass | warn | fail, reasons, overridden: accepted in spite of it (gate.override=true)}
backtest         empty where none was asked for; else what `backtest.json` holds: by, rows [{controller, trajectories,
    rows, logged, predicted {mean, low, high}, inside, replayed}] per step, rank, ordered (revive/pipeline/backtest.py)
verdicts         every reason not to believe the run: [{code, sentence, remedy, severity: distrust | caution}]
seconds          by stage; policy.NAME: of each learner of a pool
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # who reads a summary needs no torch
    from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A reward per step, and what holds 90 % of its spread."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, rewards: Tensor) -> Estimate:
        """rewards: any shape, one per rollout."""
        low, high = np.quantile(rewards.double().numpy(), [0.05, 0.95])
        return cls(float(rewards.double().mean()), float(low), float(high))

    def to_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Summary:
    """See the module's docstring for every field."""

    experiment: str
    run_id: str
    seed: int
    data: dict[str, Any]
    venv: dict[str, Any]
    policy: dict[str, Any]
    seconds: dict[str, float]
    tuning: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    backtest: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, str]] = field(default_factory=list)
    causal: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    tipping: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def figures(self) -> Iterator[tuple[str, float]]:
        """Every number that the table shows, with its place."""
        for name in ("rollout_mae", "persistence_mae", "average_mae", "at_step", "other_half"):
            yield from _numbers(f"venv.{name}", self.venv.get(name))
        for name in ("logged", "predicted", "halves", "behaviour", "truth", "episodes"):
            yield from _numbers(f"policy.{name}", self.policy.get(name))

    def metrics(self) -> dict[str, float]:
        """The figures that runs are compared by, flat: in the records, and by `revive compare`.

        What one compares first stands first, also where names are sorted: policy, then tuning, then venv.
        """
        found = {**self._of_policy(), **self._of_venv()}
        for stage, searched in self.search.items():
            if "optimism" in searched:
                found[f"{stage}.optimism"] = searched["optimism"]
        if self.tuning:
            found["tuning.reward"] = self.tuning["reward"]["mean"]
        found |= {f"seconds.{stage}": seconds for stage, seconds in self.seconds.items()}
        return {name: float(value) for name, value in found.items() if value is not None}

    def _of_policy(self) -> dict[str, float | None]:
        policy: dict[str, float | None] = {"policy.logged": self.policy.get("logged")}
        if "predicted" in self.policy:
            told, interval = self.policy["predicted"], self.policy["predicted"].get("interval", {})
            policy |= {
                "policy.predicted": told["mean"],
                "policy.predicted_low": interval.get("low"),
                "policy.predicted_high": interval.get("high"),
                "policy.gain": told["mean"] - self.policy["logged"],
                "policy.distrust": float(sum(v["severity"] == "distrust" for v in self.verdicts)),
                "policy.caution": float(sum(v["severity"] == "caution" for v in self.verdicts)),
            }
        if "truth" in self.policy:
            policy["policy.truth"] = self.policy["truth"]["mean"]
        if "halves" in self.policy.get("fqe", {}):
            fqe = self.policy["fqe"]
            policy["policy.fqe"] = fqe["halves"][fqe["half"]]["policy"]
        if "episodes" in self.policy:
            episodes = self.policy["episodes"]
            policy |= {
                "policy.logged_return": episodes["logs"]["return"],
                "policy.predicted_return": episodes["predicted"]["mean"],
                "policy.gain_return": episodes["predicted"]["mean"] - episodes["logs"]["return"],
                "policy.truth_return": episodes.get("truth", {}).get("return"),
            }
        return policy

    def _of_venv(self) -> dict[str, float | None]:
        """relative: over the error of "nothing changes". error: of a column over the longest horizon."""
        errors, still = self.venv["rollout_mae"], self.venv["persistence_mae"]
        relative = {
            steps: error / still[steps] if still.get(steps) else None for steps, error in errors.items()
        }
        return {
            **{f"venv.rollout_mae.{steps}": error for steps, error in errors.items()},
            **{f"venv.relative.{steps}": share for steps, share in relative.items()},
            **{
                f"venv.parameter.{node}.{name}": own["value"]
                for node, fitted in self.venv.get("parameters", {}).items()
                for name, own in fitted.items()
            },
            **{f"venv.error.{column}": of["venv"] for column, of in self.venv.get("columns", {}).items()},
        }


def _numbers(place: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        yield place, float(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{place}.{key}", inner)
    else:
        for i, inner in enumerate(value):
            yield from _numbers(f"{place}.{i}", inner)
