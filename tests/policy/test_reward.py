from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.policy.reward import Reward


def load(folder: Path, body: str) -> Reward:
    """A reward of that function body."""
    path = folder / "reward.py"
    path.write_text(
        "import torch\n\ndef get_reward(data):\n" + "".join(f"    {ln}\n" for ln in body.split("\n"))
    )
    return Reward.load(path)


def batch(rows: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(rows, 2, generator=generator) for name in ("next_x", "action")}


def logs(rows: int = 1000) -> Trajectories:
    rng = np.random.default_rng(0)
    return Trajectories({"x": rng.normal(size=(rows, 1)), "u": rng.normal(size=(rows, 1))}, np.array([rows]))


@pytest.mark.parametrize(
    "body", ["return -data['next_x'][..., 0:1].abs()", "return -data['next_x'][..., 0].abs()"]
)
@pytest.mark.parametrize("lead", [(6,), (4, 3), (2, 3, 1), (1,)])
def test_any_leading_shape_comes_back(tmp_path: Path, body: str, lead: tuple[int, ...]) -> None:
    data = {"next_x": torch.randn(*lead, 2), "u": torch.randn(*lead, 1)}
    reward = load(tmp_path, body)(data)
    assert reward.shape == lead
    torch.testing.assert_close(reward, -data["next_x"][..., 0].abs())


@pytest.mark.parametrize(
    "body",
    [
        "import numpy as np\nreturn np.abs(data['next_x'][..., 0:1])",
        "import numpy as np\nx = data['next_x']\nreturn np.linalg.norm(x[:, :1], axis=-1, keepdims=True)",
        "return data['next_x'][..., :1].numpy().__abs__()",
        "import numpy as np\nx = data['next_x']\nreturn abs(x[..., 0]) if isinstance(x, np.ndarray) else None + 1",
    ],
)
def test_a_reward_of_numpy(tmp_path: Path, body: str) -> None:
    reward, data = load(tmp_path, body), batch()
    expected = data["next_x"][..., 0].abs()
    for value in (data, {name: x.clone().requires_grad_() for name, x in data.items()}):
        found = reward(value)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.detach(), expected)


def test_an_annotated_reward_of_numpy_gets_arrays(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text(
        "import numpy as np\ndef get_reward(data: dict[str, np.ndarray]) -> np.ndarray:\n"
        "    assert isinstance(data['u'], np.ndarray)\n    return -data['u'][:, 0]\n"
    )
    assert Reward.load(path)({"u": torch.ones(3, 1)}).tolist() == [-1.0] * 3


def test_a_reward_that_is_no_number_beside_the_logs_is_asked_at_the_nearest_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = load(tmp_path, "return -torch.acos(data['x'])")
    data = Trajectories({"x": np.linspace(-1.0, 1.0, 101)[:, None]}, np.array([101]))
    reward = plain.within(data, plain.of_logs(data))
    x = torch.tensor([[0.5], [1.7], [-2.0], [1.0]], requires_grad=True)
    found = reward({"x": x})
    found[:3].sum().backward()
    assert bool(torch.isfinite(found).all() and torch.isfinite(x.grad[:3]).all())
    torch.testing.assert_close(found[[0, 3]], -torch.acos(x[[0, 3], 0]))  # elsewhere nothing changes
    assert found.tolist()[1:3] == pytest.approx([0.0, -np.pi], abs=0.03)
    assert x.grad[1:3].tolist() == [[0.0], [0.0]]
    reward({"x": torch.full((2, 1), 5.0)})
    assert caplog.text.count("nearest") == 1  # said once


def test_where_a_rollout_has_run_away_the_reward_stays_no_number(tmp_path: Path) -> None:
    plain = load(tmp_path, "return -data['x'].abs()")
    data = Trajectories({"x": np.linspace(-1.0, 1.0, 101)[:, None]}, np.array([101]))
    found = plain.within(data, plain.of_logs(data))({"x": torch.tensor([[0.5], [torch.nan], [torch.inf]])})
    assert torch.isfinite(found).tolist() == [True, False, False]


def test_a_reward_that_is_no_number_even_there_is_the_worst_that_was_logged(tmp_path: Path) -> None:
    plain = load(
        tmp_path, "return torch.log(data['x'] * data['u'])"
    )  # finite where both are, which none says
    data = Trajectories({"x": np.array([[-1.0], [1.0]]), "u": np.array([[-3.0], [2.0]])}, np.array([2]))
    reward = plain.within(data, plain.of_logs(data))
    x = torch.tensor([[-1.0]], requires_grad=True)
    found = reward({"x": x, "u": torch.tensor([[2.0]])})
    found.backward()
    assert found.tolist() == pytest.approx([np.log(2.0)])
    assert x.grad.tolist() == [[0.0]]


def test_a_file_without_get_reward_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("def reward(data):\n    return data['x']\n")
    with pytest.raises(UserError, match="no function 'get_reward'"):
        Reward.load(path)


def test_what_it_raises_names_file_and_line(tmp_path: Path) -> None:
    reward = load(tmp_path, "scale = 1\nreturn data['next_x'] / scale + undefined")
    with pytest.raises(UserError) as caught:
        reward(batch())
    problem = caught.value.problems[0]
    assert (problem.file, problem.place) == (tmp_path / "reward.py", "line 5")
    assert "NameError" in problem.what
    assert "undefined" in problem.what


def test_an_unknown_node_lists_the_known_ones_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, "return data['actions']")(batch())
    assert "did you mean 'action'" in str(caught.value)
    assert "next_x" in str(caught.value)
    assert "line 4" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return data['next_x']", "shape (5, 2) for 5 rows"),
        ("return data['next_x'].mean()", "shape () for 5 rows"),
        ("return data['next_x'][:2, :1]", "shape (2, 1) for 5 rows"),
        ("return 1.0", "a float, not a tensor"),
        ("pass", "a NoneType, not a tensor"),
        ("return {}", "no terms"),
        ("return {'a': data['next_x']}", "the term 'a' with shape (5, 2) for 5 rows"),
        ("return {'a': data['next_x'][:, :1], 'b': 2}", "the term 'b' as a int, not a tensor"),
    ],
)
def test_what_is_no_reward_per_row_is_refused(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        load(tmp_path, body)(batch())


COLUMNS = {"state": ["oven", "humidity"], "fan": ["fan"], "next_state": ["oven", "humidity"]}
KILN = {"state": torch.ones(5, 2), "fan": torch.ones(5, 1), "next_state": torch.ones(5, 2)}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "return -data['oven']",
            ["name of a column", 'data["state"][..., 0:1]', 'data["next_state"][..., 0:1]'],
        ),
        ("return -data['next_humidity']", ['write data["next_state"][..., 1:2] (after the step)']),
        ("return -data.oven", ["data has no '.oven'", 'data["state"][..., 0:1]']),
        ("return data['nxt_state']", ["did you mean 'next_state'?", "state (0 oven, 1 humidity)"]),
        (
            "return data['next_state'][..., 4:5]",
            ["shape (5, 0)", "a slice begins behind the last one", "1 humidity"],
        ),
        ("return data['next_state']", ["2 numbers for each row", "take one column"]),
        ("return data['next_state'].mean()", ["one number for all rows", "no mean"]),
        ("return data['next_state'][1:, :1]", ["values for 4 rows", "history"]),
        ("return max(data['fan'], 0)", ["torch.where"]),
        ("import math; return math.exp(data['fan'])", ["use those of torch"]),
        ("return data['next_state'][..., 5]", ["counted from 0", "0 oven"]),
        ("return [1.0] * 5", ["torch.stack"]),
        ("pass", ["end get_reward with return"]),
    ],
)
def test_a_wrong_reward_is_explained_in_the_names_of_the_columns(
    tmp_path: Path, body: str, said: list[str]
) -> None:
    load(tmp_path, body)
    with pytest.raises(UserError) as caught:
        Reward.load(tmp_path / "reward.py", columns=COLUMNS)(KILN)
    assert all(part in str(caught.value) for part in said), str(caught.value)


@pytest.mark.parametrize("lead", [(6,), (4, 3)])
def test_named_terms_are_summed_and_can_be_had_apart(tmp_path: Path, lead: tuple[int, ...]) -> None:
    body = "return {'comfort': -data['next_x'][..., 0:1].abs(), 'effort': -data['u'][..., 0] ** 2}"
    data = {"next_x": torch.randn(*lead, 2), "u": torch.randn(*lead, 1)}
    reward, terms = load(tmp_path, body)(data), load(tmp_path, body).terms(data)
    assert list(terms) == ["comfort", "effort"]
    torch.testing.assert_close(terms["comfort"], -data["next_x"][..., 0].abs())
    torch.testing.assert_close(reward, terms["comfort"] + terms["effort"])
    assert load(tmp_path, "return data['u']").terms(data) == {}


def test_a_gradient_passes_through_the_terms(tmp_path: Path) -> None:
    reward = load(tmp_path, "return {'a': -data['x'] ** 2, 'b': data['u'].sign()}")
    assert reward.has_gradient(logs().arrays, ["x"])
    assert not reward.has_gradient(logs().arrays, ["u"])


def test_of_logs_is_the_reward_of_every_row(tmp_path: Path) -> None:
    data = logs()
    reward = load(tmp_path, "return data['x'] + 2 * data['u']").of_logs(data)
    np.testing.assert_allclose(reward, (data.arrays["x"] + 2 * data.arrays["u"])[:, 0], rtol=1e-5, atol=1e-5)


def test_rewards_that_are_not_finite_are_counted_and_the_first_is_shown(tmp_path: Path) -> None:
    data = logs()
    data.arrays["x"][:] = 1.0
    data.arrays["x"][[17, 400]] = -1.0
    with pytest.raises(UserError, match=r"not finite on 2 of 1000.*") as caught:
        load(tmp_path, "return data['x'].sqrt()").of_logs(data)
    assert "row 17" in str(caught.value)


def coupled(rows: int) -> Trajectories:
    data = logs(rows)
    data.arrays["x"][:] += np.linspace(0, 3, rows)[:, None]
    return data


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("return data['x'] - data['x'].mean()", 1000),
        ("return data['x'] / data['x'].abs().max()", 1000),
        ("return data['x'].cumsum(0)", 1000),
        ("return data['x'].cumsum(0)", 100),
        ("return data['x'] - data['x'].mean()", 200),
    ],
)
def test_a_reward_that_depends_on_the_other_rows_is_refused(tmp_path: Path, body: str, rows: int) -> None:
    with pytest.raises(UserError, match="when other rows stand beside it"):
        load(tmp_path, body).of_logs(coupled(rows))


def test_a_reward_that_writes_into_its_data_does_not_change_the_logs(tmp_path: Path) -> None:
    data = logs(50)
    before = data.arrays["x"].copy()
    with contextlib.suppress(UserError):
        load(tmp_path, "data['x'].mul_(2)\nreturn data['x']").of_logs(data)
    np.testing.assert_array_equal(data.arrays["x"], before)


@pytest.mark.parametrize(
    ("body", "nodes", "reached"),
    [
        ("return -data['x'].abs()", ["x"], True),
        ("return -data['x'].abs()", ["u"], False),
        ("return -data['x'].abs()", ["u", "x"], True),
        ("return (data['x'] > 0).float()", ["x"], False),
        ("return data['x'].detach() + data['u']", ["x"], False),
        ("return data['x'].detach() + data['u']", ["u"], True),
        ("return 0.0 * data['x']", ["x"], False),
        ("return torch.as_tensor(data['x'].detach().numpy() ** 2)", ["x"], False),
        ("return torch.as_tensor(data['x'].numpy() ** 2)", ["x"], False),
        ("import numpy as np\nreturn np.abs(data['x'])", ["x"], False),
        ("import numpy as np\nreturn np.where(data['x'] > 0, 1.0, 0.0)", ["x"], False),
        ("return torch.ones_like(data['x'])", ["x", "u"], False),
    ],
)
def test_whether_a_gradient_leads_from_the_reward_to_the_action_is_found_out(
    tmp_path: Path, body: str, nodes: list[str], reached: bool
) -> None:
    assert load(tmp_path, body).has_gradient(logs().arrays, nodes) is reached


def test_looking_for_the_gradient_leaves_the_logs_alone(tmp_path: Path) -> None:
    data = logs(50)
    before = data.arrays["x"].copy()
    assert load(tmp_path, "return data['x'].mul(2.0)").has_gradient(data.arrays, ["x", "a node without data"])
    np.testing.assert_array_equal(data.arrays["x"], before)


def test_a_gradient_passes_through_a_call() -> None:
    def function(data: dict[str, Tensor]) -> Tensor:
        return data["x"] ** 2

    x = torch.randn(3, 4, 1, requires_grad=True)
    Reward(function, Path("reward.py"))({"x": x}).sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


def test_doubles_become_single_precision(tmp_path: Path) -> None:
    assert load(tmp_path, "return data['next_x'][..., 0:1].double()")(batch()).dtype == torch.float32


def test_complex_rewards_and_those_that_end_the_program_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="complex numbers"):
        load(tmp_path, "return torch.complex(data['action'], data['action'])[..., 0:1]")(batch())
    with pytest.raises(UserError, match="SystemExit: 0"):
        load(tmp_path, "raise SystemExit(0)")(batch())
