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
from revive.server.entries import AS_HERE, Entry, Turned, Why, above, only
from revive.server.names import NETWORKS, VENV

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
    return Turned(partial(_chosen, learner), "see *Learners of the venv* above")


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


_LOSSES = {"nll": "log_prob", "log_prob": "log_prob", "mae": "mae", "mse": "mse"}


def _loss(key: str) -> Turned:
    """The loss of the clone; a word that is none of REVIVE's is left to the checks of our own key."""
    return Turned(lambda value: {key: _LOSSES.get(value, value)}, f"`{key}`; `nll` -> `log_prob`")


def _groups(value: Any) -> dict[str, Any]:
    if value in (None, "auto", [], ["auto"]):
        return {}
    return {"venv.learner.matchers": value if isinstance(value[0], list) else [value]}


_MATCHERS = Turned(
    _groups, f"`venv.learner.matchers`, one for each list; `auto`: {AS_HERE}, one that sees everything"
)
_REPLAY = Turned(
    lambda value: {} if value else {"venv.learner.replay": 0},
    f"true: {AS_HERE}, half of the false rows are of the last `venv.learner.replay` rollouts; false: `replay=0`",
)
_HELD = Why("the likelihood always holds the game: venv.learner.anchor")
_ANCHOR = Turned(
    lambda value: {"venv.learner.anchor": [float(value)] * 2} if float(value) > 0 else _HELD,
    "`venv.learner.anchor` where above 0",
    _HELD,
)
_JUDGES = Why("a matcher judges all that it sees: venv.learner.matchers")
_EVERY = "the likelihood is a part of every update: venv.learner.anchor"
_AUTO: tuple[Any, ...] = (None, "auto", [], ["auto"])


def _trajectories(single: dict[str, Any] | Why, windows: dict[str, Any] | Why, told: str) -> Turned:
    """`venv_train_dataset_mode` of a learner."""
    return Turned(lambda value: single if value == "transition" else windows, told)


_BC: dict[str, Entry] = {
    **VENV,
    "g_lr": "venv.learner.lr",
    "revive_batch_size": _SINGLE,
    "loss_type": _loss("venv.learner.loss"),
}
_AT = "venv.learner.start"
_PRICES = (
    "ppo_l2norm_cof", "ppo_entropy_cof", "generator_l2_norm_coef", "value_l2_norm_coef", "matcher_l2_norm_coeff",
    "discr_ent_coef", "matcher_loss_length",
)  # fmt: skip
_KINDS = {
    **{"mlp": "mlp", "res": "residual", "transformer": "transformer", "ft_transformer": "transformer"},
    **{"rnn": "gru", "gru": "gru", "contextual_gru": "gru", "lstm": "lstm", "contextual_lstm": "lstm"},
}
_NO_KIND = Why(f"of the kinds of matchers here are {', '.join(dict.fromkeys(_KINDS.values()))}")
_KIND = Turned(
    lambda value: {"venv.learner.matcher_backbone": _KINDS[value]} if value in _KINDS else _NO_KIND,
    "`venv.learner.matcher_backbone`: `mlp`, `res` -> `residual`, `transformer`, `ft_transformer` -> `transformer`, "
    "`rnn`, `gru`, `contextual_gru` -> `gru`, `lstm`, `contextual_lstm` -> `lstm`",
    _NO_KIND,
)
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
    "matching_nodes": _MATCHERS,
    "matcher_loss_high": "venv.learner.pause_above",
    "matcher_loss_low": "venv.learner.pause_below",
    "mae_reward_weight": "venv.learner.mae_weight",
    **dict.fromkeys(("history_matcher_num", "matcher_record_len"), "venv.learner.history"),
    "history_matcher_save_epochs": "venv.learner.history_every",
    "gp_coef": "venv.learner.penalty",
    "mix_sample": _REPLAY,
    "mix_sample_ratio": only(0.5, "half of the false rows are of earlier rollouts"),
    "ppo_runs": "venv.learner.ppo.epochs",
    "ppo_epsilon": "venv.learner.ppo.clip_ratio",
    "gae_gamma": "venv.learner.ppo.gamma",
    "gae_lambda": "venv.learner.ppo.gae_lambda",
    "value_lr": "venv.learner.ppo.value_lr",
    "td3_steps_per_epoch": "venv.learner.td3.updates",
    "buffer_size": Why("whole rollouts are remembered: venv.learner.td3.kept"),
    "generator_algo": only("ppo", "venv.learner.generator names it"),
    "generator_data_repeat": only(1, "more rollouts at a time: venv.learner.windows"),
    "matcher_pretrain_epoch": only(
        0, "matchers learn as long as the generator does: venv.learner.matcher_steps"
    ),
    "matching_fit_nodes": Turned(
        lambda value: {} if value in _AUTO else _JUDGES, f"`auto`: {AS_HERE}", _JUDGES
    ),
    "state_nodes": Turned(
        lambda value: {} if value in _AUTO else _NO_PART, f"`auto`: {AS_HERE}, all nodes", _NO_PART
    ),
    "matcher_type": _KIND,
    "birnn": only(False, "a matcher reads its window once, oldest step first"),
    "matcher_sample": only((1, True), "matchers learn from venv.learner.batch rows at a time"),
    "fix_std": Why("nodes keep their own noise in the game; it belongs to the likelihood alone"),
    **dict.fromkeys(
        ("matcher_normalization", "value_normalization", "std_adapt_strategy"),
        only((None, "None", False), _NO_PART.reason),
    ),
    **dict.fromkeys(
        ("matcher_activation", "value_activation"), only("swish", "matchers and values have silu")
    ),
    **dict.fromkeys(_PRICES, only(0, _NO_PART.reason)),
    **dict.fromkeys(("fintune", "finetune_fre"), only((1, True), _EVERY)),
    "generator_sup_cof": _ANCHOR,
    "loss_type": _loss("venv.learner.start.loss"),
}

TABLES: dict[str, dict[str, Entry]] = {"multi_step": VENV, "bc": _BC, "adversarial": _ADVERSARIAL}
BASE_OF: dict[str, dict[str, Entry]] = {
    "bc": {
        "venv_rollout_horizon": _SINGLE,
        "bc_loss": _loss("venv.learner.loss"),
        "venv_train_dataset_mode": _trajectories({}, _SINGLE, f"`transition`: {AS_HERE}; `trajectory`: none"),
    },
    "adversarial": {
        "venv_rollout_horizon": "venv.learner.horizon",
        "bc_loss": _loss("venv.learner.start.loss"),
        "venv_train_dataset_mode": _trajectories(
            {"venv.learner.horizon": 1},
            {},
            f"`trajectory`: {AS_HERE}; `transition`: `venv.learner.horizon=1`",
        ),
    },
}
"""What stands otherwise in the table of everything else."""
NETWORKS_OF: dict[str, dict[str, str]] = {
    "adversarial": {**NETWORKS["venv"], "matcher": "venv.learner.hidden", "value": "venv.learner.ppo.hidden"}
}
_TURNED = ("matching_nodes", "matcher_type", "mix_sample", "generator_sup_cof")
_GAME = frozenset(
    {
        *(
            name
            for name, entry in _ADVERSARIAL.items()
            if isinstance(VENV.get(name, _NO_PART), Why) and (isinstance(entry, str) or name in _TURNED)
        ),
        *("matcher_hidden_features", "matcher_hidden_layers"),
    }
) - {"loss_type", "gae_gamma", "gae_lambda", "ppo_runs"}
"""Options that only the game of a venv has; those that a policy's algorithm has as well say nothing of it."""
