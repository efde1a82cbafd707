from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from revive.data.codec import Codec
from revive.data.windows import Rows
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.policy.doubt import Doubt
from revive.venv.functions import UserCode
from revive.venv.virtual_env import VirtualEnv
from tests.policy.conftest import Plant
from tests.venv.plants import SMALL, columns, hand_set, logs_of, rows_of

MEMBERS = 6  # three of each half
FORMULA = """
import torch

def step(data: dict[str, torch.Tensor]) -> torch.Tensor:
    return data["x"] + data["u"]
"""


def plants(*slopes: float, residual: float | None = None) -> tuple[VirtualEnv, Rows]:
    """x' = 0.9 x + slope u, a slope for each member; its logs hold u as normal noise.

    residual: the std that the members state, where that is not the noise that made the logs.
    """
    graph = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
    weights = torch.zeros(MEMBERS, 2, 1)
    weights[:, 0], weights[:, 1, 0] = -0.1, torch.tensor(slopes)
    linear = {"u": ([[0.0]], [0.0]), "next_x": (weights, [0.0])}
    venv = hand_set(graph, linear, members=MEMBERS, std=1.0).requires_grad_(False)
    logs = [logs_of(venv, 400, seed=seed) for seed in (1, 2)]
    if residual is not None:
        venv.model("next_x").free_log_std.fill_(math.log(residual))
    return venv, rows_of(graph, venv.codec, *logs)


def at(u: Tensor, steps: int | None = None) -> dict[str, Tensor]:
    """u (B,) for every member, x anything."""
    shape = (MEMBERS, len(u), 1) if steps is None else (steps, MEMBERS, len(u), 1)
    return {
        "x": torch.randn(shape, generator=torch.Generator().manual_seed(3)),
        "u": u[:, None].expand(shape),
    }


def test_there_is_none_where_members_are_equal() -> None:
    venv, rows = plants(*[0.5] * 3, *[0.7] * 3)  # the halves differ, and that is no doubt
    doubt = Doubt(venv, rows)
    u = torch.tensor([-9.0, 0.0, 9.0])
    assert torch.equal(doubt.of(at(u)), torch.zeros(MEMBERS, 3))
    assert (doubt.of_pairs(at(u, 2), torch.Generator().manual_seed(0)) < 1e-3).all()


def test_it_grows_with_what_the_members_disagree_on() -> None:
    venv, rows = plants(0.4, 0.5, 0.6, 0.5, 0.5, 0.5)
    found = Doubt(venv, rows).of(at(torch.tensor([0.0, 1.0, 2.0, -2.0])))
    torch.testing.assert_close(found[0], found[2])  # it is that of a half, whichever member goes there
    torch.testing.assert_close(found[:3, 2], 2.0 * found[:3, 1])
    torch.testing.assert_close(found[:3, 3], found[:3, 2])
    assert (found[:3, 0] < 1e-6).all()
    assert (found[3:] < 1e-6).all()


@pytest.mark.parametrize("spread", [0.01, 0.1, 10.0])
def test_one_is_what_the_logs_show_in_their_least_certain_tenth(spread: float) -> None:
    venv, rows = plants(-spread, 0.0, spread, -2 * spread, 0.0, 2 * spread, residual=1e-4)
    doubt = Doubt(venv, rows)
    for half, part in enumerate(rows.parts):
        u = rows.values["u"][part.start : part.stop, 0]
        found = doubt.of(at(u))[3 * half]
        assert float((found < 1.0).float().mean()) == pytest.approx(0.9, abs=0.005)
    assert doubt.unit.shape == (2,)
    assert float(doubt.unit[1] / doubt.unit[0]) == pytest.approx(2.0, rel=0.3)


def test_what_is_small_beside_the_residual_is_no_doubt() -> None:
    venv, rows = plants(0.49, 0.5, 0.51, 0.49, 0.5, 0.51, residual=0.5)
    doubt = Doubt(venv, rows)
    torch.testing.assert_close(doubt.unit, torch.full((2,), 0.4 * 0.5))
    assert (doubt.of(at(torch.tensor([3.0]))) < 0.2).all()


def test_the_disagreement_is_the_spread_of_the_means_in_units_of_the_change() -> None:
    slopes = (0.1, 0.4, 0.9, 0.0, 0.0, 0.3)
    venv, rows = plants(*slopes)
    doubt = Doubt(venv, rows)
    u = torch.tensor([1.5])
    scale = float(venv.model("next_x").scale)
    wanted = 1.5 * torch.tensor(slopes[:3]).std(unbiased=False) / scale / doubt.unit[0]
    torch.testing.assert_close(doubt.of(at(u))[0, 0], wanted)


def test_two_members_for_each_branch_say_the_same_on_average() -> None:
    venv, rows = plants(0.1, 0.4, 0.9, 0.0, 0.0, 0.3)
    doubt = Doubt(venv, rows)
    u = torch.tensor([0.3, 1.0, -2.0])
    generator = torch.Generator().manual_seed(0)
    squares = torch.stack([doubt.of_pairs(at(u, 5), generator).square() for _ in range(3000)]).mean(0)
    assert squares.shape == (5, MEMBERS, 3)
    wanted = doubt.of(at(u)).square().expand(5, -1, -1)
    torch.testing.assert_close(squares, wanted, rtol=0.06, atol=1e-6)


def test_two_members_for_each_branch_tell_where_doubt_rises() -> None:
    """A gradient leads from the estimate to the action, of every branch to its own."""
    venv, rows = plants(0.1, 0.4, 0.9, 0.0, 0.1, 0.3)
    values = at(torch.tensor([-2.0, 1.0]), 4)
    u = values["u"].clone().requires_grad_()
    Doubt(venv, rows).of_pairs({**values, "u": u}, torch.Generator().manual_seed(0)).sum().backward()
    assert u.grad is not None
    assert torch.equal(u.grad.sign(), u.detach().sign())


def test_one_member_alone_has_no_doubt(plant: Plant) -> None:
    one = hand_set(plant.graph, {"next_x": ([[-0.1], [0.5], [0.1]], [0.0]), "u": ([[0.0]], [0.0])}, members=2)
    doubt = Doubt(one, plant.rows)
    values = {name: torch.randn(3, 2, 5, 1) for name in ("x", "u", "wind")}
    assert torch.equal(doubt.of_pairs(values, torch.Generator()), torch.zeros(3, 2, 5))
    assert torch.equal(doubt.of({k: v[0] for k, v in values.items()}), torch.zeros(2, 5))


def test_a_venv_of_known_formulas_has_no_doubt(tmp_path: Path) -> None:
    """Nothing that is learned follows from what is decided."""
    (tmp_path / "plant.py").write_text(FORMULA)
    described = {
        "metadata": {
            "columns": [{n: {"dim": n, "type": "continuous"}} for n in ("x", "u")],
            "graph": {"u": ["x"], "next_x": ["x", "u"]},
            "expert_functions": {"next_x": {"node_function": "plant.step"}},
        }
    }
    graph = parse_description(described, "test", tmp_path)
    codec = Codec.empty(graph)
    venv = VirtualEnv(graph, codec, 4, SMALL, {"u": [1.0]}, UserCode.load(graph, tmp_path))
    values = {name: torch.randn(3, 4, 5, 1) for name in ("x", "u")}
    logs = {name: torch.randn(30, 1).numpy() for name in ("x", "u", "next_x")}
    doubt = Doubt(venv, rows_of(graph, codec, logs, logs))
    assert torch.equal(doubt.of({k: v[0] for k, v in values.items()}), torch.zeros(4, 5))
    assert torch.equal(doubt.of_pairs(values, torch.Generator()), torch.zeros(3, 4, 5))
