"""What REVIVE's parameters of a venv's algorithm are called here, learner by learner.

Which table counts follows from `venv_algo`, or from our own key `venv`; without either it is `multi_step`. So it is for
`revive_p`, REVIVE's own default, as long as nobody sets an option of its game: whoever says nothing but the name wants
what a server learns best, and that is `multi_step` here (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from revive.errors import Problem, UserError
from revive.server.names import NETWORKS, VENV, Entry, Why, above

USUAL_VENV = "multi_step"
USUAL_OF_REVIVE = "revive_p"
READ_AS_USUAL = (
    "venv_algo: revive_p, REVIVE's default, without an option of its own is read as venv=multi_step, whose rollouts "
    "err less; for REVIVE's game write venv=adversarial and venv.learner.generator=ppo"
)
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


def chosen(learner: str) -> Entry:
    """What `venv_algo` becomes where the venv is learned by `learner`, see `learner_of`."""
    return partial(_chosen, learner)


def _chosen(found: str, name: Any) -> dict[str, Any]:
    learner, generator = _ALGORITHMS[algorithm(name)]
    if read_as_usual(name, found):
        return {"venv": USUAL_VENV}
    return {"venv": learner, **({} if generator is None else {"venv.learner.generator": generator})}


def read_as_usual(name: Any, learner: str) -> bool:
    """Whether an algorithm of REVIVE is its default, and `learner` is what learns in its place."""
    return algorithm(name) == USUAL_OF_REVIVE and learner == USUAL_VENV


def learner_of(
    values: Mapping[str, Any], config: Mapping[str, Any], base: Mapping[str, Any], wished: Collection[str]
) -> str:
    """Who learns the venv: our key `venv` or REVIVE's venv_algo, in keyword arguments or else in the file.

    wished: the names that somebody gave a value which REVIVE does not write by itself.
    """
    for given in (values, config, base):
        if isinstance(given.get("venv"), str):
            return str(given["venv"])
        if given.get("venv_algo") is not None:
            name = algorithm(given["venv_algo"])
            return USUAL_VENV if name == USUAL_OF_REVIVE and not _of_game(wished) else _ALGORITHMS[name][0]
    return USUAL_VENV


def _of_game(wished: Collection[str]) -> bool:
    """Whether one of these names is an option that only the game of matchers and nodes has."""
    ours = any(name.startswith("venv.learner") for name in wished)
    return ours or any(name in _GAME for name in wished)


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
_GAME = frozenset(
    {
        *(
            n
            for n, entry in _ADVERSARIAL.items()
            if isinstance(VENV.get(n, _NO_PART), Why) and not isinstance(entry, Why)
        ),
        *("matcher_hidden_features", "matcher_hidden_layers"),
    }
) - {"loss_type", "gae_gamma", "gae_lambda", "ppo_runs"}
"""Options that only the game of a venv has; those that a policy's algorithm has as well say nothing of it."""
