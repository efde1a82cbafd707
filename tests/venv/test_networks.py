"""What every head and backbone does; a new one is tested by one line of `SHAPES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor

from revive.config.compose import load_settings
from revive.config.networks import OwnNetwork
from revive.data.codec import Codec
from revive.data.layout import Layout
from revive.data.windows import Rows
from revive.deploy.bundle import read_venv, save_venv
from revive.errors import UserError
from revive.graph.amend import amended
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph
from revive.graph.declaration import Declaration, EffectRule, NodeOptions
from revive.nn import heads
from revive.pipeline.late import histories
from revive.pipeline.problems import RUNS, own_networks
from revive.venv.functions import UserCode
from revive.venv.learners.bc import BehaviourCloning
from revive.venv.node_model import NetworkSpec, NodeModel
from revive.venv.problem import VenvProblem
from tests.contract import interrupted
from tests.venv.learners.test_bc import BC
from tests.venv.mixed import MIXED, MIXED_GRAPH, mixed_logs
from tests.venv.plants import answers, equal_weights, train, weights_of
from tests.venv.problems import problem_of

USUAL = NetworkSpec(hidden=(8,))
SHAPES = {
    "normal": USUAL,
    "conditioned": replace(USUAL, std="conditioned"),
    "student_t": replace(USUAL, head="student_t"),
    "mixture": replace(USUAL, head="mixture", components=3),
    "conditioned mixture": replace(USUAL, head="mixture", components=2, std="conditioned"),
    "zero_inflated": replace(USUAL, head="zero_inflated"),
    "normalised": replace(USUAL, norm="layer", activation="elu"),
    "absolute": replace(USUAL, transition="absolute"),
    "residual": replace(USUAL, backbone="residual", hidden=(8, 6)),
    "transformer": replace(USUAL, backbone="transformer", hidden=(8,), activation="leaky_relu"),
    "gru": replace(USUAL, backbone="gru", hidden=(8, 6)),
    "lstm": replace(USUAL, backbone="lstm", hidden=(8, 6), std="conditioned"),
    "any_step": replace(USUAL, backbone="any_step", hidden=(8, 6)),
    "transformer over time": replace(USUAL, backbone="transformer", hidden=(8,), head="student_t"),
    "gru mixture": replace(USUAL, backbone="gru", hidden=(8,), head="mixture", components=2),
    "monotone": replace(USUAL, backbone="monotone", hidden=(8, 6)),
}
RISING_GRAPH = DecisionGraph.of(
    Declaration.of(
        MIXED,
        {"u": ["x"], "next_x": ["x", "u"]},
        options={"next_x": NodeOptions(effects=(EffectRule("u", "x0", "increasing"),))},
    )
)
OVER_TIME = ("gru", "lstm", "any_step", "transformer over time", "gru mixture")
FRAMES = 3


def test_every_head_backbone_and_option_has_a_row() -> None:
    options = get_type_hints(NetworkSpec)
    for field in ("head", "backbone", "std", "transition", "norm"):
        wanted = {value for value in _values(options[field]) if value is not None}
        assert {getattr(shape, field) for shape in SHAPES.values()} - {None} == wanted, field
    assert set(RUNS) <= {SHAPES[name].backbone for name in OVER_TIME}


def _values(hint: Any) -> set[Any]:
    """The words that a type allows."""
    parts = get_args(hint)
    return {word for part in parts for word in (_values(part) if get_args(part) else {part})} - {type(None)}


def made_problem(name: str, filler: float = 1e6) -> VenvProblem:
    """Columns of all types, values missing; both nodes have this shape, a transition no atom."""
    shape, graph = SHAPES[name], RISING_GRAPH if name == "monotone" else MIXED_GRAPH
    if name in OVER_TIME:
        graph = amended(graph, histories(graph, FRAMES)).with_inputs("u", ["x"], history=FRAMES)
    codec = Codec.fit(graph, mixed_logs(1, filler=0.0, gaps=False).arrays)
    rows = Rows.of(codec, graph, mixed_logs(1, filler), mixed_logs(2, filler))
    scales = {"u": [1.0], "next_x": [0.3] * codec.layout("next_x").ordered}
    nodes = {"u": shape, **({"next_x": shape} if shape.head != "zero_inflated" else {})}
    return problem_of(
        graph, codec, rows, scales=scales, members=3, keep=2, network=USUAL, nodes=nodes, budget=30
    )


@pytest.fixture(scope="module", params=sorted(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def problem(name: str) -> VenvProblem:
    return made_problem(name)


@pytest.fixture(scope="module")
def trained(problem: VenvProblem, tmp_path_factory: pytest.TempPathFactory) -> BehaviourCloning:
    learner = BehaviourCloning(problem, **BC)
    train(learner, tmp_path_factory.mktemp("trained"))
    return learner


def test_it_is_learned_from_columns_of_all_types_and_not_from_what_fills_gaps(
    trained: BehaviourCloning,
) -> None:
    for name, parameter in trained.result().named_parameters():
        assert torch.isfinite(parameter).all(), name
        assert (parameter.abs() < 1e4).all(), name
    untrained = BehaviourCloning(trained.problem, **BC)
    assert not equal_weights(weights_of(trained.result()), weights_of(untrained.result()))


def test_a_bundle_holds_it(trained: BehaviourCloning, tmp_path: Path) -> None:
    venv = trained.result()
    save_venv(venv, tmp_path, {})
    read = read_venv(tmp_path, UserCode())
    assert equal_weights(weights_of(read), weights_of(venv))
    assert read.to_json() == venv.to_json()
    index = torch.arange(40).expand(venv.members, -1)
    said = answers(venv, trained.rows, index)
    for node, value in answers(read, trained.rows, index).items():
        assert torch.equal(value, said[node]), node


def test_the_seed_decides_and_what_fills_gaps_does_not(
    trained: BehaviourCloning, name: str, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    same = BehaviourCloning(made_problem(name, filler=-3.0), **BC)
    train(same, tmp_path / "same")
    assert equal_weights(weights_of(same.result()), weights_of(trained.result()))
    assert same.notes() == trained.notes()


def test_an_interruption_changes_nothing(
    trained: BehaviourCloning, problem: VenvProblem, tmp_path: Path
) -> None:
    resumed = interrupted(lambda: BehaviourCloning(problem, **BC), tmp_path, 3)
    assert equal_weights(weights_of(resumed.result()), weights_of(trained.result()))


def test_rows_do_not_see_each_other(trained: BehaviourCloning) -> None:
    venv = trained.result()
    index = torch.arange(30).expand(venv.members, -1)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    mixed = answers(venv, trained.rows, index[:, order])
    for node, plain in answers(venv, trained.rows, index).items():
        torch.testing.assert_close(plain[:, order], mixed[node], rtol=1e-5, atol=1e-6)


def test_members_do_not_see_each_other(trained: BehaviourCloning) -> None:
    venv = trained.result()
    few = venv.subset(torch.tensor([0, 2]))
    everyone = answers(venv, trained.rows, torch.arange(30).expand(venv.members, -1))
    picked = answers(few, trained.rows, torch.arange(30).expand(2, -1))
    for node, value in picked.items():
        torch.testing.assert_close(value, everyone[node][[0, 2]], rtol=1e-5, atol=1e-6)


def test_rollouts_take_samples_of_it(trained: BehaviourCloning) -> None:
    venv = trained.result()
    first = torch.arange(10, 15).expand(venv.members, -1)
    start, past = {"x": trained.rows.at(first, ("x",))["x"]}, trained.rows.past(first)
    noise = venv.noise(6, 5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        rolled = venv.rollout(start, {}, 6, noise=noise, past=past)
        quiet = venv.rollout(start, {}, 6, past=past)
    assert all(torch.isfinite(value).all() for value in rolled.values())
    assert not torch.equal(rolled["u"], quiet["u"])


# -- what heads are for ------------------------------------------------------------------------


def fitted(
    spec: NetworkSpec, x: Tensor, target: Tensor, atom: Tensor | None = None
) -> tuple[NodeModel, float]:
    """A node's model after some updates, and its mean cost per row; x (1, N, inputs), target (1, N, 1)."""
    torch.manual_seed(0)
    model = NodeModel(1, x.shape[-1], Layout(1), spec, [1.0], atom=atom)
    known = torch.ones_like(target)
    model.start_linear(x, None, target, known)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        model.cost(x, None, target).mean().backward()
        optimizer.step()
    model.refit_std(x, None, target, known)
    with torch.no_grad():
        return model, float(model.cost(x, None, target).mean())


def made(noise: Callable[[np.random.Generator, np.ndarray], np.ndarray]) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 1500, 1))
    return torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(noise(rng, x), dtype=torch.float32)


def test_a_student_t_finds_the_line_among_outliers() -> None:
    x, target = made(lambda rng, x: 0.5 * x + 0.1 * rng.standard_t(2, size=x.shape))
    (robust, cost), (_, usual) = fitted(SHAPES["student_t"], x, target), fitted(SHAPES["normal"], x, target)
    assert cost < usual - 0.1
    assert (robust.mode(x, None) - 0.5 * x).abs().mean() < 0.03


def test_a_mixture_has_both_habits_of_an_operator() -> None:
    x, target = made(
        lambda rng, x: np.where(rng.random(x.shape) < 0.6, 1.0, -1.0) + 0.05 * rng.normal(size=x.shape)
    )
    (model, cost), (_, usual) = fitted(SHAPES["mixture"], x, target), fitted(SHAPES["normal"], x, target)
    assert cost < usual - 1.0
    assert (model.mode(x[:, :50], None) - 1.0).abs().max() < 0.1
    eps = torch.randn(1, 1500, 1, generator=torch.Generator().manual_seed(0))
    drawn = model.value(x, None, eps).detach()
    assert float((drawn > 0).float().mean()) == pytest.approx(0.6, abs=0.06)
    assert float((drawn.abs() - 1.0).abs().quantile(0.9)) < 0.2


def test_a_stuck_actuator_is_stuck_as_often_as_in_the_logs_and_free_values_are_as_they_are() -> None:
    x, target = made(
        lambda rng, x: np.where(
            rng.random(x.shape) < 0.3, 0.0, 2.0 + 0.5 * x + 0.1 * rng.normal(size=x.shape)
        )
    )
    model, cost = fitted(SHAPES["zero_inflated"], x, target, torch.zeros(1))
    assert cost < fitted(SHAPES["normal"], x, target)[1] - 0.5
    out = model(x, None)
    drawn = heads.sample(
        out, model.layout, torch.randn(1, 1500, 1, generator=torch.Generator().manual_seed(0))
    )
    assert float((drawn == 0).float().mean()) == pytest.approx(0.3, abs=0.05)
    assert (model.mode(x, None) - 2.0 - 0.5 * x).abs().mean() < 0.05
    assert float(out.mean.detach().mean()) == pytest.approx(0.7 * 2.0, abs=0.1)


def test_an_absolute_transition_is_predicted_itself_and_a_residual_one_by_its_change() -> None:
    x, _ = made(lambda rng, x: x)
    current, target = 5.0 * x, 0.5 * x + 1.0
    for name, wanted in (("absolute", target), ("normal", target)):
        model = NodeModel(1, 1, Layout(1), SHAPES[name], [0.3])
        model.start_linear(x, current, target, torch.ones_like(target))
        torch.testing.assert_close(model.mode(x, current), wanted, rtol=0, atol=0.05)
        moved = model.mode(x, current + 1.0) - model.mode(x, current)
        torch.testing.assert_close(moved, torch.full_like(moved, float(name == "normal")), rtol=0, atol=1e-4)


# -- what is asked for by node -------------------------------------------------------------------


def test_a_node_has_its_own_network_where_one_is_asked_for() -> None:
    shared = {"hidden": None, "activation": "silu", "std": "constant", "head": "normal", "backbone": "mlp"}
    found = own_networks(MIXED_GRAPH, shared, {"u": OwnNetwork(head="mixture", hidden=[4])})
    assert found == {"u": NetworkSpec(hidden=(4,), head="mixture")}


def test_the_command_line_names_nodes_as_they_are() -> None:
    typed = [
        "experiment=refrigerator",
        "venv.nodes.next_temperature.head=student_t",
        "venv.network.head=mixture",
    ]
    venv = load_settings(typed).venv
    assert venv.network.head == "mixture"
    assert venv.nodes["next_temperature"].head == "student_t"
    with pytest.raises(UserError, match=r"venv\.nodes\.action\.head"):
        load_settings(["experiment=refrigerator", "venv.nodes.action.head=studentt"])


@pytest.mark.parametrize("head", ["student_t", "mixture", "zero_inflated"])
def test_a_head_of_continuous_columns_is_refused_where_there_are_none(head: str) -> None:
    columns = [Column("x", "x", "continuous"), Column("u", "u", "category", values=(1.0, 2.0))]
    graph = DecisionGraph.build(columns, {"u": ["x"], "next_x": ["x", "u"]})
    shared = {"hidden": None, "activation": "silu", "std": "constant", "head": "normal", "backbone": "mlp"}
    with pytest.raises(
        UserError, match=f"a head '{head}' is for continuous columns: u is category"
    ) as caught:
        own_networks(graph, shared, {"u": OwnNetwork(head=head)})  # type: ignore[arg-type]
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("node", "own", "said"),
    [
        ("next_y", {"head": "mixture"}, r"(?s)'next_y' is no node that is learned.*did you mean 'next_x'"),
        ("next_x", {"head": "zero_inflated"}, "'zero_inflated' is for nodes that are no transitions"),
        ("u", {"norm": "layer", "backbone": "lstm"}, "a backbone 'lstm' has no norm to choose"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(node: str, own: dict[str, str], said: str) -> None:
    shared = {"hidden": None, "activation": "silu", "std": "constant", "head": "normal", "backbone": "mlp"}
    with pytest.raises(UserError, match=said):
        own_networks(MIXED_GRAPH, shared, {node: OwnNetwork(**own)})  # type: ignore[arg-type]
