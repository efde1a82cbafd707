"""Whether a gradient leads from the reward to the action, along the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.graph.description import parse_description
from revive.policy.gradient import leads_to_action, moved_by
from revive.policy.reward import Reward
from revive.venv.functions import load_functions

TORCH = "import torch\ndef cost(data: dict[str, torch.Tensor]) -> torch.Tensor:\n    return "
NUMPY = "import numpy as np\ndef cost(data: dict[str, np.ndarray]) -> np.ndarray:\n    return "


def answer(folder: Path, reward: str, function: str = TORCH + "data['u'] + data['next_x']") -> bool:
    """For u <- x, next_x <- (x, u, w), cost <- (u, next_x), which a function computes."""
    (folder / "plant.py").write_text(function + "\n")
    (folder / "reward.py").write_text(f"import torch\ndef get_reward(data):\n    return {reward}\n")
    columns = [{name: {"dim": name, "type": "continuous"}} for name in ("x", "u", "w", "cost")]
    described = {
        "columns": columns,
        "graph": {"u": ["x"], "next_x": ["x", "u", "w"], "cost": ["u", "next_x"]},
        "expert_functions": {"cost": {"node_function": "plant.cost"}},
    }
    graph = parse_description({"metadata": described}, "test", folder)
    assert moved_by(graph, "u") == {"u", "x", "next_x", "cost"}
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(50, 1)) for name in ("x", "u", "w", "next_x", "cost")}
    return leads_to_action(
        Reward.load(folder / "reward.py"), graph, "u", load_functions(graph, folder), arrays
    )


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        ("-data['next_x'].abs()", True),
        ("-data['x'].abs()", True),  # the state that earlier actions led to
        ("-data['cost']", True),  # what a function makes of action and state
        ("-data['w'].abs()", False),  # what no action moves
        ("torch.where(data['next_x'].abs() < 1, 1.0, 0.0)", False),
    ],
)
def test_it_leads_through_states_and_functions(tmp_path: Path, reward: str, expected: bool) -> None:
    assert answer(tmp_path, reward) is expected


@pytest.mark.parametrize("function", [NUMPY + "data['u'] ** 2", TORCH + "data['u'].detach() ** 2"])
def test_a_function_that_stops_it_leaves_none(tmp_path: Path, function: str) -> None:
    assert answer(tmp_path, "-data['cost']", function) is False
    assert answer(tmp_path, "-data['u'] ** 2 - data['cost']", function) is False
