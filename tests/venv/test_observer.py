"""Readings of a latent state: what rollouts carry, what decisions see, and what a filter makes of logged readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.graph.decision_graph import DecisionGraph
from revive.graph.description import parse_description
from revive.venv.judging import estimated
from revive.venv.observer import BURN_IN, Observer, Readings, observable
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import columns, equal_weights, hand_set, plant_graph, rows_of, weights_of

A, B, K, GAIN, STD = 0.9, 0.5, -0.4, 0.25, 0.3
GRAPH = DecisionGraph.build(columns(x=1, u=1), {"u": ["x"], "next_x": ["x", "u"]})
LINEAR = {"next_x": ([[A - 1.0], [B]], [0.0]), "u": ([[K]], [0.0])}


def observed_venv(std: float = 0.0) -> VirtualEnv:
    venv = hand_set(GRAPH, LINEAR, std=std)
    venv.observe(["next_x"])
    venv.observer("next_x").set(torch.full((2, 1, 1), GAIN))
    return venv.requires_grad_(False)


def test_without_noise_the_latent_state_is_what_is_read() -> None:
    start = {"x": torch.tensor([[[1.0]], [[2.0]]])}
    plain = hand_set(GRAPH, LINEAR).requires_grad_(False)
    for name, value in plain.rollout(start, {}, 20).items():
        torch.testing.assert_close(observed_venv().rollout(start, {}, 20)[name], value)


def test_decisions_see_readings_and_the_plant_goes_on_from_the_latent_state() -> None:
    venv, steps = observed_venv(STD), 30
    eps = torch.randn(steps, 2, 5, 1, generator=torch.Generator().manual_seed(0))
    start = {"x": torch.ones(2, 5, 1)}
    rolled = venv.rollout(start, {}, steps, noise={"next_x": eps})
    latent = reading = start["x"]
    for t in range(steps):
        torch.testing.assert_close(rolled["x"][t], reading)
        torch.testing.assert_close(rolled["u"][t], K * reading)
        predicted = A * latent + B * K * reading
        reading = predicted + STD * eps[t]
        latent = predicted + GAIN * STD * eps[t]
        torch.testing.assert_close(rolled["next_x"][t], reading)


def test_members_that_are_handed_on_keep_their_branches_latent_states() -> None:
    venv = hand_set(GRAPH, LINEAR, members=4, std=STD)
    venv.observe(["next_x"])
    venv.observer("next_x").set(torch.full((4, 1, 1), GAIN))
    eps = torch.randn(10, 1, 3, 1, generator=torch.Generator().manual_seed(1)).expand(-1, 4, -1, -1)
    start = {"x": torch.ones(4, 3, 1)}
    still = venv.rollout(start, {}, 10, noise={"next_x": eps})
    moved = venv.rollout(start, {}, 10, noise={"next_x": eps}, shifts=[t % 2 for t in range(10)])
    torch.testing.assert_close(still["next_x"], moved["next_x"])  # all members are equal


def test_logged_readings_are_filtered_and_what_is_missing_is_predicted() -> None:
    venv = observed_venv()
    value = torch.randn(6, 2, 3, 1, generator=torch.Generator().manual_seed(2))
    known = torch.ones_like(value)
    known[2] = 0.0
    start, given = {"x": torch.zeros(2, 3, 1)}, {"u": torch.zeros(9, 2, 3, 1)}
    rolled = venv.rollout(start, given, 9, readings={"next_x": Readings(value, known)})
    latent = start["x"]
    for t in range(9):
        predicted = A * latent
        torch.testing.assert_close(rolled["next_x"][t], predicted)
        latent = predicted if t == 2 or t >= 6 else predicted + GAIN * (value[t] - predicted)


def test_without_an_observer_a_logged_reading_is_the_state() -> None:
    venv = hand_set(GRAPH, LINEAR).requires_grad_(False)
    value = torch.randn(4, 2, 3, 1, generator=torch.Generator().manual_seed(2))
    given = {"u": torch.zeros(5, 2, 3, 1)}
    rolled = venv.rollout({"x": torch.zeros(2, 3, 1)}, given, 5, readings={"next_x": Readings(value, None)})
    torch.testing.assert_close(rolled["x"][1:], value)
    torch.testing.assert_close(rolled["next_x"][1:], A * value)


def test_observers_travel_with_subsets_and_bundles() -> None:
    venv = observed_venv()
    subset = venv.subset(torch.tensor([0, 1]))
    again = VirtualEnv.from_json(venv.to_json())
    again.load_state_dict(venv.state_dict())
    for other in (subset, again):
        assert other.observed == ("next_x",)
        assert equal_weights(weights_of(other), weights_of(venv))


def test_a_venv_that_was_saved_before_there_were_observers_has_none() -> None:
    spec = hand_set(
        plant_graph(), {"next_x": ([[0.0], [0.0], [0.0]], [0.0]), "u": ([[0.0]], [0.0])}
    ).to_json()
    del spec["observed"]
    assert VirtualEnv.from_json(spec).observed == ()


def test_a_gain_starts_where_it_can_be_learned() -> None:
    observer = Observer(1, 3, 2)
    observer.set(torch.tensor([[[0.0, 1.0]]]))
    torch.testing.assert_close(observer.gain, torch.tensor([[[0.05, 0.95, 1.0]]]))


@pytest.mark.parametrize(
    ("load", "inputs", "nodes"),
    [("u", ["x", "u"], ("next_x",)), ("x", ["x", "u"], ("next_x",)), ("x", ["load", "u"], ())],
    ids=["from a decision", "beside", "in between"],
)
def test_a_state_is_observed_only_where_transitions_see_it_itself(
    load: str, inputs: list[str], nodes: tuple[str, ...], tmp_path: Path
) -> None:
    described = {
        "columns": [{name: {"dim": name, "type": "continuous"}} for name in ("x", "u", "load")],
        "graph": {"u": ["x"], "load": [load], "next_x": inputs},
        "expert_functions": {"load": {"node_function": "own.double"}},
    }
    (tmp_path / "own.py").write_text(f"def double(data):\n    return 2 * data['{load}']\n")
    graph = parse_description({"metadata": described}, "test", tmp_path)
    assert observable(graph, Codec.empty(graph), graph.transitions) == nodes


def test_states_are_estimated_from_the_rows_before_within_a_trajectory() -> None:
    venv, generator = observed_venv(), np.random.default_rng(0)
    part = {name: generator.normal(size=(60, 1)) for name in ("x", "u")}
    part["next_x"] = np.vstack([part["x"][1:], generator.normal(size=(1, 1))])
    rows = rows_of(GRAPH, venv.codec, part, part)
    index = torch.tensor([[5, 30, 59, 61, 100]]).expand(2, -1)
    found = estimated(venv, rows, index)["x"]
    x, u = (rows.values[name] for name in ("x", "u"))
    for place, row in enumerate(index[0].tolist()):
        latent = x[row]
        if row % 60 >= BURN_IN:
            latent = x[row - BURN_IN]
            for r in range(row - BURN_IN, row):
                predicted = A * latent + B * u[r]
                latent = predicted + GAIN * (x[r + 1] - predicted)
        torch.testing.assert_close(found[:, place], latent.expand(2, 1), rtol=1e-4, atol=1e-5)
