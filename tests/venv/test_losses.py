"""Losses of the user, asked member by member."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from revive.data.layout import Layout
from revive.errors import UserError
from revive.graph.description import parse_description
from revive.nn.heads import Outputs
from revive.venv.losses import NodeLoss, load_losses

LAYOUT = Layout(2)
DESCRIBED: dict[str, Any] = {
    "metadata": {
        "columns": [{name: {"dim": name[0], "type": "continuous"}} for name in ("x0", "x1", "u0", "u1")],
        "graph": {"u": ["x"], "next_x": ["x", "u"]},
        "nodes": {"next_x": {"loss_type": "user_module.mine"}},
    }
}


def outputs(members: int = 3, rows: int = 4) -> Outputs:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(members, rows, 2, generator=generator).requires_grad_()
    return Outputs(mean, torch.zeros(members, 1, 2), None)


def batch(members: int = 3, rows: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(members, rows, 2, generator=generator) for name in ("next_x", "u")}


def loss_of(function: Any) -> NodeLoss:
    return NodeLoss("next_x", function, Path("module.py"), None)  # type: ignore[arg-type]


def distance(data: dict[str, Any]) -> Tensor:
    found: Tensor = (data["node_dist"].mode - data["expert_data"][data["node_name"]]).abs()
    return found


@pytest.mark.parametrize(
    "reduced",
    [lambda x: x.sum(-1).mean(), lambda x: x.sum(-1), lambda x: 2 * x],
    ids=["scalar", "row", "column"],
)
def test_a_mean_over_rows_is_the_same_however_it_is_returned(reduced: Any) -> None:
    out, logged = outputs(), batch()
    found = loss_of(lambda data: reduced(distance(data)))(out, LAYOUT, logged)
    assert found.shape == (3, 4, 2)
    expected = (out.mean - logged["next_x"]).abs().sum(-1).mean(-1)
    torch.testing.assert_close(found.mean((1, 2)), expected)
    found.mean((1, 2)).sum().backward()
    torch.testing.assert_close(out.mean.grad, (out.mean - logged["next_x"]).sign() / 4)


def test_it_sees_one_member_and_all_nodes() -> None:
    seen: list[dict[str, Any]] = []
    loss_of(lambda data: seen.append(data) or distance(data).mean())(outputs(), LAYOUT, batch())
    assert len(seen) == 3
    assert seen[1]["expert_data"]["u"].shape == seen[1]["node_dist"].std.shape == (4, 2)
    assert seen[1]["node_dist"].log_prob(seen[1]["expert_data"]["next_x"]).shape == (4,)


@pytest.mark.parametrize(
    "function", [lambda data: 1.0, lambda data: distance(data)[:2], lambda data: distance(data)[None]]
)
def test_another_shape_is_refused(function: Any) -> None:
    with pytest.raises(UserError, match=r"the loss of 'next_x' is .* for 4 rows"):
        loss_of(function)(outputs(), LAYOUT, batch())


def test_a_loss_that_raises_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "user_module.py"
    file.write_text("def mine(data):\n    return data['expert_data']['next_z']\n")
    graph = parse_description(DESCRIBED, "test")
    loss = load_losses(graph, file)["next_x"]
    with pytest.raises(UserError, match="KeyError: 'next_z'") as caught:
        loss(outputs(), LAYOUT, batch())
    (problem,) = caught.value.problems
    assert (problem.file, problem.place) == (file, "line 2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def other(data):\n    pass\n", "no function 'mine'"),
        ("import nowhere_at_all\n", "ModuleNotFoundError"),
        (None, "no such file"),
    ],
)
def test_a_loss_that_is_not_there_is_one_message(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "user_module.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        load_losses(parse_description(DESCRIBED, "test"), file)
    assert len(caught.value.problems) == 1
    with pytest.raises(UserError, match=r"loss_type of next_x is a function of the user"):
        load_losses(parse_description(DESCRIBED, "test"), None)


def test_a_loss_without_a_gradient_is_refused() -> None:
    with pytest.raises(UserError, match="'next_x' passes on no gradient"):
        loss_of(lambda data: distance(data).detach().mean())(outputs(), LAYOUT, batch())
    with torch.no_grad():  # as where members are judged
        loss_of(lambda data: distance(data).mean())(outputs(), LAYOUT, batch())
