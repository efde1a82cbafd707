"""Networks of the user: plain modules, and nodes that derive from the base class under REVIVE's name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.custom import CustomNet, load_networks

HEAD = """\
import torch
from revive.computation.graph import NetworkDecisionNode
from revive.computation.modules import MLP, DistributionWrapper
"""
GEARED = """
class Gears(torch.nn.Module):
    def __init__(self, inputs, outputs, width, depth, dist_config):
        super().__init__()
        self.low, self.high = (MLP(inputs, outputs, width, depth) for _ in range(2))
        self.distribution = DistributionWrapper("mix", dist_config=dist_config)

    def forward(self, x, gear):
        return self.distribution(self.low(x) * gear[..., :1] + self.high(x) * gear[..., 1:])

class Mine(NetworkDecisionNode):
    def initialize_network(self, input_dim, output_dim, hidden_features, hidden_layers, dist_config, *args, **kwargs):
        assert kwargs["is_transition"] is False
        self.network = Gears(2, output_dim, hidden_features, hidden_layers, dist_config)

    def __call__(self, data, *args, **kwargs):
        return self.network(data["x"], data["gear"])

    def reset(self):
        pass
"""


def graph_with(folder: Path, body: str) -> DecisionGraph:
    """gear <- x, u <- (x, gear) by the class `Mine`, next_x <- (x, u)."""
    (folder / "mine.py").write_text(HEAD + body)
    columns = [{name: {"dim": name[0], "type": "continuous"}} for name in ("x0", "x1", "u")]
    columns.append({"gear": {"dim": "gear", "type": "category", "values": [1, 2]}})
    described = {
        "columns": columns,
        "graph": {"gear": ["x"], "u": ["x", "gear"], "next_x": ["x", "u"]},
        "custom_nodes": {"u": "mine.Mine"},
    }
    return parse_description({"metadata": described}, "test", folder)


def net(folder: Path, body: str, members: int = 3) -> CustomNet:
    make, path = load_networks(graph_with(folder, body), folder)["u"]
    return CustomNet(members, 4, 1, make, path)


def test_a_node_of_the_base_class_sees_its_inputs_by_name(tmp_path: Path) -> None:
    made = net(tmp_path, GEARED)
    x = torch.randn(3, 5, 4)
    out = made(x)
    assert out.shape == (3, 5, 1)
    turned = torch.cat([x[..., :2], x[..., [3, 2]]], -1)  # the other gear
    both = torch.cat([x[..., :2], torch.ones(3, 5, 2)], -1)
    torch.testing.assert_close(made(both) - out, made(torch.cat([x[..., :2], 1 - x[..., 2:]], -1)))
    assert not torch.allclose(out, made(turned))


def test_every_member_has_weights_of_its_own_that_learn(tmp_path: Path) -> None:
    made = net(tmp_path, GEARED)
    out = made(torch.ones(3, 2, 4))
    assert not torch.allclose(out[0], out[1])
    out[0].sum().backward()
    slopes = [p.grad for p in made.residual_parameters()]
    assert all(s is not None and bool((s[1:] == 0).all()) for s in slopes)
    assert any(bool((s[0] != 0).any()) for s in slopes if s is not None)


def test_the_base_class_has_a_network_of_its_own(tmp_path: Path) -> None:
    made = net(tmp_path, "\nclass Mine(NetworkDecisionNode):\n    pass\n")
    assert made(torch.zeros(3, 6, 4)).shape == (3, 6, 1)


def test_a_plain_module_may_use_the_same_parts(tmp_path: Path) -> None:
    body = (
        "\nclass Mine(MLP):\n    def __init__(self, inputs, outputs):\n"
        "        super().__init__(inputs, outputs, 8, 2, norm='ln', hidden_activation='swish')\n"
    )
    assert net(tmp_path, body)(torch.zeros(3, 6, 4)).shape == (3, 6, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("\nclass Mine:\n    pass\n", "is no network"),
        (GEARED.replace("self.network = Gears", "self.other = Gears"), "no torch.nn.Module in self.network"),
        (GEARED.replace('data["gear"])', 'data["gaer"])'), "gaer"),
        (GEARED.replace("Gears(2, output_dim", "Gears(2, output_dim + 1"), "not into (3, 1)"),
        (
            "\nclass Mine(MLP):\n    def __init__(self, i, o):\n        super().__init__(i, o, 8, 1)\n\n"
            "    def forward(self, x):\n        return super().forward(x).detach()\n",
            "passes on no gradient",
        ),
        (
            "\nclass Mine(MLP):\n    def __init__(self, i, o):\n        super().__init__(i, o, 8, 1, 'bn')\n",
            "norm is 'bn'",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        net(tmp_path, body)
    assert said in str(caught.value)
    assert "mine.py" in str(caught.value)
