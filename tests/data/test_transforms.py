"""Every kind of column, there and back, and what is done to a value that no column may have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec, NodeCodec
from revive.data.transforms import harden, to_level
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description

RNG = np.random.default_rng(0)


def column(name: str = "c", type: Any = "continuous", **options: Any) -> Column:
    return Column(name, "x", type, **options)


KINDS: dict[str, tuple[Column, np.ndarray]] = {
    "plain": (column(), RNG.normal(300.0, 40.0, 500)),
    "minmax": (column(scale="minmax"), RNG.uniform(-7.0, 3.0, 500)),
    "minmax declared": (column(scale="minmax", min=-10.0, max=10.0), RNG.uniform(-7.0, 3.0, 500)),
    "log": (column(scale="log"), np.exp(RNG.normal(0.0, 3.0, 500))),
    "quantile": (column(scale="quantile"), RNG.exponential(50.0, 500) ** 2),
    "cyclic": (column(scale="cyclic", period=360.0), RNG.uniform(0.0, 360.0, 500)),
    "cyclic from -pi": (column(scale="cyclic", min=-math.pi, max=math.pi), RNG.uniform(-3.1, 3.1, 500)),
    "discrete": (column(type="discrete", min=10.0, max=30.0, num=3), RNG.integers(1, 4, 500) * 10.0),
    "category": (column(type="category", values=(4.0, 1.0, 100.0)), RNG.choice([4.0, 1.0, 100.0], 500)),
}
EVERY = pytest.mark.parametrize("kind", KINDS)


def codec_of(kind: str) -> tuple[NodeCodec, Tensor]:
    """A codec of one column, fitted on its values (N, 1)."""
    one, values = KINDS[kind]
    return NodeCodec([one], (), values[:, None]), torch.as_tensor(values[:, None])


def several() -> tuple[NodeCodec, Tensor]:
    """One of each kind, the unordered ones first."""
    names = list(reversed(KINDS))
    columns = [column(f"c{i}", **_said(KINDS[name][0])) for i, name in enumerate(names)]
    values = np.stack([KINDS[name][1] for name in names], axis=1)
    return NodeCodec(columns, (), values), torch.as_tensor(values)


def _said(one: Column) -> dict[str, Any]:
    keys = ("type", "scale", "min", "max", "num", "values", "period")
    return {key: getattr(one, key) for key in keys if getattr(one, key) is not None}


@EVERY
def test_there_and_back(kind: str) -> None:
    codec, x = codec_of(kind)
    z = codec.encode(x)
    assert z.shape == (500, codec.width)
    assert z.dtype == torch.float32
    assert torch.isfinite(z).all()
    back = codec.decode(z).double()
    assert float((back - x).abs().max()) < 1e-5 * float(x.abs().max())


def test_columns_come_back_in_the_users_order() -> None:
    codec, x = several()
    back = codec.decode(codec.encode(x)).double()
    scale = x.abs().amax(0)
    assert ((back - x).abs() < 1e-5 * scale).all()
    assert codec.width == 3 + 1 + 2 + 2 + 5  # one-hot, level, two circles, five others


@EVERY
def test_in_model_space_a_column_is_of_order_one(kind: str) -> None:
    codec, x = codec_of(kind)
    z = codec.encode(x)
    assert float(z.abs().median()) < 1.5
    assert 0.2 < float(z.std(0).mean()) < 1.5


@EVERY
def test_a_bundle_fills_an_empty_codec(kind: str) -> None:
    codec, x = codec_of(kind)
    filled = NodeCodec([KINDS[kind][0]], (), None)
    filled.load_state_dict(codec.state_dict())
    assert torch.equal(filled.encode(x), codec.encode(x))
    assert torch.equal(filled.decode(codec.encode(x)), codec.decode(codec.encode(x)))
    assert torch.equal(filled.low, codec.low)


@EVERY
def test_missing_values_do_not_spoil_a_fit(kind: str) -> None:
    one, values = KINDS[kind]
    holes = np.concatenate([values, np.full(100, np.nan)])[:, None]
    assert torch.equal(
        NodeCodec([one], (), holes).encode(torch.as_tensor(values[:, None])),
        codec_of(kind)[0].encode(torch.as_tensor(values[:, None])),
    )


@pytest.mark.parametrize(("kind", "low", "high"), [("minmax", None, None), ("minmax declared", -10.0, 10.0)])
def test_minmax_puts_the_ends_at_one(kind: str, low: float | None, high: float | None) -> None:
    codec, x = codec_of(kind)
    ends = torch.stack(
        [x.min() if low is None else torch.tensor(low), x.max() if high is None else torch.tensor(high)]
    )
    torch.testing.assert_close(codec.encode(ends.double()[:, None])[:, 0], torch.tensor([-1.0, 1.0]))


def test_a_logarithm_makes_factors_equal_steps() -> None:
    codec, _ = codec_of("log")
    z = codec.encode(torch.tensor([[1e-3], [1e-1], [10.0], [1000.0]]))[:, 0]
    torch.testing.assert_close(z.diff(), z.diff()[:1].expand(3), rtol=1e-4, atol=0)
    assert torch.isfinite(codec.encode(torch.tensor([[0.0], [-1.0]]))).all()  # legal nowhere, yet no crash


def test_normal_scores_are_normal_and_go_on_beyond_the_data() -> None:
    codec, x = codec_of("quantile")
    z = codec.encode(x)[:, 0].double()
    inner = z[(z.abs() < 2.0)]
    assert float(z.median()) == pytest.approx(0.0, abs=0.05)
    assert float((z < -1.0).double().mean()) == pytest.approx(0.159, abs=0.02)
    assert float((z < 1.0).double().mean()) == pytest.approx(0.841, abs=0.02)
    assert len(inner) > 470
    beyond = torch.stack([x.min() - 5.0, x.min(), x.max(), x.max() * 3.0])[:, None]
    far = codec.encode(beyond)
    assert (far[:, 0].diff() > 0).all()
    torch.testing.assert_close(codec.decode(far).double(), beyond, rtol=1e-4, atol=0.1)


def test_normal_scores_of_a_switch_come_back() -> None:
    """Most quantiles are equal there."""
    values = np.repeat([0.0, 1.0], [450, 50])[:, None]
    codec = NodeCodec([column(scale="quantile")], (), values)
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(codec.decode(codec.encode(x)).double(), x, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "start", "period"), [("cyclic", 0.0, 360.0), ("cyclic from -pi", -math.pi, math.tau)]
)
def test_a_full_turn_changes_nothing(kind: str, start: float, period: float) -> None:
    codec, x = codec_of(kind)
    torch.testing.assert_close(codec.encode(x + period), codec.encode(x), rtol=0, atol=1e-5)
    around = codec.encode(
        torch.tensor([[start + 0.001 * period], [start + 0.999 * period]], dtype=torch.float64)
    )
    assert float((around[0] - around[1]).norm()) < 0.02
    back = codec.decode(codec.encode(x + 5 * period)).double()
    assert (back >= start - 1e-5).all()
    assert (back <= start + period + 1e-4).all()


def test_levels_are_equally_spaced_from_minus_one_to_one() -> None:
    codec, _ = codec_of("discrete")
    assert codec.encode(torch.tensor([[10.0], [20.0], [30.0]]))[:, 0].tolist() == [-1.0, 0.0, 1.0]


def test_what_lies_between_levels_or_choices_comes_out_on_the_nearest() -> None:
    level, _ = codec_of("discrete")
    z = torch.tensor([[-1.4], [-0.6], [-0.4], [0.3], [0.51], [9.0]])
    assert level.decode(z)[:, 0].tolist() == [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]
    choice, _ = codec_of("category")
    assert choice.encode(torch.tensor([[1.0]])).tolist() == [[0.0, 1.0, 0.0]]
    assert choice.decode(torch.tensor([[0.4, 0.3, 0.2], [0.0, 0.1, 0.2]]))[:, 0].tolist() == [4.0, 100.0]


def test_hard_values_pass_gradients_on() -> None:
    z = torch.tensor([0.3], requires_grad=True)
    to_level(z, 5).mul(3.0).sum().backward()
    soft = torch.tensor([0.3, 0.5], requires_grad=True)
    hard = harden(soft)
    assert hard.tolist() == [0.0, 1.0]
    (hard * torch.tensor([2.0, 7.0])).sum().backward()
    torch.testing.assert_close(z.grad, torch.tensor([3.0]))
    torch.testing.assert_close(soft.grad, torch.tensor([2.0, 7.0]))


@pytest.mark.parametrize("kind", ["discrete", "category"])
def test_a_decoded_choice_tells_a_reward_which_way_to_go(kind: str) -> None:
    codec, _ = codec_of(kind)
    z = torch.full((1, codec.width), 0.2, requires_grad=True)
    codec.decode(z).sum().backward()
    assert z.grad is not None
    assert (z.grad != 0).all()


# -- project -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"min": -2.0, "max": 5.0}, [-2.0, 1.0, 5.0]),
        ({"min": -2.0}, [-2.0, 1.0, 100.0]),
        ({"max": 5.0}, [-100.0, 1.0, 5.0]),
        ({}, [-2.0, 1.0, 5.5]),  # one span of the data outside it, where a rollout runs away
        ({"clamp": True}, [0.5, 1.0, 3.0]),  # what the data show
        ({"min": -2.0, "max": 5.0, "clamp": False}, [-100.0, 1.0, 100.0]),
        ({"scale": "minmax", "min": -2.0, "max": 5.0}, [-2.0, 1.0, 5.0]),
    ],
)
def test_a_range_is_kept_as_declared(options: dict[str, Any], wanted: list[float]) -> None:
    codec = NodeCodec([column(**options)], (), np.array([[0.5], [1.0], [3.0]]))
    z = codec.encode(torch.tensor([[-100.0], [1.0], [100.0]]))
    torch.testing.assert_close(codec.decode(codec.project(z))[:, 0], torch.tensor(wanted))
    assert codec.is_bounded == (wanted != [-100.0, 1.0, 100.0])


def test_the_range_of_a_logarithm_is_kept_in_its_own_units() -> None:
    codec = NodeCodec([column(scale="log", min=0.01, max=100.0)], (), np.geomspace(0.1, 10, 50)[:, None])
    z = codec.encode(torch.tensor([[1e-6], [3.0], [1e6]]))
    torch.testing.assert_close(
        codec.decode(codec.project(z))[:, 0], torch.tensor([0.01, 3.0, 100.0]), rtol=1e-4, atol=0
    )


def test_a_declared_circle_has_radius_one_whatever_its_columns_scale() -> None:
    values = np.stack([np.cos(np.linspace(0, 1, 50)), np.sin(np.linspace(0, 1, 50)), np.arange(50.0)], axis=1)
    columns = [column("cos"), column("sin"), column("speed")]
    codec = NodeCodec(columns, [(0, 1)], values)
    x = torch.tensor([[3.0, 4.0, 7.0], [0.01, 0.0, -7.0]])
    kept = codec.decode(codec.project(codec.encode(x)))
    torch.testing.assert_close(kept, torch.tensor([[0.6, 0.8, 7.0], [1.0, 0.0, -7.0]]), rtol=1e-4, atol=1e-5)
    assert codec.is_bounded


def test_a_cyclic_column_stays_on_its_circle() -> None:
    codec, _ = codec_of("cyclic")
    kept = codec.project(torch.tensor([[3.0, 4.0], [-0.2, 0.0]]))
    torch.testing.assert_close(kept, torch.tensor([[0.6, 0.8], [-1.0, 0.0]]))
    assert codec.is_bounded


def test_choices_and_levels_become_hard_and_legal_values_stay() -> None:
    codec, x = several()
    noise = 0.3 * torch.randn(500, codec.width, generator=torch.Generator().manual_seed(0))
    legal = codec.encode(x)
    torch.testing.assert_close(codec.project(legal), legal, rtol=1e-4, atol=1e-5)
    kept = codec.project(legal + noise)
    for start, stop in codec.layout.blocks:
        assert (kept[:, start:stop].sum(-1) == 1).all()
        assert set(kept[:, start:stop].unique().tolist()) == {0.0, 1.0}
    ordered = codec.layout.continuous
    assert set(kept[:, ordered].tolist()) == {-1.0, 0.0, 1.0}
    torch.testing.assert_close(codec.project(kept), kept, rtol=1e-4, atol=1e-5)


def test_bounds_are_told_in_model_space() -> None:
    columns = [column("c", "category", values=(0.0, 1.0)), column("d", min=5.0)]
    codec = NodeCodec(columns, (), np.array([[0.0, 4.0], [1.0, 8.0], [0.0, 6.0]]))
    encoded = codec.encode(torch.tensor([[0.0, 5.0]]))  # the continuous column comes first
    assert float(codec.bound(0, 5.0)) == pytest.approx(float(encoded[0, 0]))


# -- histories ---------------------------------------------------------------------------------


def stacked() -> DecisionGraph:
    description = {
        "metadata": {
            "columns": [
                {"mode": {"dim": "x", "type": "category", "values": [0, 1]}},
                {"angle": {"dim": "x", "type": "continuous", "scale": "cyclic", "period": 360}},
                {"level": {"dim": "x", "type": "continuous"}},
                {"u": {"dim": "u", "type": "continuous"}},
            ],
            "nodes": {"x": {"ts": 3}},
            "graph": {"u": ["ts_x"], "next_x": ["x", "u"]},
        }
    }
    return parse_description(description, "test")


def test_a_history_is_its_frames_side_by_side() -> None:
    graph = stacked()
    frames = np.stack([RNG.integers(0, 2, 60), RNG.uniform(0, 360, 60), RNG.normal(9, 3, 60)], axis=1)
    codec = Codec.fit(graph, {"x": frames, "u": RNG.normal(size=(60, 1))})
    x = torch.as_tensor(frames).reshape(20, 3, 3)
    z = codec["ts_x"].encode(x.reshape(20, 9))
    assert codec.width("ts_x") == 3 * codec.width("x") == z.shape[1] == 15
    torch.testing.assert_close(z, torch.cat([codec["x"].encode(x[:, i]) for i in range(3)], dim=-1))
    torch.testing.assert_close(codec["ts_x"].decode(z).double(), x.reshape(20, 9), rtol=1e-4, atol=1e-3)
