"""REVIVE's parameter names: what they are called here, or why they have no counterpart.

Names that mean another thing in the venv's algorithm than in the policy's stand in a table of their own; those of a
learner are in `learners` and `venv_learners`. The page docs/server.md is written from all of these by `name_page`.
"""

from __future__ import annotations

from typing import Any

from revive.server.entries import (
    AS_HERE,
    NODE_ACTIVATIONS,
    Entry,
    Section,
    Turned,
    Why,
    above,
    activation,
    choice,
    only,
    some,
)

LEARNERS = ("ppo", "sac", "auto", "first_order", "td3_bc", "iql", "awac", "edac", "clones")
"""Learners of the policy: REVIVE's two by its names, then those that it does not have."""
LOOKS_BACK = 16
"""Steps that a recurrent network looks back where nobody says how many: nothing hidden is carried along here."""

ADVERSARIAL = Why("no matcher judges this venv; venv_algo=revive_p has the game with matchers")
DOUBT = Why(
    "where policies are compared, a standard deviation over the members is taken off their gain, and more for what "
    "the members disagree about more than about the logs' controller"
)
RECURRENT = Why("a unit is as wide as the first entry of venv.network.hidden")
ALWAYS = Why("always done")
CPU = Why("the networks are small, so the CPU is the default; trainer.accelerator=gpu puts a run on the GPU")
DRAWN = Why("pictures are drawn once, at the end, and lie in the folder figures of the run")
JUDGED = Why("the report always holds the rollout error by horizon and by column")
EPOCHS = Why(
    "adversarial epochs say nothing of updates: venv.learner.one_step_updates and curriculum count those"
)


def _curriculum(horizon: Any) -> dict[str, Any]:
    last = int(horizon)
    stages = [[steps, updates] for steps, updates in ((5, 50), (20, 100), (50, 100)) if steps < last]
    return {"venv.learner.curriculum": [*stages, [last, 50]] if last > 1 else []}


def _kept(value: Any) -> dict[str, Any] | Why:
    if int(value) <= 1:
        return Why("there is always an ensemble: venv.keep members of each half")
    return {"venv.keep": int(value), "venv.members": max(7, int(value) + 2)}


def _parallel(value: Any) -> dict[str, Any]:
    return {"search.concurrency": None if value in (None, "auto") else int(value)}


_BACKBONES = {"mlp": "mlp", "res": "residual", "transformer": "transformer", "ft_transformer": "transformer"}
_RECURRENT = {"gru": "gru", "contextual_gru": "gru", "lstm": "lstm", "contextual_lstm": "lstm"}


def _backbone(value: Any) -> dict[str, Any] | Why:
    key = "venv.network.backbone"
    if value in _RECURRENT:
        return {key: _RECURRENT[value], "venv.history": LOOKS_BACK}
    known = ", ".join(sorted({*_BACKBONES.values(), *_RECURRENT.values()}))
    return {key: _BACKBONES[value]} if value in _BACKBONES else Why(f"of the backbones here are {known}")


def _norm(value: Any) -> dict[str, Any] | Why:
    if value in (None, "None", False):
        return {}
    return {"venv.network.norm": "layer"} if value == "ln" else _NO_BATCHES


def _mode(value: Any) -> dict[str, Any] | Why:
    if value == "transition":
        return {"venv.learner.curriculum": [], "venv.learner.filter_updates": 0}
    return {} if value == "trajectory" else Why("single rows first, then windows: venv.learner.curriculum")


_BACKBONE = Turned(
    _backbone,
    "`venv.network.backbone`: `mlp`, `res` -> `residual`, `transformer`, `ft_transformer` -> `transformer`, and with "
    f"`venv.history={LOOKS_BACK}` `gru`, `lstm`, `contextual_gru`, `contextual_lstm`; of one node: `venv.nodes`",
)
_NO_BATCHES = Why("layers are normalised by row, never by batch")
_NORM = Turned(_norm, f"`venv.network.norm`: `ln` -> `layer`; `None`: {AS_HERE}", _NO_BATCHES)
_SAMPLERS = {
    name: f"revive.search.samplers.{sampler}Sampler"
    for name, sampler in (("zoopt", "Optuna"), ("bayes", "Optuna"), ("random", "Random"), ("grid", "Grid"))
}
_SAMPLED = "`search.sampler`: Optuna's for `zoopt` and `bayes`, `random`, `grid`"
_METRICS = dict.fromkeys(("mae", "rollout_mae"), "held_out_error")
_NO_METRIC = "trials are compared by a rollout error in mean absolute terms"
_IMAGES = ("histogram_log_frequency", "rollout_plt_frequency", "plt_response_curve", "rollout_dataset_mode")

BASE: dict[str, Entry] = {
    # data
    "global_seed": "seed",
    "val_split_ratio": "dataset.split.validation",
    "val_split_mode": "dataset.split.mode",
    "ignore_check": Turned(lambda value: {"dataset.ignore_check": bool(value)}, "`dataset.ignore_check`"),
    "data_workers": Why("the whole data set is preloaded; there are no loader processes"),
    "venv_train_dataset_mode": Turned(
        _mode,
        f"`trajectory`: {AS_HERE}; `transition`: `venv.learner.curriculum` and `filter_updates` without stages",
    ),
    # nodes
    "continuous_distribution_type": some(
        "venv.network.head",
        {"normal": "normal", "gmm": "mixture"},
        "the heads are listed in docs/learners.md",
    ),
    "discrete_distribution_type": only("discrete_logistic", "discrete columns are discretised logistics"),
    "category_distribution_type": only("onehot", "category columns are one of their values"),
    "conditioned_std": Turned(
        lambda value: {"venv.network.std": "conditioned" if value else "constant"},
        "`venv.network.std`: true -> `conditioned`, false -> `constant`",
    ),
    "mixture": "venv.network.components",
    "use_time_step_embed": Why("the step counter enters as one scaled number"),
    "time_step_embed_size": Why("the step counter enters as one scaled number"),
    "use_traj_id_embed": Why("how the number of a trajectory enters is up to its columns in the description"),
    "transition_mode": choice(
        "transition_mode", "venv.network.transition", {"local": "residual", "global": "absolute"}
    ),
    # venv
    "venv_rollout_horizon": Turned(_curriculum, "`venv.learner.curriculum`: steps of its last stage"),
    "venv_gpus_per_worker": CPU,
    "venv_metric": some("search.venv_metric", _METRICS, _NO_METRIC),
    "venv_algo": Turned(lambda value: {}, "the learner: the first table of this section"),
    "save_start_epoch": Why("members are judged at the end of every stage of their training"),
    "num_venv_store": Turned(
        _kept, "`venv.keep`, and `venv.members` two more; 1: none, there is always an ensemble"
    ),
    "num_venv_in_use": Why("a policy is learned in all members that venv.keep leaves"),
    **dict.fromkeys(("nll_test", "mae_test", "mse_test", "wdist_test"), JUDGED),
    "save_by_node": only(False, "a member is chosen as a whole"),
    **dict.fromkeys(_IMAGES, DRAWN),
    "venv_save_frequency": Why("a trial leaves one checkpoint to go on from, and one model"),
    "bc_loss": only(("nll", "log_prob"), "write loss_type: mae or mse at the node in the description"),
    "controller_weight": Why("its meaning is not documented"),
    # policy
    "policy_gpus_per_worker": CPU,
    "task": only(None, "a ground truth is a Python file: simulator=FILE"),
    "behavioral_policy_init": only(True, "the policy always starts as a clone of the behaviour policy"),
    "policy_algo": "policy",
    "test_gamma": only(1.0, "policies are compared by their mean reward per step"),
    "test_horizon": "policy.evaluation.horizon",
    "deterministic_test": only(True, "policies are compared without noise of their own"),
    "policy_double_validation": only(True, "every policy is judged in the other half's venv"),
    "real_env_test_frequency": only(0, "a ground truth, simulator=FILE, scores the finished policy"),
    "fqe_test_frequency": Why(
        "the finished policy always is evaluated so, policy.evaluation.fqe; none is while it is learned"
    ),
    "action_steps": "policy.action_repeat",
    # parameter tuning
    "parameter_tuning_algorithm": choice(
        "parameter_tuning_algorithm", "tuning", {"zoopt": "auto", "random": "random"}
    ),
    "parameter_tuning_budget": "tuning.budget",
    "parameter_tuning_rollout_horizon": "tuning.horizon",
    # machine and search
    "use_gpu": only((False, None, "auto"), CPU.reason),
    "use_fp16": only(False, "networks this small gain nothing from half precision"),
    "parallel_num": Turned(_parallel, "`search.concurrency`"),
    "workers_per_trial": only(1, "a trial trains in one process"),
    "venv_search_algo": choice("venv_search_algo", "search.sampler", _SAMPLERS, _SAMPLED),
    "policy_search_algo": choice("policy_search_algo", "search.sampler", _SAMPLERS, _SAMPLED),
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
    **dict.fromkeys(
        ("policy_activation", "transition_activation"), activation("venv.network.activation", NODE_ACTIVATIONS)
    ),
    **dict.fromkeys(("policy_backbone", "transition_backbone", "generator_type"), _BACKBONE),
    **dict.fromkeys(("policy_normalization", "transition_normalization"), _NORM),
    "bc_horizon": Why("the one-step stage learns from single rows; later stages from windows"),
    "lr_decay": Why("the step size falls as a cosine within every stage"),
    "loss_type": only(("log_prob", "nll"), "write loss_type: mae or mse at the node in the description"),
    "bc_steps": Why("the one-step stage learns from single rows; later stages from windows"),
    "fix_std": Why("rollouts in training take the likeliest values, without noise"),
    "bc_l2_coef": "venv.learner.weight_decay",
    "logstd_loss_coef": Why("nothing holds the noise: it is fitted to residuals on held-out rows"),
    "logvar_loss_coef": Why("nothing holds the noise: it is fitted to residuals on held-out rows"),
    "buffer_size": ADVERSARIAL,
    **dict.fromkeys(("revive_epoch", "mail_epoch"), EPOCHS),
    "rnn_hidden_features": RECURRENT,
    "window_size": above(1, "venv.history", "a recurrent network looks back venv.history steps, not to the beginning"),
    "birnn": Why("a recurrent network reads its frames once, oldest first"),
    **dict.fromkeys(("policy_node_embed", "transition_node_embed"), Why("its meaning is not documented")),
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
