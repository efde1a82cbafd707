"""Every kind of drawn plant makes an experiment that can be read, and a simulator that fits its own logs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from revive.data.readers import from_arrays
from revive.graph.description import read_description
from revive.policy.simulator import GroundTruth
from revive.user_code import load_module
from tests.acceptance.drawn import FOLDER, KINDS, write_experiment


def test_each_file_is_a_kind_that_is_run() -> None:
    assert sorted(KINDS) == sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "base")


@pytest.mark.parametrize("kind", KINDS)
def test_logs_description_reward_and_simulator_fit_together(kind: str, tmp_path: Path) -> None:
    write_experiment(kind, 7, tmp_path / kind)
    graph = read_description(tmp_path / kind / "description.yaml")
    truth = GroundTruth.load(tmp_path / kind / "simulator.py")
    rows = from_arrays(truth.make_data(), graph, kind).arrays
    simulator = truth.module.Simulator(3, 0)
    seen = simulator.observe()
    follows = simulator.step({name: rows[name][:3] for name in graph.decisions})
    for name, value in {**seen, **follows}.items():
        assert value.shape == (3, rows[name].shape[1])
        assert np.isfinite(value).all()
    by_the_plant = {name for name in rows if name not in graph.decisions and not name.startswith("ts_")}
    assert by_the_plant <= {*seen, *follows}
    reward = load_module(tmp_path / kind / "reward.py")
    told = reward.get_reward({name: torch.tensor(value) for name, value in rows.items()})
    assert told.shape == (len(rows["action"]), 1)
    assert torch.isfinite(told).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_follow_from_the_seed(kind: str, tmp_path: Path) -> None:
    for name in ("one", "again"):
        write_experiment(kind, 3, tmp_path / name)
    one, again = (json.loads((tmp_path / name / "parameters.json").read_text()) for name in ("one", "again"))
    assert one == again
