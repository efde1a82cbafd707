"""The sections of a config file of REVIVE: descriptions of parameters, with defaults and ranges to search."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from revive.errors import Problem, Problems, UserError

# What REVIVE writes into every config is no wish; of its base_config all but these counts.
USUAL: dict[str, tuple[Any, ...]] = {
    "bc_lr": (1e-3,), "bc_weight_decay": (1e-4,), "weight_decay": (1e-4,), "revive_batch_size": (1024,),
    "g_lr": (4e-5, 1e-4), "transition_activation": ("leakyrelu",), "policy_activation": ("leakyrelu",),
    "policy_hidden_activation": ("leakyrelu",), "ppo_batch_size": (256,), "sac_batch_size": (1024,),
    "ppo_epoch": (200,), "sac_epoch": (200,), "sac_steps_per_epoch": (200,), "ppo_rollout_horizon": (100,),
    "sac_rollout_horizon": (20,), "reward_uncertainty_weight": (0,), "bc_batch_size": (256,),
    "policy_hidden_features": (256,), "transition_hidden_features": (256,), "policy_hidden_layers": (4,),
    "transition_hidden_layers": (3, 4), "value_hidden_features": (256,), "value_hidden_layers": (4,),
    "q_hidden_features": (256,), "q_hidden_layers": (2, 4), "ppo_runs": (2,), "epsilon": (0.2,), "w_ent": (0.0,),
    "d_lr": (6e-4,), "g_steps": (1,), "d_steps": (1,), "revive_epoch": (5000, 1000), "bc_epoch": (0,),
    "mae_reward_weight": (0.25,), "matcher_loss_high": (1.2,), "matcher_loss_low": (0.3,), "ppo_epsilon": (0.2,),
    "history_matcher_num": (0,), "history_matcher_save_epochs": (100,), "matcher_hidden_features": (256,),
    "matcher_hidden_layers": (4,), "policy_backbone": ("res",), "transition_backbone": ("res",),
    "matcher_type": ("res",),
    "policy_normalization": (None, "None", "ln"), "transition_normalization": (None, "None", "ln"),
    "td3_steps_per_epoch": (10,), "transition_mode": ("global",), "generator_type": ("res",),
    "generator_sup_cof": (0,),
    "gae_gamma": (0.99,), "gae_lambda": (0.95,), "gamma": (0.99,), "polyak": (0.99, 0.995), "batch_ratio": (1.0,),
}  # fmt: skip
USUAL_RANGES: dict[str, tuple[tuple[Any, ...], ...]] = {
    "g_lr": ((1e-6, 1e-4), (1e-6, 1e-3)), "d_lr": ((1e-6, 1e-3),), "bc_weight_decay": ((1e-5, 1e-3),),
    "g_steps": ((1, 3, 5),), "d_steps": ((1, 3, 5),), "policy_hidden_layers": ((3, 4, 5),),
    "policy_backbone": (("mlp", "res"),),
}  # fmt: skip
_DECADE = 10.0


def domain(mode: str, bounds: list[Any]) -> str:
    """A range to search, as our search spaces write it: evenly over orders of magnitude where it spans some."""
    if mode == "grid":
        return f"choice({', '.join(str(bound) for bound in bounds)})"
    low, high = bounds
    wide = low > 0 and high / low >= _DECADE
    return f"{'loguniform' if wide else 'uniform'}({low}, {high})"


def described(values: Any, place: str) -> tuple[dict[str, Any], dict[str, tuple[str, list[Any]]]]:
    """Values, and the ranges of what is searched, from a mapping or from a list of REVIVE's descriptions.

    Raises UserError for what is neither. place: in the file, for messages.
    """
    if isinstance(values, Mapping):
        return dict(values), {}
    problems = Problems()
    if not isinstance(values, list):
        raise UserError(Problem("must be names with values, or a list of descriptions", place=place))
    for i, entry in enumerate(values):
        if not isinstance(entry, Mapping) or "name" not in entry:
            problems.add("is no description of a parameter: it has no name", place=f"{place}[{i}]")
    problems.raise_if_any()
    plain = {entry["name"]: entry["default"] for entry in values if "default" in entry}
    ranges = {
        entry["name"]: (entry["search_mode"], _bounds(entry, f"{place}.{entry['name']}"))
        for entry in values
        if entry.get("search_values") and entry.get("search_mode") in ("continuous", "grid")
    }
    return plain, ranges


def _bounds(entry: Mapping[str, Any], place: str) -> list[Any]:
    """The values to search, a list or the text of one: two numbers, or the points of a grid."""
    values = entry["search_values"]
    if isinstance(values, str):
        try:
            values = ast.literal_eval(values)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            values = None
    listed = isinstance(values, list | tuple) and bool(values)
    ordered = listed and len(values) == 2 and all(isinstance(v, int | float) for v in values)
    if not listed or (entry["search_mode"] == "continuous" and not (ordered and values[0] < values[1])):
        wanted = "[low, high]" if entry["search_mode"] == "continuous" else "a list of values"
        what = f"search_values is {entry['search_values']!r}"
        raise UserError(Problem(what, place=place, remedy=f"wanted: {wanted}"))
    return list(values)
