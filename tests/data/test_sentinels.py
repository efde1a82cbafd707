"""Numbers that stand for "no value"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from revive.data.readers import ReadOptions, read_trajectories
from revive.data.report import check_data
from revive.data.scaffold import guess
from revive.data.sentinels import sentinels
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

RNG = np.random.default_rng(0)
SMOOTH = 20 + np.cumsum(RNG.normal(size=400)) * 0.05


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (-9999, 0.01),
        (-9999, 0.05),
        (-9999, 0.6),
        (1e30, 0.0),
        (-999, 0.02),
        (850.0, 0.03),
        (3.402823e38, 0.1),
        (-1, 0.3),
    ],
)
def test_a_number_far_from_all_others_is_found_at_any_share(value: float, share: float) -> None:
    values = SMOOTH.copy()
    values[RNG.permutation(400)[: max(1, int(400 * share))]] = value
    found = sentinels(values)
    assert [sentinel.value for sentinel in found] == [value]
    assert found[0].count == max(1, int(400 * share))
    assert values[found[0].first] == value


def test_two_of_them_are_found() -> None:
    values = SMOOTH.copy()
    values[5], values[9:20] = 1e30, -9999
    assert {sentinel.value for sentinel in sentinels(values)} == {1e30, -9999}


@pytest.mark.parametrize("value", [0.0, -1.0, 40.0])
def test_a_state_that_drops_out_for_a_row_is_found(value: float) -> None:
    values = SMOOTH.copy()
    values[[30, 31, 90, 200, 201, 202, 310]] = value
    assert [(s.value, s.count, s.first) for s in sentinels(values)] == [(value, 7, 30)]
    found = sentinels(values, leaps=True)
    assert [s.value for s in found] == ([] if value == 0 else [value]), "an action may be set to 0 for a row"


@pytest.mark.parametrize(
    "values",
    [
        SMOOTH,
        np.where(np.arange(400) % 80 < 20, 0, SMOOTH),  # off for long
        np.maximum(SMOOTH - 19.5, 0),  # an empty tank
        np.where(RNG.random(400) < 0.96, 0, RNG.uniform(20, 85, 400)),  # a valve that is nearly always closed
        np.where(RNG.random(400) < 0.5, 0, RNG.uniform(2900, 3000, 400)),  # a motor that is off
        RNG.choice([0, 25, 50, 75, 100], 400),
        np.minimum(RNG.normal(80, 20, 400), 100.0),  # saturation
        RNG.choice([0.0, 1.0], 400),
        RNG.normal(size=400) * 1e6,
        np.full(400, 7.0),
        RNG.uniform(-120, 60, 400).round(),
        np.append(SMOOTH, 60.0),  # one spike is an outlier
    ],
)
def test_what_plants_do_is_not_taken_for_nothing(values: np.ndarray) -> None:
    assert sentinels(np.asarray(values, float)) == []


def test_they_are_named_offered_and_never_in_a_guessed_range(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "logs.csv"
    values = SMOOTH.round(3)
    values[[30, 40, 50, 60]] = -9999
    rows = [f"{value},{n % 7}.5" for n, value in enumerate(values)]
    path.write_text("\n".join(["level,valve", *rows]))
    found = guess(path)
    assert "'level' is -9999 in 4 rows" in caplog.text
    assert found.dataset["missing_values"] == {"level": [-9999.0]}
    assert "-9999" not in found.description
    graph = DecisionGraph.build(
        [Column("level", "state", "continuous"), Column("valve", "action", "continuous")],
        {"action": ["state"], "next_state": ["state", "action"]},
    )
    named = next(
        f for f in check_data(read_trajectories(path, graph), graph).findings if f.code == "no-value"
    )
    assert named.remedy == "if it stands for 'no value': dataset.missing_values=[-9999]"
    for given in ([-9999], {"level": [-9999]}):
        logs = read_trajectories(path, graph, ReadOptions(missing_values=given))
        assert logs.missing is not None
        assert np.flatnonzero(logs.missing["state"][:, 0]).tolist() == [30, 40, 50, 60]
        assert logs.arrays["state"].min() > 0
