"""REVIVE's parameter names: what they are called here, or why they have no counterpart.

A value of the table is the dotted key, a function of the value that gives keys and values, or (as plain text
that starts with `!`) why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from revive.errors import Problems

Translate = Callable[[Any], dict[str, Any]]

_NETWORK = "!the two halves share one network per node: set venv.network.hidden, policy.network.hidden"
_ADVERSARIAL = "!there is no adversarial learner; the venv is fitted by likelihood and through rollouts"
_PPO = "!the policy climbs the gradient through the venv; no PPO or SAC is in it"
_ALWAYS = "!always done"
_EPOCH = "!training counts updates, not epochs: {}"


def _curriculum(horizon: Any) -> dict[str, Any]:
    """Rollouts that grow up to the horizon, as many updates as by default."""
    last = int(horizon)
    steps = sorted({step for step in (5, 20, 50) if step < last} | {last})
    return {"venv.learner.curriculum": [[step, 300 // len(steps)] for step in steps] if last > 1 else []}


def _parallel(value: Any) -> dict[str, Any]:
    return {"search.concurrency": None if value in (None, "auto") else int(value)}


_SEARCHERS = {"random": "Random", "grid": "Grid", "zoopt": "Optuna", "bayes": "Optuna"}


def _searcher(value: Any) -> dict[str, Any]:
    name = _SEARCHERS.get(str(value), "Optuna")
    return {"search.sampler": f"revive.search.samplers.{name}Sampler"}


NAMES: dict[str, str | Translate] = {
    # data
    "global_seed": "seed",
    "val_split_ratio": "dataset.split.validation",
    "val_split_mode": "dataset.split.mode",
    "ignore_check": "!a finding of the data report is mended or accepted in the description",
    "data_workers": "!the whole data set is preloaded; there are no loader processes",
    # heads and inputs
    "continuous_distribution_type": "!continuous columns are Gaussian",
    "discrete_distribution_type": "!chosen by the type of the column",
    "category_distribution_type": "!chosen by the type of the column",
    "conditioned_std": lambda value: {"venv.network.std": "conditioned" if value else "constant"},
    "mixture": "!there are no mixture heads",
    "task": "!a ground truth is a Python file: simulator=FILE",
    "transition_mode": "!transitions predict the change of their state",
    # venv
    "venv_rollout_horizon": _curriculum,
    "venv_gpus_per_worker": "search.gpus_per_trial",
    "venv_metric": "!trials are compared by held-out rollout error",
    "venv_algo": "!one venv learner: venv.learner",
    "num_venv_store": "venv.keep",
    "num_venv_in_use": "!a policy is learned in all members that venv.keep leaves",
    "bc_batch_size": "venv.learner.batch_size",
    "bc_epoch": _EPOCH.format("venv.learner.one_step_updates"),
    "bc_lr": "venv.learner.lr",
    "bc_weight_decay": "venv.learner.weight_decay",
    "weight_decay": "venv.learner.weight_decay",
    "revive_batch_size": "venv.learner.window_batch",
    "revive_epoch": _EPOCH.format("venv.learner.curriculum"),
    "transition_hidden_features": _NETWORK,
    "transition_hidden_layers": _NETWORK,
    "transition_backbone": _NETWORK,
    "policy_backbone": _NETWORK,
    "policy_hidden_features": _NETWORK,
    "policy_hidden_layers": _NETWORK,
    "transition_activation": "venv.network.activation",
    "policy_activation": "policy.network.activation",
    # policy
    "policy_gpus_per_worker": "search.gpus_per_trial",
    "behavioral_policy_init": "!the policy always starts as a clone of the behaviour policy",
    "policy_bc_epoch": _EPOCH.format("policy.clone.updates"),
    "policy_algo": "!one policy learner: policy.learner",
    "test_gamma": "!policies are compared by mean reward per step",
    "test_horizon": "policy.evaluation.horizon",
    "policy_double_validation": _ALWAYS,
    "deterministic_test": _ALWAYS,
    "ppo_batch_size": "policy.learner.branches",
    "sac_batch_size": "policy.learner.critic_batch",
    "ppo_epoch": "policy.learner.iterations",
    "sac_epoch": "policy.learner.iterations",
    "ppo_rollout_horizon": "policy.horizon",
    "sac_rollout_horizon": "policy.horizon",
    "gae_gamma": "policy.learner.gamma",
    "gamma": "policy.learner.gamma",
    "gae_lambda": "policy.learner.td_lambda",
    "g_lr": "!ambiguous: venv.learner.lr or policy.learner.lr",
    "reward_uncertainty_weight": "policy.learner.caution",
    "w_kl": _PPO,
    "epsilon": _PPO,
    "ppo_runs": _PPO,
    "w_vl2": _PPO,
    "w_ent": _PPO,
    "action_steps": "!every action lasts one step",
    # parameter tuning
    "parameter_tuning_algorithm": "!choose it as tuning=auto, cma, gradient, optuna or random",
    "parameter_tuning_budget": "tuning.budget",
    "parameter_tuning_rollout_horizon": "tuning.horizon",
    # machine and search
    "use_gpu": lambda value: {"trainer.accelerator": "gpu" if value else "cpu"},
    "use_fp16": lambda value: {"trainer.precision": "16-mixed" if value else "32-true"},
    "parallel_num": _parallel,
    "workers_per_trial": "!a trial trains in one process",
    "venv_search_algo": _searcher,
    "policy_search_algo": _searcher,
    "train_venv_trials": "search.trials",
    "train_policy_trials": "search.trials",
    "global_checkpoint_period": "!every trial leaves a checkpoint as it goes",
    "reuse_actors": _ALWAYS,
    "verbose": "!there is one line per trial",
}
NAMES |= dict.fromkeys(
    ("matcher_pretrain_epoch", "d_lr", "d_steps", "g_steps", "matching_nodes", "matching_fit_nodes", "fintune",
     "finetune_fre", "matcher_hidden_features", "matcher_hidden_layers", "matcher_type", "matcher_sample",
     "mae_reward_weight", "history_matcher_num", "generator_type", "generator_algo", "generator_data_repeat"),
    _ADVERSARIAL,
)  # fmt: skip
_OF_ALGORITHM = {
    "venv": {"g_lr": "venv.learner.lr"},
    "policy": {
        "g_lr": "policy.learner.lr",
        "policy_hidden_features": _NETWORK,
    },
}


def translate(values: Mapping[str, Any], place: str = "", section: str | None = None) -> dict[str, Any]:
    """Dotted keys of ours for REVIVE's names; keys that are no name of REVIVE's stay as they are.

    section: venv or policy, for names that mean the learner of either. Raises UserError with every name that
    has no counterpart.
    """
    problems, found = Problems(), {}
    for name, value in values.items():
        key = _OF_ALGORITHM.get(section or "", {}).get(name) or NAMES.get(name, name)
        if callable(key):
            found.update(key(value))
        elif key.startswith("!"):
            problems.add(f"REVIVE's '{name}' has no counterpart", place=place or name, remedy=key[1:])
        else:
            found[key] = value
    problems.raise_if_any()
    return found


def from_file(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `revive_config_file_path`: our own keys (nested or dotted), or REVIVE's sections.

    `base_config` holds names and values; `venv_algo_config` and `policy_algo_config` hold those of an algorithm
    by its name. Either may be a list of entries with `name`, `default` and the range to search.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key == "base_config":
            found |= translate(_entries(value)[0], key)
        elif key in ("venv_algo_config", "policy_algo_config"):
            section = key.partition("_")[0]
            for algorithm, entries in value.items():
                plain, ranges = _entries(entries)
                found |= translate(plain, f"{key}.{algorithm}", section)
                for target, text in translate(ranges, f"{key}.{algorithm}", section).items():
                    found[f"{section}.space.{target.partition('.')[2]}"] = text
        elif isinstance(value, Mapping):
            found |= {f"{key}.{inner}": deep for inner, deep in from_file(value).items()}
        else:
            found |= translate({key: value})
    return found


def _entries(values: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values, and the ranges of what REVIVE searches, from a mapping or from a list of entries."""
    if isinstance(values, Mapping):
        return dict(values), {}
    plain = {entry["name"]: entry["default"] for entry in values if "default" in entry}
    ranges = {}
    for entry in values:
        bounds = entry.get("search_values")
        if bounds and entry.get("search_mode") in ("continuous", "grid"):
            kind = "uniform" if entry["search_mode"] == "continuous" else "choice"
            ranges[entry["name"]] = f"{kind}({', '.join(str(bound) for bound in bounds)})"
    return plain, ranges
