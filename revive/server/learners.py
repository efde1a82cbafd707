"""What REVIVE's parameters of a policy's algorithm are called, learner by learner.

Which table counts follows from `policy_algo`, or from our own key `policy`; without either it is `auto`, of which the
parameters of both algorithms reach the learner `first_order`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revive.server.entries import AS_HERE, Entry, Section, Turned, Why, above, activation, some
from revive.server.names import BASE, DOUBT, NETWORKS, VENV
from revive.server.venv_learners import BASE_OF, NETWORKS_OF, USUAL_VENV, chosen
from revive.server.venv_learners import TABLES as VENV_TABLES

USUAL_LEARNER = "auto"
_OTHERS = Why("it belongs to one algorithm: name that one, policy_algo=ppo or policy_algo=sac")
_REMEMBERED = Why("what the last iterations rolled out is remembered: policy.learner.kept")
_NOT_SIMULATED = Why("this learner learns from the logs alone")

_NO_MATCHERS = Why(
    "one matcher for each member of the venv charges what is not as in the logs: measure=morec"
)


def _charges(prefix: str, weighed: str, variants: Callable[[float], list[Any]]) -> dict[str, Entry]:
    """What a step is charged for. weighed: the key below `prefix` of the weights that `variants` makes of one."""
    key = f"{prefix}.measure"
    return {
        "reward_uncertainty_weight": Turned(
            lambda value: (
                {f"{prefix}.{weighed}": variants(float(value)), key: "mopo"} if float(value) > 0 else {}
            ),
            f"`{prefix}.{weighed}` with `measure=mopo`, whose unit is its 90 % quantile in the logs; 0: {AS_HERE}",
        ),
        "penalty_type": some(key, {"filter": "morec"}, "measure is doubt, mopo, mobile or morec"),
        "filter": Turned(lambda value: {key: "morec"} if value else {}, f"`{key}`: true -> `morec`"),
        **dict.fromkeys(_MATCHERS, _NO_MATCHERS),
    }


_MATCHERS = ("penalty_sample_num", "candidate_num", "ensemble_size", "ensemble_choosing_interval")
_SHARED: dict[str, Entry] = {
    "policy_bc_epoch": above(0, "policy.clone.updates", "the policy always starts as a clone"),
    "policy_hidden_activation": activation("policy.network.activation"),
    "policy_activation": activation("policy.network.activation"),
    "g_lr": "policy.learner.lr",
    "reward_uncertainty_weight": DOUBT,
    "policy_backbone": some(
        "policy.network.backbone",
        {"mlp": "mlp", "gru": "gru", "contextual_gru": "gru"},
        "a policy runs everywhere, so it is a perceptron or a gated recurrent unit",
    ),
    "num_venv_in_use": Why("a policy is learned in all members that venv.keep leaves"),
    "generate_deter": Why("rollouts in training always explore"),
    "critic_pretrain": Why("critics learn alone for the first updates: policy.learner.warm_up"),
    **dict.fromkeys(("penalty_type", "filter", *_MATCHERS), DOUBT),
}
_SPECIAL = (
    "ppo_batch_size", "sac_batch_size", "ppo_epoch", "sac_epoch", "sac_steps_per_epoch", "ppo_rollout_horizon",
    "sac_rollout_horizon", "gae_gamma", "gamma", "gae_lambda", "value_hidden_features", "value_hidden_layers",
    "q_hidden_features", "q_hidden_layers", "ppo_runs", "epsilon", "w_vl2", "w_ent", "w_kl", "num_q_net",
    "buffer_size", "alpha", "polyak", "batch_ratio", "interval",
)  # fmt: skip


def _learner(**entries: Entry) -> dict[str, Entry]:
    return {**dict.fromkeys(_SPECIAL, _OTHERS), **_SHARED, **entries}


def _gradient(prefix: str) -> dict[str, Entry]:
    """The table of `first_order`, whose keys stand below `prefix`."""
    critic = Why("the critic is as large as the policy: policy.network.hidden")
    networks = ("value_hidden_features", "value_hidden_layers", "q_hidden_features", "q_hidden_layers")

    return _learner(
        **_charges(prefix, "variants", lambda weight: [{"penalty": weight, "returns": "every"}]),
        ppo_batch_size=f"{prefix}.branches",
        sac_batch_size=f"{prefix}.critic_batch",
        ppo_epoch=f"{prefix}.iterations",
        sac_epoch=f"{prefix}.iterations",
        sac_steps_per_epoch=f"{prefix}.critic_steps",
        ppo_rollout_horizon="policy.horizon",
        sac_rollout_horizon="policy.horizon",
        gae_gamma=f"{prefix}.gamma",
        gamma=f"{prefix}.gamma",
        gae_lambda=f"{prefix}.td_lambda",
        **dict.fromkeys(networks, critic),
    )


_PENALTIES = _charges("policy.learner", "penalties", lambda weight: [weight])
_PPO = _learner(
    **_PENALTIES,
    ppo_batch_size="policy.learner.branches",
    ppo_epoch="policy.learner.iterations",
    ppo_rollout_horizon="policy.horizon",
    ppo_runs="policy.learner.epochs",
    epsilon="policy.learner.clip_ratio",
    w_ent="policy.learner.entropy",
    w_kl=Why(
        "an iteration ends where the policy has moved by policy.learner.target_kl; the clone is no anchor"
    ),
    w_vl2=Why("the value has no weight decay"),
    gae_gamma="policy.learner.gamma",
    gae_lambda="policy.learner.td_lambda",
)
_SAC = _learner(
    **_PENALTIES,
    sac_batch_size="policy.learner.batch",
    sac_epoch="policy.learner.iterations",
    sac_steps_per_epoch="policy.learner.updates",
    sac_rollout_horizon="policy.learner.steps",
    gamma="policy.learner.gamma",
    buffer_size=_REMEMBERED,
    alpha=Why("the temperature is learned: policy.learner.alpha_lr"),
    polyak=Turned(
        lambda value: {"policy.learner.target_rate": 1.0 - float(value)},
        "`policy.learner.target_rate`: 1 less it",
    ),
    batch_ratio="policy.learner.real",
    num_q_net=Why("there are two critics for each variant"),
    w_kl=Why("the policy is held back by policy.learner.penalties, not by the clone"),
    interval=Why("all steps of a rollout are remembered"),
)
_LOGS_ALONE: dict[str, Entry] = {**dict.fromkeys(_SPECIAL, _NOT_SIMULATED), **_SHARED}
_CRITICS_ALONE: dict[str, Entry] = {
    **_LOGS_ALONE,
    "sac_batch_size": "policy.learner.batch",
    "gamma": "policy.learner.gamma",
    "gae_gamma": "policy.learner.gamma",
    "polyak": _SAC["polyak"],
}

POLICY: dict[str, dict[str, Entry]] = {
    "auto": _gradient("policy.learner.learners.first_order"),
    "first_order": _gradient("policy.learner"),
    "ppo": _PPO,
    "sac": _SAC,
    "td3_bc": _LOGS_ALONE,
    "iql": _CRITICS_ALONE,
    "awac": _CRITICS_ALONE,
    "edac": {**_CRITICS_ALONE, "num_q_net": "policy.learner.critics"},
    "clones": _LOGS_ALONE,
}

_CRITICS = {
    "ppo": {"value": "policy.learner.hidden"},
    **{name: {"q": "policy.learner.hidden"} for name in ("sac", "iql", "awac", "edac")},
}


def tables(learner: str, venv: str = USUAL_VENV) -> dict[Section, dict[str, Entry]]:
    """The names of every section where the policy is learned by `learner` and the venv by `venv`."""
    base = {**BASE, "venv_algo": chosen(venv), **BASE_OF.get(venv, {})}
    return {"base": base, "venv": VENV_TABLES.get(venv, VENV), "policy": POLICY[learner]}


def networks(learner: str, venv: str = USUAL_VENV) -> dict[Section, dict[str, str]]:
    """Section -> whose `NAME_hidden_features` and `NAME_hidden_layers` make which key."""
    policy = {**NETWORKS["policy"], **_CRITICS.get(learner, {})}
    return {**NETWORKS, "venv": NETWORKS_OF.get(venv, NETWORKS["venv"]), "policy": policy}
