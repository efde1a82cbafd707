"""What the tests of experiments with equations of their own share: loading an experiment, controlling its plant."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from revive.__main__ import main
from tests.conftest import figures_not_rendered

Controller = Callable[[Mapping[str, np.ndarray]], np.ndarray]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def load(experiment: str, file: str = "simulator") -> ModuleType:
    path = EXPERIMENTS / experiment / f"{file}.py"
    spec = importlib.util.spec_from_file_location(f"{experiment}_{file}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rewards(experiment: str, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Of every row, (N,)."""
    data = {name: torch.as_tensor(value) for name, value in rows.items() if name != "index"}
    return load(experiment, "reward").get_reward(data)[:, 0].numpy()


def control(plant: object, controller: Controller, steps: int) -> dict[str, np.ndarray]:
    """node -> (steps * B, d), the rows of one step after those of the other."""
    record: dict[str, list[np.ndarray]] = {}
    for _ in range(steps):
        seen = plant.observe()  # type: ignore[attr-defined]
        action = controller(seen)
        row = {**seen, "action": action, **plant.step({"action": action})}  # type: ignore[attr-defined]
        for name, value in row.items():
            record.setdefault(name, []).append(value)
    return {name: np.concatenate(values) for name, values in record.items()}


def assert_same_on_every_call(make_data: Callable[[], Mapping[str, np.ndarray]]) -> None:
    one, other = make_data(), make_data()
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
        assert np.isfinite(value).all(), name


def assert_is_checked_and_runs(
    experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`revive check` finds nothing wrong, and a run of tiny limits goes through."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(EXPERIMENTS))
    with figures_not_rendered():  # the run renders the same
        assert main(["check", f"experiment={experiment}"]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert main([f"experiment={experiment}", "debug=fast", "tracking=none"]) == 0
