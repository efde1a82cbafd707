"""What REVIVE's parameters of a venv's algorithm are called here, learner by learner.

Which table counts follows from `venv_algo`, or from our own key `venv`; without either it is `multi_step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revive.errors import Problem, UserError
from revive.server.names import NETWORKS, VENV, Entry, Why, above

USUAL_VENV = "multi_step"
_ALGORITHMS: dict[str, tuple[str, str | None]] = {
    "bc": ("bc", None),
    "revive_p": ("adversarial", "ppo"),
    "revive_f": ("adversarial", "ppo"),
    "revive_t": ("adversarial", "td3"),
}
_ALIASES = {"revive": "revive_p", "revivep": "revive_p", "revive_ppo": "revive_p", "revive_td3": "revive_t"}
_SINGLE = Why("behaviour cloning learns from single rows")
_NO_PART = Why("the game of matchers and nodes has no such part: docs/learners.md")


def algorithm(name: Any) -> str:
    """REVIVE's algorithm by any of its names. Raises UserError for one that there is not."""
    plain = str(name).lower()
    plain = _ALIASES.get(plain, plain)
    if plain not in _ALGORITHMS:
        possible = ", ".join(_ALGORITHMS)
        raise UserError(
            Problem(
                f"no algorithm of venvs is called '{name}'", place="venv_algo", remedy=f"possible: {possible}"
            )
        )
    return plain


def chosen(name: Any) -> dict[str, Any]:
    """The keys that `venv_algo` becomes."""
    learner, generator = _ALGORITHMS[algorithm(name)]
    return {"venv": learner, **({} if generator is None else {"venv.learner.generator": generator})}


def learner_of(values: Mapping[str, Any], config: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """Who learns the venv: our key `venv` or REVIVE's venv_algo, in keyword arguments or else in the file."""
    for given in (values, config, base):
        if isinstance(given.get("venv"), str):
            return str(given["venv"])
        if given.get("venv_algo") is not None:
            return _ALGORITHMS[algorithm(given["venv_algo"])][0]
    return USUAL_VENV


def _loss(value: Any) -> dict[str, Any]:
    return {"venv.learner.loss": "log_prob" if value in ("nll", "log_prob") else value}


def _clone_loss(value: Any) -> dict[str, Any]:
    return {"venv.learner.start.loss": _loss(value)["venv.learner.loss"]}


def _groups(value: Any) -> dict[str, Any]:
    if value in (None, "auto", [], ["auto"]):
        return {}
    return {"venv.learner.matchers": value if isinstance(value[0], list) else [value]}


def _mixed(value: Any) -> dict[str, Any]:
    return {} if value else {"venv.learner.replay": 0}


_BC: dict[str, Entry] = {**VENV, "g_lr": "venv.learner.lr", "revive_batch_size": _SINGLE, "loss_type": _loss}
_AT = "venv.learner.start"
_ADVERSARIAL: dict[str, Entry] = {
    **{
        name: _NO_PART if isinstance(entry, Why) and "matcher" in entry.reason else entry
        for name, entry in VENV.items()
    },
    "bc_batch_size": f"{_AT}.batch_size",
    "bc_epoch": above(0, f"{_AT}.one_step_updates", "the game always starts from a clone"),
    "bc_lr": f"{_AT}.lr",
    **dict.fromkeys(("bc_weight_decay", "weight_decay", "bc_l2_coef"), f"{_AT}.weight_decay"),
    "revive_batch_size": "venv.learner.windows",
    "g_lr": "venv.learner.lr",
    "d_lr": "venv.learner.matcher_lr",
    "g_steps": "venv.learner.generator_steps",
    "d_steps": "venv.learner.matcher_steps",
    **dict.fromkeys(("revive_epoch", "mail_epoch"), "venv.learner.iterations"),
    "matching_nodes": _groups,
    "matcher_loss_high": "venv.learner.pause_above",
    "matcher_loss_low": "venv.learner.pause_below",
    "mae_reward_weight": "venv.learner.mae_weight",
    **dict.fromkeys(("history_matcher_num", "matcher_record_len"), "venv.learner.history"),
    "history_matcher_save_epochs": "venv.learner.history_every",
    "gp_coef": "venv.learner.penalty",
    "mix_sample": _mixed,
    "ppo_runs": "venv.learner.ppo.epochs",
    "ppo_epsilon": "venv.learner.ppo.clip_ratio",
    "gae_gamma": "venv.learner.ppo.gamma",
    "gae_lambda": "venv.learner.ppo.gae_lambda",
    "value_lr": "venv.learner.ppo.value_lr",
    "td3_steps_per_epoch": "venv.learner.td3.updates",
    "buffer_size": Why("whole rollouts are remembered: venv.learner.td3.kept"),
    "fintune": Why("the likelihood always holds the game: venv.learner.anchor"),
    "finetune_fre": Why("the likelihood is a part of every update: venv.learner.anchor"),
    "generator_sup_cof": Why("the weight of the likelihood: venv.learner.anchor"),
    "loss_type": _clone_loss,
}

TABLES: dict[str, dict[str, Entry]] = {"multi_step": VENV, "bc": _BC, "adversarial": _ADVERSARIAL}
BASE_OF: dict[str, dict[str, Entry]] = {
    "bc": {"venv_rollout_horizon": _SINGLE, "bc_loss": _loss},
    "adversarial": {"venv_rollout_horizon": "venv.learner.horizon", "bc_loss": _clone_loss},
}
"""What stands otherwise in the table of everything else."""
NETWORKS_OF: dict[str, dict[str, str]] = {
    "adversarial": {**NETWORKS["venv"], "matcher": "venv.learner.hidden", "value": "venv.learner.ppo.hidden"}
}
