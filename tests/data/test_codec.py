from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from revive.data.codec import Codec, NodeCodec
from revive.data.scaling import robust_scale
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

Logs = Callable[..., dict[str, np.ndarray]]


def fitted(values: np.ndarray) -> NodeCodec:
    """Of continuous columns, on values (N, d)."""
    return NodeCodec([Column(f"c{i}", "x", "continuous") for i in range(values.shape[1])], (), values)


def test_round_trip(refrigerator: DecisionGraph, make_logs: Logs) -> None:
    logs = make_logs(200)
    codec = Codec.fit(refrigerator, logs)
    physical = {name: torch.as_tensor(logs[name], dtype=torch.float32) for name in refrigerator.nodes}
    back = codec.decode(codec.encode(physical))
    assert back.keys() == physical.keys()
    for name, value in physical.items():
        torch.testing.assert_close(back[name], value, rtol=1e-5, atol=1e-5)


def test_model_space_is_about_standard_normal() -> None:
    values = np.random.default_rng(0).normal([300.0, -2.0], [40.0, 0.01], (5000, 2))
    z = fitted(values).encode(torch.as_tensor(values, dtype=torch.float32))
    torch.testing.assert_close(z.mean(0), torch.zeros(2), rtol=0, atol=0.05)
    torch.testing.assert_close(z.std(0), torch.ones(2), rtol=0.05, atol=0)


def test_only_what_it_is_given_decides(refrigerator: DecisionGraph, make_logs: Logs) -> None:
    train, validation = make_logs(100, seed=0), make_logs(100, seed=1)
    validation["action"] += 1000.0
    codec = Codec.fit(refrigerator, train)
    assert float(codec["action"].center) == pytest.approx(float(np.median(train["action"])))
    action = torch.as_tensor(validation["action"], dtype=torch.float32)
    assert float(codec["action"].encode(action).mean()) > 100


@pytest.mark.parametrize("outlier", [400.0, -9999.0])
def test_an_outlier_does_not_move_it(outlier: float) -> None:
    values = np.random.default_rng(0).normal(size=(1000, 1))
    spoilt = values.copy()
    spoilt[17] = outlier
    clean, robust = fitted(values), fitted(spoilt)
    torch.testing.assert_close(robust.center, clean.center, rtol=0, atol=0.01)
    torch.testing.assert_close(robust.scale, clean.scale, rtol=0.01, atol=0)


def test_a_switch_that_is_mostly_off_gets_its_standard_deviation() -> None:
    switch = np.zeros((100, 1))
    switch[:8] = 1.0
    assert robust_scale(switch)[0] == pytest.approx(switch.std())
    encoded = fitted(switch).encode(torch.tensor([[0.0], [1.0]]))
    assert float(encoded[0]) == 0.0
    assert 1.0 < float(encoded[1]) < 10.0


def test_a_constant_column_is_only_centred_and_columns_do_not_share() -> None:
    values = np.stack([np.full(50, 7.0), np.linspace(0, 1, 50)], axis=1)
    codec = fitted(values)
    assert codec.scale[0] == 1.0
    z = codec.encode(torch.tensor([[7.0, 0.5], [9.0, 0.5]]))
    torch.testing.assert_close(z, torch.tensor([[0.0, 0.0], [2.0, 0.0]]))


def test_a_transition_shares_the_codec_of_its_state(refrigerator: DecisionGraph, make_logs: Logs) -> None:
    codec = Codec.fit(refrigerator, make_logs(100))
    assert codec["next_temperature"] is codec["temperature"]
    assert codec["next_temperature"] is not codec["action"]
    assert {name.split(".")[1] for name in codec.state_dict()} == {"door_open", "temperature", "action"}


def test_an_empty_codec_takes_the_state_of_a_fitted_one(refrigerator: DecisionGraph, make_logs: Logs) -> None:
    logs = make_logs(100)
    codec = Codec.fit(refrigerator, logs)
    filled = Codec.empty(refrigerator)
    filled.load_state_dict(codec.state_dict())
    for name in refrigerator.nodes:
        value = torch.as_tensor(logs[name], dtype=torch.float32)
        assert torch.equal(filled[name].encode(value), codec[name].encode(value))
    assert not list(filled.parameters())


def test_an_empty_codec_changes_nothing(refrigerator: DecisionGraph) -> None:
    x = torch.randn(4, 1)
    assert torch.equal(Codec.empty(refrigerator)["action"].encode(x), x)


def test_a_small_signal_on_a_large_offset_survives(refrigerator: DecisionGraph, make_logs: Logs) -> None:
    logs = make_logs(100)
    logs["temperature"] += 1e8
    logs["next_temperature"] += 1e8
    codec = Codec.fit(refrigerator, logs)
    arrays = {name: logs[name] for name in refrigerator.nodes}
    rows = Rows.of(codec, refrigerator, Trajectories(arrays, np.array([100])))
    assert len(rows.values["temperature"].unique()) > 90


def test_the_unit_of_a_column_does_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 1))
    large, small = fitted(values), fitted(values * 1e-9)
    torch.testing.assert_close(small.scale, large.scale * 1e-9, rtol=1e-4, atol=0)
