"""REVIVE's parameter names: what they are called here, or why they have no counterpart.

An entry is the dotted key of ours; a `Why`; or a function of the value that gives keys and values, or a `Why`. Names
that mean another thing in the venv's algorithm than in the policy's stand in a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from revive.errors import Problem, UserError


@dataclass(frozen=True)
class Why:
    """Why a name has no counterpart, or none for its value; a clause."""

    reason: str


Section = Literal["base", "venv", "policy"]
LEARNERS = ("ppo", "sac", "auto", "first_order", "td3_bc", "iql", "awac", "edac", "clones")
"""Learners of the policy: REVIVE's two by its names, then those that it does not have."""
Entry = str | Why | Callable[[Any], "dict[str, Any] | Why"]

ADVERSARIAL = Why("no matcher judges the venv: it is fitted by likelihood and then through rollouts")
DOUBT = Why(
    "where policies are compared, a standard deviation over the members is taken off their gain, and more for what "
    "the members disagree about more than about the logs' controller"
)
SHAPE = Why("every network is a linear map plus a small network; its size is network.hidden")
RECURRENT = Why("there are no recurrent networks; write history: k at a node of the description")
ALWAYS = Why("always done")
CPU = Why("everything runs on the CPU: the networks are small, and a trial has cpus_per_trial of them")
DRAWN = Why("pictures are drawn once, at the end, and lie in the folder figures of the run")
JUDGED = Why("the report always holds the rollout error by horizon and by column")
EPOCHS = Why(
    "adversarial epochs say nothing of updates: venv.learner.one_step_updates and curriculum count those"
)


def _curriculum(horizon: Any) -> dict[str, Any]:
    last = int(horizon)
    stages = [[steps, updates] for steps, updates in ((5, 50), (20, 100), (50, 100)) if steps < last]
    return {"venv.learner.curriculum": [*stages, [last, 50]] if last > 1 else []}


def _only(usual: Any, why: str) -> Callable[[Any], dict[str, Any] | Why]:
    """What is done here anyway, where the value is `usual`."""
    names = usual if isinstance(usual, tuple) else (usual,)
    return lambda value: {} if value in names else Why(why)


def above(least: int, key: str, why: str) -> Callable[[Any], dict[str, Any] | Why]:
    """The key, where the value is larger than `least`."""
    return lambda value: {key: int(value)} if value is not None and int(value) > least else Why(why)


def _choice(name: str, key: str, values: Mapping[Any, Any]) -> Callable[[Any], dict[str, Any]]:
    def chosen(value: Any) -> dict[str, Any]:
        if value not in values:
            options = ", ".join(str(option) for option in values)
            raise UserError(Problem(f"is {value!r}", place=name, remedy=f"possible: {options}"))
        return {key: values[value]}

    return chosen


def _kept(value: Any) -> dict[str, Any] | Why:
    if int(value) <= 1:
        return Why("there is always an ensemble: venv.keep members of each half")
    return {"venv.keep": int(value), "venv.members": max(7, int(value) + 2)}


def _parallel(value: Any) -> dict[str, Any]:
    return {"search.concurrency": None if value in (None, "auto") else int(value)}


def activation(key: str) -> Callable[[Any], dict[str, Any] | Why]:
    ours = {"relu": "relu", "tanh": "tanh", "gelu": "gelu", "swish": "silu"}
    why = Why(f"of the activations here are silu, tanh, relu and gelu: {key}")
    return lambda value: {key: ours[value]} if value in ours else why


def _backbone(value: Any) -> dict[str, Any] | Why:
    ours = {
        "mlp": "mlp",
        "res": "residual",
        "gru": "gru",
        "lstm": "lstm",
        "contextual_gru": "gru",
        "transformer": "transformer",
    }
    ours["ft_transformer"] = "transformer"
    known = ", ".join(sorted(set(ours.values())))
    return (
        {"venv.network.backbone": ours[value]} if value in ours else Why(f"of the backbones here are {known}")
    )


def _norm(value: Any) -> dict[str, Any] | Why:
    if value in (None, "None", False):
        return {}
    return (
        {"venv.network.norm": "layer"}
        if value == "ln"
        else Why("layers are normalised by row, never by batch")
    )


def _head(value: Any) -> dict[str, Any] | Why:
    ours = {"normal": "normal", "gmm": "mixture"}
    return (
        {"venv.network.head": ours[value]}
        if value in ours
        else Why("the heads are listed in docs/learners.md")
    )


def _node_activation(value: Any) -> dict[str, Any] | Why:
    more = {"leakyrelu": "leaky_relu", "elu": "elu", "sigmoid": "sigmoid"}
    key = "venv.network.activation"
    return {key: more[value]} if value in more else activation(key)(value)


_SAMPLERS = {
    name: f"revive.search.samplers.{sampler}Sampler"
    for name, sampler in (("zoopt", "Optuna"), ("bayes", "Optuna"), ("random", "Random"), ("grid", "Grid"))
}
_METRICS = {name: {"search.venv_metric": "held_out_error"} for name in ("mae", "rollout_mae")}
_NO_METRIC = Why("trials are compared by a rollout error in mean absolute terms: search.venv_metric")
_IMAGES = ("histogram_log_frequency", "rollout_plt_frequency", "plt_response_curve", "rollout_dataset_mode")

BASE: dict[str, Entry] = {
    # data
    "global_seed": "seed",
    "val_split_ratio": "dataset.split.validation",
    "val_split_mode": "dataset.split.mode",
    "ignore_check": lambda value: {"dataset.ignore_check": bool(value)},
    "data_workers": Why("the whole data set is preloaded; there are no loader processes"),
    "venv_train_dataset_mode": Why("first single rows, then windows: venv.learner.curriculum"),
    # nodes
    "continuous_distribution_type": _head,
    "discrete_distribution_type": _only("discrete_logistic", "discrete columns are discretised logistics"),
    "category_distribution_type": _only("onehot", "category columns are one of their values"),
    "conditioned_std": lambda value: {"venv.network.std": "conditioned" if value else "constant"},
    "mixture": "venv.network.components",
    "use_time_step_embed": Why("the step counter enters as one scaled number"),
    "time_step_embed_size": Why("the step counter enters as one scaled number"),
    "use_traj_id_embed": Why("how the number of a trajectory enters is up to its columns in the description"),
    "transition_mode": _only(
        "local",
        "a change is predicted where the state lasts; else set venv.network.transition",
    ),
    # venv
    "venv_rollout_horizon": _curriculum,
    "venv_gpus_per_worker": CPU,
    "venv_metric": lambda value: _METRICS.get(str(value), _NO_METRIC),
    "venv_algo": Why("it is read before all others: see venv_learners"),
    "save_start_epoch": Why("members are judged at the end of every stage of their training"),
    "num_venv_store": _kept,
    "num_venv_in_use": Why("a policy is learned in all members that venv.keep leaves"),
    **dict.fromkeys(("nll_test", "mae_test", "mse_test", "wdist_test"), JUDGED),
    "save_by_node": _only(False, "a member is chosen as a whole"),
    **dict.fromkeys(_IMAGES, DRAWN),
    "venv_save_frequency": Why("a trial leaves one checkpoint to go on from, and one model"),
    "bc_loss": _only(("nll", "log_prob"), "write loss_type: mae or mse at the node in the description"),
    "controller_weight": Why("its meaning is not documented"),
    # policy
    "policy_gpus_per_worker": CPU,
    "task": _only(None, "a ground truth is a Python file: simulator=FILE"),
    "behavioral_policy_init": _only(True, "the policy always starts as a clone of the behaviour policy"),
    "policy_algo": "policy",
    "test_gamma": _only(1.0, "policies are compared by their mean reward per step"),
    "test_horizon": "policy.evaluation.horizon",
    "deterministic_test": _only(True, "policies are compared without noise of their own"),
    "policy_double_validation": _only(True, "every policy is judged in the other half's venv"),
    "real_env_test_frequency": _only(0, "a ground truth, simulator=FILE, scores the finished policy"),
    "fqe_test_frequency": Why("policies are not evaluated off-policy while they are learned"),
    "action_steps": _only(1, "every action lasts one step of the logs"),
    # parameter tuning
    "parameter_tuning_algorithm": _choice(
        "parameter_tuning_algorithm", "tuning", {"zoopt": "auto", "random": "random"}
    ),
    "parameter_tuning_budget": "tuning.budget",
    "parameter_tuning_rollout_horizon": "tuning.horizon",
    # machine and search
    "use_gpu": _only((False, None, "auto"), CPU.reason),
    "use_fp16": _only(False, "networks this small gain nothing from half precision"),
    "parallel_num": _parallel,
    "workers_per_trial": _only(1, "a trial trains in one process"),
    "venv_search_algo": _choice("venv_search_algo", "search.sampler", _SAMPLERS),
    "policy_search_algo": _choice("policy_search_algo", "search.sampler", _SAMPLERS),
    "train_venv_trials": "search.venv_trials",
    "train_policy_trials": "search.policy_trials",
    "global_checkpoint_period": Why("every trial leaves checkpoints as it goes"),
    "reuse_actors": ALWAYS,
    "verbose": Why("there is one line per stage and per trial"),
    # arguments of REVIVE's constructor that it takes as keywords
    "env_save_path": "venv_path",
    "policy_save_path": Why("a policy starts as a clone of the behaviour policy, never from a saved one"),
}

VENV: dict[str, Entry] = {
    "bc_batch_size": "venv.learner.batch_size",
    "bc_epoch": above(0, "venv.learner.one_step_updates", "there is always a one-step stage"),
    "bc_lr": "venv.learner.lr",
    "bc_weight_decay": "venv.learner.weight_decay",
    "weight_decay": "venv.learner.weight_decay",
    "revive_batch_size": "venv.learner.window_batch",
    "g_lr": "venv.learner.multi_step_lr",
    "transition_activation": _node_activation,
    **dict.fromkeys(("policy_backbone", "transition_backbone"), _backbone),
    **dict.fromkeys(("policy_normalization", "transition_normalization"), _norm),
    "policy_activation": Why("the nodes of a venv share venv.network.activation"),
    "bc_horizon": Why("the one-step stage learns from single rows; later stages from windows"),
    "lr_decay": Why("the step size falls as a cosine within every stage"),
    "loss_type": _only(("log_prob", "nll"), "write loss_type: mae or mse at the node in the description"),
    "bc_steps": Why("the one-step stage learns from single rows; later stages from windows"),
    "fix_std": Why("rollouts in training take the likeliest values, without noise"),
    "bc_l2_coef": "venv.learner.weight_decay",
    "logstd_loss_coef": Why("the noise is one number per column, fitted on held-out rows"),
    "logvar_loss_coef": Why("the noise is one number per column, fitted on held-out rows"),
    "buffer_size": ADVERSARIAL,
    **dict.fromkeys(("revive_epoch", "mail_epoch"), EPOCHS),
    **dict.fromkeys(("rnn_hidden_features", "window_size", "birnn"), RECURRENT),
    **dict.fromkeys(
        ("policy_node_embed", "transition_node_embed", "generator_type"), SHAPE),
    **dict.fromkeys(
        ("fintune", "finetune_fre", "matcher_pretrain_epoch", "matching_nodes", "matching_fit_nodes",
         "matcher_hidden_features", "matcher_hidden_layers", "matcher_activation", "matcher_normalization",
         "matcher_type", "state_nodes", "value_hidden_features", "value_hidden_layers", "value_activation",
         "value_normalization", "std_adapt_strategy", "generator_algo", "ppo_runs", "ppo_epsilon",
         "ppo_l2norm_cof", "ppo_entropy_cof", "generator_sup_cof", "gae_gamma", "gae_lambda", "g_steps",
         "d_steps", "d_lr", "matcher_loss_length", "matcher_loss_high", "matcher_loss_low", "matcher_sample",
         "mae_reward_weight", "history_matcher_num", "history_matcher_save_epochs", "generator_data_repeat",
         "td3_steps_per_epoch", "matcher_record_len", "generator_l2_norm_coef", "value_l2_norm_coef",
         "matcher_l2_norm_coeff", "discr_ent_coef", "gp_coef", "mix_sample", "mix_sample_ratio",
         "replace_with_expert", "replace_ratio", "value_lr"), ADVERSARIAL),
}  # fmt: skip

NETWORKS: dict[Section, dict[str, str]] = {
    "venv": {"transition": "venv.network.hidden", "policy": "venv.network.hidden"},
    "policy": {"policy": "policy.network.hidden"},
}
"""Whose `NAME_hidden_features` and `NAME_hidden_layers` make which key; the first that is given counts."""
FEATURES, LAYERS = 256, 4  # REVIVE's

ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    "gs": ("global_seed",), "vsr": ("val_split_ratio",), "vsm": ("val_split_mode",), "igc": ("ignore_check",),
    "dw": ("data_workers",), "codt": ("continuous_distribution_type",), "ddt": ("discrete_distribution_type",),
    "cadt": ("category_distribution_type",), "utse": ("use_time_step_embed",), "tses": ("time_step_embed_size",),
    "utie": ("use_traj_id_embed",), "vrh": ("venv_rollout_horizon",), "tsm": ("transition_mode",),
    "vgpw": ("venv_gpus_per_worker",), "sse": ("save_start_epoch",), "nvs": ("num_venv_store",),
    "hlf": ("histogram_log_frequency",), "rpf": ("rollout_plt_frequency",), "vsp": ("venv_save_frequency",),
    "prc": ("plt_response_curve",), "pgpw": ("policy_gpus_per_worker",), "nviu": ("num_venv_in_use",),
    "bpi": ("behavioral_policy_init",), "th": ("test_horizon",), "dett": ("deterministic_test",),
    "pdv": ("policy_double_validation",), "retf": ("real_env_test_frequency",), "ftf": ("fqe_test_frequency",),
    "pta": ("parameter_tuning_algorithm",), "ptb": ("parameter_tuning_budget",),
    "ptrh": ("parameter_tuning_rollout_horizon",), "pan": ("parallel_num",), "wpt": ("workers_per_trial",),
    "vsa": ("venv_search_algo",), "tvt": ("train_venv_trials",), "psa": ("policy_search_algo",),
    "tpt": ("train_policy_trials",), "bbs": ("bc_batch_size",), "bep": ("bc_epoch", "ppo_epoch"),
    "mbs": ("revive_batch_size",), "mep": ("revive_epoch",), "bet": ("fintune",), "betfre": ("finetune_fre",),
    "dpe": ("matcher_pretrain_epoch",), "phf": ("policy_hidden_features",), "phl": ("policy_hidden_layers",),
    "pa": ("policy_activation",), "pn": ("policy_normalization",), "pb": ("policy_backbone",),
    "thf": ("transition_hidden_features",), "thl": ("transition_hidden_layers",),
    "ta": ("transition_activation",), "tn": ("transition_normalization",), "tb": ("transition_backbone",),
    "dhf": ("matcher_hidden_features",), "dhl": ("matcher_hidden_layers",), "da": ("matcher_activation",),
    "dn": ("matcher_normalization",), "vhf": ("value_hidden_features",), "vhl": ("value_hidden_layers",),
    "va": ("value_activation",), "vn": ("value_normalization",), "gt": ("generator_type",),
    "dt": ("matcher_type",), "sas": ("std_adapt_strategy",), "ga": ("generator_algo",), "bh": ("bc_horizon",),
    "wd": ("weight_decay",), "ld": ("lr_decay",), "pbs": ("ppo_batch_size",), "prh": ("ppo_rollout_horizon",),
    "sspe": ("sac_steps_per_epoch",), "srh": ("sac_rollout_horizon",), "pha": ("policy_hidden_activation",),
    "qhf": ("q_hidden_features",), "qhl": ("q_hidden_layers",), "nqn": ("num_q_net",), "bfs": ("buffer_size",),
}  # fmt: skip
