from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from revive.__main__ import main

DESCRIPTION = """\
metadata:
  columns:
    - level: {dim: tank, type: continuous}
    - valve: {dim: valve, type: continuous, min: -3, max: 3}
  graph:
    valve: [tank]
    next_tank: [tank, valve]
"""
REWARD = "def get_reward(data):\n    return -data['next_tank'].abs()\n"
EXPERIMENT = (
    "# @package _global_\ndataset: {path: logs.npz, description: description.yaml}\nreward: reward.py\n"
)
Write = Callable[..., Path]


def tank_logs(rows: int = 240, seed: int = 0) -> dict[str, np.ndarray]:
    """level' = 0.9 level + 0.3 valve, give or take a bit; in three trajectories."""
    rng = np.random.default_rng(seed)
    valve = np.clip(rng.normal(size=rows), -3, 3)
    level = np.zeros(rows + 1)
    for t in range(rows):
        level[t + 1] = 0.9 * level[t] + 0.3 * valve[t] + 0.05 * rng.normal()
    ends = np.array([rows // 3, 2 * rows // 3, rows])
    return {"tank": level[:-1, None], "valve": valve[:, None], "next_tank": level[1:, None], "index": ends}


@pytest.fixture(scope="session")
def refrigerator_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of the refrigerator, whose figures are rendered; to be read, or copied."""
    log_dir = tmp_path_factory.mktemp("runs")
    arguments = [
        "experiment=refrigerator",
        "debug=fast",
        "tracking=none",
        f"log_dir={log_dir}",
        "run_id=first",
    ]
    assert main(arguments) == 0
    return log_dir / "first"


@pytest.fixture
def tank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the experiment `tank`, its files replaced by what is given; the working directory is empty."""
    folder, work = tmp_path / "experiments of mine", tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("REVIVE_EXPERIMENTS", str(folder))

    def write(logs: dict[str, np.ndarray] | None = None, **files: str) -> Path:
        return write_tank(folder / "tank", logs, **files)

    return write


def write_tank(home: Path, logs: dict[str, np.ndarray] | None = None, **files: str) -> Path:
    """Write the experiment `tank` into a folder, its files replaced by what is given; returns the folder."""
    home.mkdir(parents=True, exist_ok=True)
    texts = {"description.yaml": DESCRIPTION, "reward.py": REWARD, "experiment.yaml": EXPERIMENT}
    texts |= {name.replace("_", "."): text for name, text in files.items()}
    for name, text in texts.items():
        (home / name).write_text(text)
    np.savez(home / "logs.npz", **(logs if logs is not None else tank_logs()))  # type: ignore[arg-type]
    return home


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what is in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
