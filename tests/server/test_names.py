"""REVIVE's parameter names: each has a counterpart or a reason, and whole configs of REVIVE work unchanged."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from revive.config.compose import load_settings
from revive.config.instantiate import check_sections
from revive.config.settings import Settings
from revive.errors import UserError
from revive.pipeline.search import require_search
from revive.server.entries import Why
from revive.server.learners import networks, tables
from revive.server.name_table import table as names_table
from revive.server.names import ABBREVIATIONS
from revive.server.translate import from_config, translate
from tests.server.conftest import Make

FILE = Path(__file__).parent / "revive_config.json"
"""Every parameter of REVIVE 0.9.3 as its own config file holds it."""

TABLES = tables("auto")

LATER = {  # of 1.x, and of algorithms that only other versions have
    "base": ("venv_train_dataset_mode", "bc_loss", "controller_weight"),
    "venv": (
        "td3_steps_per_epoch", "buffer_size", "bc_steps", "mail_epoch", "matcher_record_len", "fix_std",
        "bc_l2_coef", "generator_l2_norm_coef", "value_l2_norm_coef", "matcher_l2_norm_coeff",
        "logstd_loss_coef", "logvar_loss_coef", "discr_ent_coef", "gp_coef", "mix_sample",
        "mix_sample_ratio", "replace_with_expert", "replace_ratio", "value_lr", "ppo_epsilon",
        "ppo_entropy_cof", "revive_batch_size", "g_lr", "d_lr", "g_steps", "d_steps", "bc_epoch", "bc_lr"),
    "policy": (
        "penalty_type", "penalty_sample_num", "candidate_num", "ensemble_size", "ensemble_choosing_interval",
        "filter", "critic_pretrain", "num_venv_in_use"),
}  # fmt: skip


def written() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def described() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every parameter with the table that is to hold it."""
    config = written()
    for entry in config["base_config"]:
        yield "base", entry
    for table in ("venv", "policy"):
        for entries in config[f"{table}_algo_config"].values():
            for entry in entries:
                yield table, entry


def settings_of(values: dict[str, Any]) -> Settings:
    choices = [
        f"{key}={values[key]}"
        for key in ("tuning", "search", "policy", "venv")
        if isinstance(values.get(key), str)
    ]
    plain = {key: value for key, value in values.items() if f"{key}={value}" not in choices}
    settings = load_settings(choices, plain, "test")
    check_sections(settings.as_dict()).raise_if_any()
    return settings


def value_at(settings: Settings, key: str) -> Any:
    below: Any = settings.as_dict()
    for part in key.split("."):
        below = below[part]
    return below


@pytest.fixture(scope="module")
def usual() -> Settings:
    return settings_of({})


def test_a_name_has_a_counterpart_or_a_reason(usual: Settings) -> None:
    for table, entry in described():
        name = entry["name"]
        found = translate({name: entry["default"]}, section=table)
        for key in found.values if name != "venv_algo" else ():
            value_at(usual, key)  # is there
        if not found.values:
            held = TABLES[table].get(name)
            assert callable(held) or (isinstance(held, Why) and found.notes()), name


@pytest.mark.parametrize("algorithms", [("revive_p", "ppo"), ("bc", "sac")])
def test_every_default_of_revive_is_legal_here(algorithms: tuple[str, str]) -> None:
    config = written()
    named: dict[str, Any] = {"base_config": {e["name"]: e["default"] for e in config["base_config"]}}
    named["base_config"] |= dict(zip(("venv_algo", "policy_algo"), algorithms, strict=True))
    for table, algorithm in zip(("venv", "policy"), algorithms, strict=True):
        entries = config[f"{table}_algo_config"][algorithm]
        named[f"{table}_algo_config"] = {algorithm: {e["name"]: e["default"] for e in entries}}
    values = from_config(named).values
    settings = settings_of(values)
    assert len(values) > 25
    for key, value in values.items():
        if key not in ("tuning", "policy", "venv"):
            assert value_at(settings, key) == value


@pytest.mark.parametrize("table", LATER)
def test_names_of_other_versions_are_known(table: Any) -> None:
    for name in LATER[table]:
        assert name in TABLES[table], name
        translate({name: 1}, section=table)


@pytest.mark.parametrize(
    ("table", "given", "key", "expected"),
    [
        ("base", {"conditioned_std": True}, "venv.network.std", "conditioned"),
        (
            "base",
            {"venv_rollout_horizon": 100},
            "venv.learner.curriculum",
            [[5, 50], [20, 100], [50, 100], [100, 50]],
        ),
        ("base", {"venv_rollout_horizon": 20}, "venv.learner.curriculum", [[5, 50], [20, 50]]),
        ("base", {"venv_rollout_horizon": 1}, "venv.learner.curriculum", []),
        ("base", {"num_venv_store": 9}, "venv.members", 11),
        ("base", {"num_venv_store": 3}, "venv.keep", 3),
        ("base", {"parallel_num": "auto"}, "search.concurrency", None),
        ("base", {"parallel_num": 2}, "search.concurrency", 2),
        ("base", {"venv_search_algo": "grid"}, "search.sampler", "revive.search.samplers.GridSampler"),
        ("base", {"train_venv_trials": 7}, "search.venv_trials", 7),
        ("base", {"train_policy_trials": 6}, "search.policy_trials", 6),
        (
            "base",
            {"parameter_tuning_algorithm": "random"},
            "tuning.method._target_",
            "revive.tuning.drawing.Random",
        ),
        ("venv", {"bc_epoch": 500}, "venv.learner.one_step_updates", 500),
        ("venv", {"transition_hidden_features": 64}, "venv.network.hidden", [64] * 4),
        ("venv", {"policy_hidden_layers": 2}, "venv.network.hidden", [256] * 2),
        (
            "venv",
            {"policy_hidden_layers": 2, "transition_hidden_features": 32, "transition_hidden_layers": 1},
            "venv.network.hidden",
            [32],
        ),
        (
            "policy",
            {"policy_hidden_features": 16, "policy_hidden_layers": 2},
            "policy.network.hidden",
            [16, 16],
        ),
        ("policy", {"policy_hidden_activation": "swish"}, "policy.network.activation", "silu"),
        ("policy", {"policy_bc_epoch": 100}, "policy.clone.updates", 100),
        ("policy", {"policy_backbone": "contextual_gru"}, "policy.network.backbone", "gru"),
        ("base", {"action_steps": 3}, "policy.action_repeat", 3),
        ("base", {"transition_mode": "global"}, "venv.network.transition", "absolute"),
        ("base", {"transition_mode": "local"}, "venv.network.transition", "residual"),
        ("base", {"venv_train_dataset_mode": "transition"}, "venv.learner.curriculum", []),
        ("venv", {"transition_backbone": "gru"}, "venv.history", 16),
        ("venv", {"window_size": 5, "transition_backbone": "gru"}, "venv.history", 5),
        ("venv", {"transition_backbone": "contextual_lstm"}, "venv.network.backbone", "lstm"),
        ("venv", {"transition_backbone": "gru", "policy_backbone": "res"}, "venv.network.backbone", "gru"),
        ("venv", {"policy_activation": "elu"}, "venv.network.activation", "elu"),
        ("policy", {"ppo_epoch": 3000}, "policy.learner.learners.first_order.iterations", 3000),
    ],
)
def test_a_value_becomes_ours(table: Any, given: dict[str, Any], key: str, expected: object) -> None:
    assert value_at(settings_of(translate(given, section=table).values), key) == expected


def test_a_whole_config_of_revive_works_unchanged(make: Make) -> None:
    with pytest.warns(UserWarning, match="names of REVIVE have no counterpart here"):
        server = make(revive_config_file_path=FILE, debug=False)
    settings = server.settings
    assert settings.seed == 42
    assert (settings.search.venv_trials, settings.search.policy_trials) == (25, 10)
    usual = make(debug=False, policy="ppo", venv="adversarial").settings
    assert settings.venv.learner == {**usual.venv.learner, "generator": "ppo", "horizon": 100}
    assert settings.policy.learner == usual.policy.learner  # what REVIVE writes by default is no wish
    assert settings.venv.space == usual.venv.space
    assert any(note.startswith("venv_algo: a game with matchers") for note in server.notes)
    require_search(settings)


@pytest.mark.parametrize(
    ("algorithms", "venv", "policy"), [(("bc", "sac"), 0.002, 33), (("revive", "ppo"), 0.003, 44)]
)
def test_only_the_algorithm_that_is_chosen_counts(
    algorithms: tuple[str, str], venv: float, policy: int
) -> None:
    config = {
        "base_config": {"venv_algo": algorithms[0], "policy_algo": algorithms[1]},
        "venv_algo_config": {"bc": {"g_lr": 0.002}, "revive_p": {"g_lr": 0.003}},
        "policy_algo_config": {"sac": {"sac_epoch": 33}, "ppo": {"ppo_epoch": 44}},
    }
    settings = settings_of(from_config(config).values)
    assert settings.venv.learner["lr"] == venv
    assert settings.policy.learner["iterations"] == policy
    assert settings.policy.learner["_target_"].lower().endswith(f"{algorithms[1]}.{algorithms[1]}")


@pytest.mark.parametrize(
    ("bounds", "text"), [([1e-4, 1e-2], "loguniform(0.0001, 0.01)"), ([1e-3, 5e-3], "uniform(0.001, 0.005)")]
)
def test_a_wide_range_of_step_sizes_is_searched_by_its_order_of_magnitude(
    bounds: list[float], text: str
) -> None:
    entry = {"name": "g_lr", "default": 2e-3, "search_mode": "continuous", "search_values": bounds}
    found = from_config({"policy_algo_config": {"ppo": [entry]}})
    assert settings_of(found.values).policy.space["learner"]["lr"] == text
    assert any("orders of magnitude" in note for note in found.notes()) == text.startswith("log")


def test_a_grid_becomes_a_choice() -> None:
    entry = {"name": "ppo_rollout_horizon", "default": 50, "search_mode": "grid", "search_values": [20, 50]}
    values = from_config({"policy_algo_config": {"ppo": [entry]}}).values
    assert (values["policy.space.horizon"], values["policy.horizon"]) == ("choice(20, 50)", 50)


def test_abbreviations() -> None:
    for names in ABBREVIATIONS.values():
        for name in names:
            known = any(name in table for table in TABLES.values())
            assert known or any(
                name.startswith(f"{who}_hidden_") for table in networks("auto").values() for who in table
            )
    found = translate({"gs": 3, "vrh": 5, "tvt": 2, "phf": 16, "bep": 30}).values
    assert (found["seed"], found["search.venv_trials"], found["policy.network.hidden"]) == (3, 2, [16] * 4)
    assert found["venv.learner.one_step_updates"] == 30
    assert found["policy.learner.learners.first_order.iterations"] == 30


def test_a_name_of_both_learners_reaches_both() -> None:
    found = translate({"g_lr": 0.002}).values
    assert found == {"venv.learner.multi_step_lr": 0.002, "policy.learner.lr": 0.002}


def test_a_table_says_what_became_of_every_name() -> None:
    searched = {"name": "g_lr", "default": 4e-5, "search_mode": "continuous", "search_values": [1e-5, 1e-2]}
    listed = [searched, {"name": "policy_hidden_features", "default": 16}, {"name": "w_kl", "default": 1.0}]
    lines = names_table(from_config({"global_seed": 3, "policy_algo_config": {"ppo": listed}})).splitlines()
    assert lines[:2] == ["| name of REVIVE | here |", "|---|---|"]
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in lines[2:]}
    assert rows["global_seed"] == "`seed`"
    assert rows["policy_hidden_features"] == "`policy.network.hidden`"
    assert "the clone is no anchor" not in rows["global_seed"]
    assert {"g_lr", "w_kl"} <= set(rows)
    assert (
        sum(line.startswith("| g_lr |") for line in lines) == 3
    )  # usual value, range, and how it is searched


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base_config": {"globl_seed": 1}}, "did you mean 'global_seed'"),
        ({"base_config": [{"default": 3}]}, "has no name"),
        ({"venv_algo_config": {"revive_p": {"d_step": 3}}}, "did you mean 'd_steps'"),
        ({"sede": 1}, "did you mean 'seed'"),
        ({"base_config": {"venv_search_algo": "best"}}, "possible: zoopt, bayes, random, grid"),
        ({"base_config": {"venv_rollout_horizon": "long"}}, "venv_rollout_horizon: cannot be 'long'"),
    ],
)
def test_what_no_table_holds_is_an_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_config(values)


def test_what_has_no_counterpart_is_said_once_for_each_reason(make: Make) -> None:
    said = r"^3 names of REVIVE have no counterpart here \(d_steps, d_lr, verbose\): see `notes`"
    with pytest.warns(UserWarning, match=said) as caught:
        server = make(d_steps=3, d_lr=1e-3, verbose=2)
    assert len(caught) == 1
    assert len(server.notes) == 2
    assert server.notes[0].startswith("d_steps, d_lr: no matcher")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(global_seed=3).notes == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"policy_algo": "ppo", "ppo_epoch": 7, "ppo_runs": 3, "epsilon": 0.1, "g_lr": 0.01},
            ("ppo", 7, 3, 0.1),
        ),
        ({"policy": "ppo", "ppo_epoch": 7, "ppo_runs": 3, "epsilon": 0.1, "g_lr": 0.01}, ("ppo", 7, 3, 0.1)),
    ],
)
def test_ppo_by_name(given: dict[str, Any], expected: tuple[Any, ...], make: Make) -> None:
    with pytest.warns(UserWarning, match="1 is read in another way"):
        server = make(debug=False, **given)
    assert any("ppo alone learns the policy" in note for note in server.notes)
    learner = server.settings.policy.learner
    assert learner["_target_"].endswith("Ppo")
    assert (learner["iterations"], learner["epochs"], learner["clip_ratio"]) == expected[1:]
    assert learner["lr"] == 0.01


def test_sac_by_name(make: Make) -> None:
    given = {
        "sac_epoch": 9,
        "sac_rollout_horizon": 7,
        "sac_steps_per_epoch": 5,
        "polyak": 0.98,
        "batch_ratio": 0.5,
    }
    with pytest.warns(UserWarning, match=r"1 name of REVIVE has no counterpart here \(num_q_net\)"):
        server = make(debug=False, policy_algo="sac", q_hidden_features=16, num_q_net=4, **given)
    assert any(note.startswith("num_q_net: there are two critics") for note in server.notes)
    learner = server.settings.policy.learner
    assert learner["_target_"].endswith("Sac")
    assert (learner["iterations"], learner["steps"], learner["updates"], learner["real"]) == (9, 7, 5, 0.5)
    assert learner["target_rate"] == pytest.approx(0.02)
    assert learner["hidden"] == [16] * 4


def test_behaviour_cloning_of_the_venv_has_no_rollouts(make: Make) -> None:
    with pytest.warns(UserWarning, match="venv_rollout_horizon"):
        settings = make(debug=False, venv_algo="bc", venv_rollout_horizon=50, bc_loss="mae").settings
    assert settings.venv.learner["_target_"].endswith("BehaviourCloning")
    assert settings.venv.learner["loss"] == "mae"


@pytest.mark.parametrize(
    ("name", "generator"), [("revive_p", "ppo"), ("revive_ppo", "ppo"), ("revive_t", "td3")]
)
def test_the_adversarial_algorithms_are_the_game_with_matchers(name: str, generator: str) -> None:
    given = {"d_lr": 1e-3, "d_steps": 3, "revive_epoch": 70, "matcher_hidden_features": 32, "gp_coef": 0.5}
    given |= {"matching_nodes": [["a", "b"], ["c"]], "policy_backbone": "res", "bc_lr": 0.01}
    base = {"venv_algo": name}
    found = from_config({"base_config": base, "venv_algo_config": {"revive_p": given, "revive_t": given}})
    settings = settings_of(found.values)
    learner = settings.venv.learner
    assert learner["_target_"].endswith("Adversarial")
    assert learner["generator"] == generator
    assert (learner["matcher_lr"], learner["matcher_steps"], learner["iterations"]) == (1e-3, 3, 70)
    assert (learner["hidden"], learner["penalty"], learner["start"]["lr"]) == ([32] * 4, 0.5, 0.01)
    assert learner["matchers"] == [["a", "b"], ["c"]]
    assert settings.venv.network.backbone == "residual"


def test_a_price_of_disagreement_and_the_filter_of_matchers_reach_the_learner() -> None:
    for learner, prefix in (("ppo", "policy.learner"), ("auto", "policy.learner.learners.first_order")):
        values = translate({"reward_uncertainty_weight": 2.0}, section="policy", learner=learner).values
        settings = settings_of({**values, **({"policy": learner} if learner != "auto" else {})})
        assert value_at(settings, f"{prefix}.measure") == "mopo"
        weights = value_at(settings, f"{prefix}.{'penalties' if learner == 'ppo' else 'variants'}")
        assert weights == ([2.0] if learner == "ppo" else [{"penalty": 2.0, "returns": "every"}])
    both = translate({"penalty_type": "filter", "reward_uncertainty_weight": 1}, learner="sac").values
    assert both == {"policy.learner.penalties": [1.0], "policy.learner.measure": "morec"}
    assert not translate({"reward_uncertainty_weight": 0}, learner="sac").values


def test_what_the_game_has_as_revive_writes_it_is_no_wish_for_it() -> None:
    written = {
        "fintune": 1,
        "finetune_fre": 1,
        "matcher_loss_length": 0,
        "generator_data_repeat": 1,
        "state_nodes": "auto",
    }
    listed = [{"name": name, "default": value} for name, value in written.items()]
    listed += [{"name": "generator_sup_cof", "default": 0}, {"name": "generator_algo", "default": "ppo"}]
    named = {"base_config": {"venv_algo": "revive_p"}, "venv_algo_config": {"revive_p": listed}}
    assert settings_of(from_config(named).values).venv.learner["_target_"].endswith("MultiStepLearner")
    game = from_config({"base_config": {"venv_algo": "revive_t"}, "venv_algo_config": {"revive_t": written}})
    assert not game.missing
    anchored = translate({"generator_sup_cof": 0.5}, section="venv", venv="adversarial").values
    assert anchored == {"venv.learner.anchor": [0.5, 0.5]}


def test_a_config_that_revive_wrote_asks_for_no_absolute_transitions() -> None:
    for value, became in (("global", {}), ("local", {"venv.network.transition": "residual"})):
        listed = [{"name": "transition_mode", "type": "str", "default": value}]
        assert from_config({"base_config": listed}).values == became


@pytest.mark.parametrize("name", ["revive_p", "revive"])
def test_the_name_of_the_default_alone_is_no_wish_for_its_game(name: str) -> None:
    written = [
        {"name": "d_lr", "type": "float", "default": 6e-4},
        {"name": "g_steps", "type": "int", "default": 1},
    ]
    found = from_config({"base_config": {"venv_algo": name}, "venv_algo_config": {"revive_p": written}})
    assert settings_of(found.values).venv.learner["_target_"].endswith("MultiStepLearner")
    assert any("venv=adversarial" in note for note in found.notes())
    written[1]["default"] = 5
    found = from_config({"base_config": {"venv_algo": name}, "venv_algo_config": {"revive_p": written}})
    learner = settings_of(found.values).venv.learner
    assert (learner["generator"], learner["generator_steps"]) == ("ppo", 5)
    assert not any("venv=adversarial" in note for note in found.notes())


def test_heads_and_norms_of_revive_are_heads_and_norms_here() -> None:
    found = translate({"continuous_distribution_type": "gmm", "mixture": 3}, section="base").values
    assert found == {"venv.network.head": "mixture", "venv.network.components": 3}
    named = translate(
        {"transition_normalization": "ln", "transition_activation": "leakyrelu"}, section="venv"
    )
    assert named.values == {"venv.network.norm": "layer", "venv.network.activation": "leaky_relu"}


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("mlp", "mlp"),
        ("res", "residual"),
        ("gru", "gru"),
        ("lstm", "lstm"),
        ("ft_transformer", "transformer"),
    ],
)
def test_matchers_are_of_the_kind_that_is_named(kind: str, ours: str) -> None:
    found = translate({"matcher_type": kind, "birnn": False}, section="venv", venv="adversarial")
    assert found.values == {"venv.learner.matcher_backbone": ours}
    assert not found.missing
    load_settings(["experiment=refrigerator", "venv=adversarial", f"venv.learner.matcher_backbone={ours}"])


def test_kinds_of_matchers_that_there_are_not_are_told() -> None:
    for name, value in (("matcher_type", "birnn"), ("birnn", True)):
        found = translate({name: value}, section="venv", venv="adversarial")
        assert list(found.missing.values()) == [[name]]


def test_an_algorithm_of_venvs_that_there_is_not() -> None:
    with pytest.raises(UserError, match=r"no algorithm of venvs is called 'revive_x'"):
        from_config({"base_config": {"venv_algo": "revive_x"}})


@pytest.mark.parametrize("name", ["pop", "td3"])
def test_a_learner_that_there_is_not(make: Make, name: str) -> None:
    with pytest.raises(UserError, match=f"no learner of policies is called '{name}'"):
        make(policy_algo=name)


@pytest.mark.parametrize("text", ["[0.0001, 0.01]", [1e-4, 1e-2], "(1e-4,1e-2)"])
def test_a_range_may_be_the_text_of_a_list(text: Any) -> None:
    entry = {"name": "g_lr", "default": 2e-3, "search_mode": "continuous", "search_values": text}
    values = from_config({"policy_algo_config": {"ppo": [entry]}}).values
    assert values["policy.space.learner.lr"] == "loguniform(0.0001, 0.01)"


@pytest.mark.parametrize("text", ["[1e-4", "1e-4", [1e-4], "__import__('os')", [2, 1], ["a", "b"]])
def test_what_is_no_range_is_refused(text: Any) -> None:
    entry = {"name": "g_lr", "default": 2e-3, "search_mode": "continuous", "search_values": text}
    with pytest.raises(UserError, match=r"g_lr: search_values is .*\n.*wanted: \[low, high\]"):
        from_config({"policy_algo_config": {"ppo": [entry]}})


def test_what_is_missing_in_the_logs_is_masked_as_there(make: Make) -> None:
    assert make().settings.dataset.missing == "mask"
    assert make(**{"dataset.missing": "error"}).settings.dataset.missing == "error"
    assert make(ignore_check=1).settings.dataset.ignore_check is True
