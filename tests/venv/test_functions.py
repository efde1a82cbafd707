"""Functions of the user inside the graph: what they get, what they may return, what is said where they err."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.computed import with_functions
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.functions import ExpertFunction, UserCode, check_batches, load_functions
from revive.venv.node_model import NetworkSpec
from revive.venv.virtual_env import VirtualEnv

NUMPY = "import numpy as np\n\ndef load(data: dict[str, np.ndarray]) -> np.ndarray:\n"
TORCH = "import torch\n\ndef load(data: dict[str, torch.Tensor]) -> torch.Tensor:\n"
Make = Callable[..., tuple[DecisionGraph, ExpertFunction]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The graph u <- x, load <- (u, x), next_x <- (x, load); `load` has two columns and that body."""

    def build(body: str, head: str = NUMPY) -> tuple[DecisionGraph, ExpertFunction]:
        (tmp_path / "plant.py").write_text(head + f"    {body}\n")
        columns = [
            {name: {"dim": name.rstrip("01"), "type": "continuous"}} for name in ("x", "u", "load0", "load1")
        ]
        described = {
            "metadata": {
                "columns": columns,
                "expert_functions": {"load": {"node_function": "plant.load"}},
                "graph": {"u": ["x"], "load": ["u", "x"], "next_x": ["x", "load"]},
            }
        }
        graph = parse_description(described, "test", tmp_path)
        return graph, load_functions(graph, tmp_path)["load"]

    return build


def data(rows: int = 30) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(rows, 1, generator=generator).double() for name in ("x", "u")}


SUM = {
    "numpy": (NUMPY, "return np.hstack([data['x'] + 2 * data['u'], data['u'] ** 2])"),
    "torch": (TORCH, "return torch.cat([data['x'] + 2 * data['u'], data['u'] ** 2], -1)"),
}


@pytest.mark.parametrize("library", SUM)
@pytest.mark.parametrize("lead", [(5,), (2, 3), (4, 2, 3)])
def test_numpy_and_torch_get_rows_and_any_shape_comes_back(
    make: Make, library: str, lead: tuple[int, ...]
) -> None:
    head, body = SUM[library]
    _, function = make(body, head)
    x, u = torch.randn(2, *lead, 1)
    wanted = torch.cat([x + 2 * u, u**2], -1)
    torch.testing.assert_close(function({"u": u, "x": x}), wanted)


@pytest.mark.parametrize("library", SUM)
def test_only_torch_passes_gradients_on(make: Make, library: str) -> None:
    head, body = SUM[library]
    _, function = make(body, head)
    u = torch.ones(3, 1, requires_grad=True)
    out = function({"u": u, "x": torch.ones(3, 1)})
    assert out.requires_grad == (library == "torch")
    if library == "torch":
        out.sum().backward()
        torch.testing.assert_close(u.grad, torch.full((3, 1), 4.0))


@pytest.mark.parametrize("library", SUM)
def test_a_function_in_a_rollout_works_in_physical_units(make: Make, library: str) -> None:
    head, body = SUM[library]
    graph, function = make(body, head)
    rng = np.random.default_rng(0)
    logs = {name: rng.normal(20.0, 5.0, (100, graph[name].width)) for name in ("x", "u", "load")}
    codec = Codec.fit(graph, logs)
    scales = {"u": [1.0], "next_x": [1.0]}
    venv = VirtualEnv(graph, codec, 2, NetworkSpec(hidden=(4,)), scales, UserCode({"load": function}))
    with torch.no_grad():
        rolled = codec.decode(venv.rollout({"x": torch.randn(2, 3, 1)}, {}, 5))
    wanted = torch.cat([rolled["x"] + 2 * rolled["u"], rolled["u"] ** 2], -1)
    torch.testing.assert_close(rolled["load"], wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return data['x']", r"load returned shape \(30, 1\) for 30 rows.*\n.*return \(30, 2\)"),
        ("return np.zeros((1, 2))", r"shape \(1, 2\) for 30 rows"),
        ("return np.zeros((2, 30))", r"shape \(2, 30\) for 30 rows"),
        ("return np.hstack([data['x'], np.full_like(data['x'], np.nan)])", "not finite"),
        (
            "return np.hstack([1 / (data['x'] - data['x'][4]), data['u']])",
            "row 4.*not finite|not finite.*row 4",
        ),
        ("return data['y']", "line 4.*KeyError"),
        ("return 1 / 0", "line 4.*ZeroDivisionError"),
        pytest.param("return None", "load returned"),
        pytest.param("return [['a', 'b']] * len(data['x'])", "load returned"),
        pytest.param("return {'load': data['x']}", "load returned"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_is_wrong_with_a_function_is_said(make: Make, body: str, said: str) -> None:
    _, function = make(body)
    with pytest.raises(UserError, match=said) as caught:
        function(data())
    assert all(problem.file == function.path for problem in caught.value.problems)


def test_a_lone_column_may_come_back_flat(tmp_path: Path) -> None:
    (tmp_path / "plant.py").write_text("def load(data):\n    return data['u'][:, 0] * 3\n")
    described = {
        "metadata": {
            "columns": [{name: {"dim": name, "type": "continuous"}} for name in ("x", "u", "load")],
            "expert_functions": {"load": {"node_function": "plant.load"}},
            "graph": {"u": ["x"], "load": ["u"], "next_x": ["x", "load"]},
        }
    }
    graph = parse_description(described, "test", tmp_path)
    function = load_functions(graph, tmp_path)["load"]
    assert function({"u": torch.ones(4, 1)}).tolist() == [[3.0]] * 4


@pytest.mark.parametrize(
    ("body", "coupled"),
    [
        ("return np.hstack([data['x'], data['u']])", False),
        ("return np.hstack([data['x'] - data['x'].mean(), data['u']])", True),
        ("return np.hstack([data['x'], data['u'].cumsum(0)])", True),
        ("return np.hstack([data['x'] / np.abs(data['x']).max(), data['u']])", True),
        ("return np.hstack([np.sort(data['x'], 0), data['u']])", True),
    ],
)
def test_a_function_that_looks_at_other_rows_is_refused(make: Make, body: str, coupled: bool) -> None:
    graph, function = make(body)
    if not coupled:
        check_batches({"load": function}, graph, data())
        return
    with pytest.raises(UserError, match="when other rows stand beside it"):
        check_batches({"load": function}, graph, data())


def test_all_files_that_cannot_be_loaded_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("def one(data):\n    return data['x']\n")
    (tmp_path / "second.py").write_text("def two(data):\n    return data['x']\n")
    described = {
        "metadata": {
            "columns": [{name: {"dim": name, "type": "continuous"}} for name in ("x", "u", "a", "b")],
            "expert_functions": {"a": {"node_function": "first.one"}, "b": {"node_function": "second.two"}},
            "graph": {"u": ["x"], "a": ["x"], "b": ["x"], "next_x": ["x", "u", "a", "b"]},
        }
    }
    graph = parse_description(described, "test", tmp_path)
    (tmp_path / "first.py").write_text("import nowhere_at_all\n")
    (tmp_path / "second.py").unlink()
    with pytest.raises(UserError) as caught:
        load_functions(graph, tmp_path)
    text = str(caught.value)
    assert "first.py" in text
    assert "second.py" in text


# -- logs --------------------------------------------------------------------------------------


def logs(load: np.ndarray | None, missing: np.ndarray | None = None) -> Trajectories:
    rows = data()
    arrays = {name: value.numpy() for name, value in rows.items()}
    masks = None
    if load is not None:
        arrays["load"] = load
        masks = None if missing is None else {"load": missing}
    return Trajectories(arrays, np.array([30]), masks)


def right() -> np.ndarray:
    rows = data()
    return torch.cat([rows["x"] + 2 * rows["u"], rows["u"] ** 2], -1).numpy()


def complete(make: Make, trajectories: Trajectories, ignore_check: bool = False) -> Trajectories:
    graph, function = make(SUM["numpy"][1])

    def on_arrays(inputs: object) -> np.ndarray:
        return function({k: torch.as_tensor(v) for k, v in inputs.items()}).numpy()  # type: ignore[attr-defined]

    return with_functions(trajectories, graph, {"load": on_arrays}, ignore_check)


def test_what_is_not_logged_is_computed(make: Make) -> None:
    np.testing.assert_allclose(complete(make, logs(None)).arrays["load"], right())


def test_what_is_logged_and_right_stays_as_it_is(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    nearly = right() + 1e-5
    np.testing.assert_array_equal(complete(make, logs(nearly)).arrays["load"], nearly)
    assert "differ from its function by up to 1e-05" in caplog.text


def test_what_is_logged_and_differs_is_refused_with_its_row(make: Make) -> None:
    wrong = right()
    wrong[17, 1] += 0.5
    with pytest.raises(
        UserError, match=r"logged values of 'load' differ from its function by up to 0\.5"
    ) as caught:
        complete(make, logs(wrong))
    assert "row 17" in str(caught.value)


def test_what_differs_is_kept_as_it_was_logged_where_that_is_asked_for(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = right()
    wrong[17, 1] += 0.5
    np.testing.assert_array_equal(complete(make, logs(wrong), ignore_check=True).arrays["load"], wrong)
    assert "differ from its function by up to 0.5" in caplog.text


def test_what_is_missing_in_the_log_does_not_differ(make: Make) -> None:
    wrong, mask = right(), np.zeros((30, 2), dtype=bool)
    wrong[17, 1], mask[17, 1] = 99.0, True
    found = complete(make, logs(wrong, mask)).arrays["load"]
    np.testing.assert_array_equal(np.delete(found, 17, axis=0), np.delete(right(), 17, axis=0))
