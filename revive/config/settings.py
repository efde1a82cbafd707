"""What a composed config must look like, section by section. No defaults here: those live in conf/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from revive.config.fields import AnyPath, Count, Positive, RunId, Section, Share, Word
from revive.config.networks import NodeNetwork, OwnNetwork, PolicyNetwork
from revive.config.problems import problems_of
from revive.errors import Problems, UserError

MOST_THREADS = 256
USUAL_WINDOW = 16  # values that a recurrent policy runs over


class Split(Section):
    """How the data is divided into what is learned from, validated on, and kept aside."""

    mode: Literal["auto", "outside_traj", "inside_traj"]
    validation: Annotated[float, Field(gt=0, lt=1)]
    test: Annotated[float, Field(ge=0, lt=1)] | None
    gap: Annotated[int, Field(ge=0)]


class Dataset(Section):
    """Where the logs and their description lie."""

    path: AnyPath | None
    description: AnyPath | dict[str, Any] | None
    validation_path: AnyPath | None
    sha256: Annotated[str, Field(min_length=64, max_length=64)] | None
    index: Literal["ends", "starts"]
    table: dict[str, Any] | None
    trajectory: str | list[str] | None
    done: list[str] | None
    resets: str | None
    where: str | None
    time: str | None
    gap: Annotated[float, Field(gt=0)] | None
    missing: Literal["error", "mask"]
    missing_values: list[float | int] | dict[str, list[float | int]] | None
    resample: float | int | str | None
    resample_how: dict[str, str] | None
    ignore_check: bool
    proposals: Literal["apply", "ask"]
    split: Split


class Trainer(Section):
    """The machine that a run uses, in Lightning's words."""

    accelerator: Literal["cpu", "gpu"]
    devices: Annotated[int, Field(ge=1, le=64)]
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)]
    precision: Literal["32-true", "64-true", "16-mixed", "bf16-mixed"]


class Venv(Section):
    """How the virtual environment is learned; `learner` names a constructor and its arguments."""

    mode: Literal["tune", "once", "none"]
    members: Count
    keep: Count
    network: NodeNetwork
    nodes: dict[str, OwnNetwork]
    history: Annotated[int, Field(ge=1, le=10_000)]
    weights: dict[str, str]
    budget: Count
    user_module: AnyPath | None
    rules: AnyPath | None
    learner: dict[str, Any]
    space: dict[str, Any]

    @model_validator(mode="after")
    def _keep_some(self) -> Venv:
        if self.keep > self.members:
            raise ValueError(f"keep={self.keep} is more than members={self.members}")
        return self


class Clone(Section):
    """How the policy is started from the behaviour policy."""

    updates: Count
    batch: Count
    lr: Positive


class Starts(Section):
    """Where training rollouts start."""

    wide: Share
    shuffled: Share


class Fqe(Section):
    """How a policy is evaluated by the logs alone."""

    updates: Annotated[int, Field(ge=0)]
    gamma: Annotated[float, Field(gt=0, lt=1)]


class Evaluation(Section):
    """What policies are compared on."""

    starts: Count
    horizon: Count
    episode: Count | None
    fqe: Fqe


class Truth(Section):
    """How a finished policy is scored in the simulator."""

    episodes: Annotated[int, Field(gt=1)]
    steps: Count


class ConstraintSettings(Section):
    """Limits that a policy has to keep."""

    limits: list[str]
    allowed: Annotated[float, Field(ge=0, lt=1)]
    lr: Positive


class Policy(Section):
    """How a policy is learned; `learner` names a constructor and its arguments."""

    mode: Literal["tune", "once", "none"]
    target: str | list[str] | None
    inputs: list[str] | None
    history: Annotated[int, Field(ge=1, le=10_000)] | None
    action_repeat: Annotated[int, Field(ge=1, le=10_000)]
    network: PolicyNetwork
    clone: Clone
    starts: Starts
    horizon: Count | None
    budget: Count
    evaluation: Evaluation
    constraints: ConstraintSettings
    truth: Truth
    learner: dict[str, Any]
    space: dict[str, Any]

    @property
    def window(self) -> int:
        """Values of each input that the policy sees, the present one included."""
        return self.history or (USUAL_WINDOW if self.network.backbone == "gru" else 1)

    @model_validator(mode="after")
    def _runs_over_something(self) -> Policy:
        if self.network.backbone == "gru" and self.window == 1:
            raise ValueError(
                "a gru needs several values to run over: history=16, or history=null for as many"
            )
        return self


class Search(Section):
    """How hyper-parameters are searched where a mode is `tune`."""

    sampler: str | None
    trials: Count
    venv_trials: Count | None
    policy_trials: Count | None
    venv_metric: Literal["held_out_error", "other_half_error"]
    policy_metric: Literal["pessimistic_score", "pessimistic_gain", "mean_reward"]
    retrain: Annotated[int, Field(ge=0)]
    seeds: Count
    scheduler: Literal["asha", "fifo", "pbt"]
    grace: Annotated[int, Field(ge=1, lt=100)]
    reduction: Annotated[int, Field(ge=2)]
    interval: Annotated[int, Field(ge=1, lt=100)]
    quantile: Annotated[float, Field(gt=0, le=0.5)]
    concurrency: Count | None
    cpus_per_trial: Count
    gpus_per_trial: Annotated[float, Field(ge=0)]
    time_budget: Positive | None

    def trials_of(self, stage: Literal["venv", "policy"]) -> int:
        """How many settings of a stage are tried."""
        return (self.venv_trials if stage == "venv" else self.policy_trials) or self.trials

    def metric_of(self, stage: Literal["venv", "policy"]) -> str:
        """What the trials of a stage are compared by."""
        return self.venv_metric if stage == "venv" else self.policy_metric


class Ray(Section):
    """The Ray that the trials of a search run on."""

    enabled: bool
    address: str | None


class Tuning(Section):
    """How the tunable nodes are searched; `method` names a constructor and its arguments."""

    mode: Literal["max", "min", "none"]
    initial_state: AnyPath | dict[str, Any] | None
    decided_by: Literal["behaviour", "policy"]
    horizon: Count
    starts: Count
    confirm: Annotated[int, Field(gt=1)]
    budget: Count
    caution: Annotated[float, Field(ge=0)]
    method: dict[str, Any]


class Trust(Section):
    """Whose code may run: `targets` are classes outside this package that a `_target_` may name."""

    targets: list[str]


class GateSettings(Section):
    """What becomes of a run that may not be believed."""

    override: bool


class Backtest(Section):
    """Whether controllers in the logs are held out to see if the venv foretells what they earned."""

    controllers: str | None
    most: Annotated[int, Field(ge=2)]


class Settings(Section):
    """One experiment, composed and checked: all that a run depends on besides data and versions."""

    experiment: Word
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    log_dir: AnyPath
    run_id: RunId | None
    resume: Literal["auto", "fresh"]
    reward: AnyPath | None
    simulator: AnyPath | None
    venv_path: AnyPath | None
    report: bool
    backtest: Backtest
    dataset: Dataset
    venv: Venv
    policy: Policy
    tuning: Tuning
    search: Search
    ray: Ray
    trainer: Trainer
    tracking: dict[str, Any]
    trust: Trust
    gate: GateSettings

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Settings:
        """Read plain values, as YAML gives them.

        Raises:
            UserError: with every value that is missing, unknown or of the wrong kind.
        """
        try:
            text = json.dumps(dict(values), default=str)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits
            raise UserError(f"the config cannot be read: {str(error)[:200]}") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = Problems(problems_of(error))
            problems.raise_if_any()
            raise

    def as_dict(self) -> dict[str, Any]:
        """Plain values that YAML and JSON can hold."""
        return self.model_dump(mode="json")
