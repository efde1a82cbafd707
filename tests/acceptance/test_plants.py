from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.overview import overview, passing
from tests.acceptance.plants import MARKERS, Outcome, missed_bars, outcome_of, write_readmes

GOOD = Outcome(
    "pendulum",
    None,
    0,
    "episode",
    -610.0,
    -140.0,
    -160.0,
    -120.0,
    -145.0,
    3.0,
    "first_order",
    None,
    [],
    0.05,
    90.0,
    1e9,
)


def summary(**policy: Any) -> dict[str, Any]:
    return {
        "venv": {"at_step": {"venv": {"1": 0.1, "10": 0.2}, "persistence": {"1": 0.2, "10": 2.0}}},
        "policy": {
            "logged": -3.0,
            "predicted": {"mean": -0.8, "interval": {"low": -1.0, "high": -0.6}},
            "truth": {"mean": -0.7, "se": 0.01, "episodes": 40},
            "chosen": {"source": "first_order", "fallback": None, "half": 0, "iteration": 3},
            **policy,
        },
        "verdicts": [{"code": "sign"}, {"code": "sign"}],
    }


def test_a_run_is_told_per_step_or_per_episode() -> None:
    per_step = outcome_of(summary(), "reactor", None, 1, 60.0, 1e9)
    assert (per_step.unit, per_step.logged, per_step.truth, per_step.low) == ("step", -3.0, -0.7, -1.0)
    assert per_step.relative_error == pytest.approx(0.1)
    assert per_step.verdicts == ["sign"]
    episodes = {
        "logs": {"return": -600.0},
        "truth": {"return": -140.0, "se": 2.0},
        "predicted": {"mean": -150.0, "low": -170.0, "high": -130.0},
    }
    per_episode = outcome_of(summary(episodes=episodes), "pendulum", None, 1, 60.0, 1e9, exact=0.02)
    assert (per_episode.unit, per_episode.logged, per_episode.truth) == ("episode", -600.0, -140.0)
    assert per_episode.relative_error == 0.02


def test_a_run_that_meets_every_bar() -> None:
    assert missed_bars([replace(GOOD, seed=seed) for seed in range(5)]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"truth": -155.0, "predicted": -155.0}, "true return below -150"),
        ({"truth": -700.0}, "not above the logs in truth"),
        ({"relative_error": 0.11}, "venv error above 0.1"),
        ({"seconds": 200.0}, "too slow"),
        ({"memory": 2.1e9}, "more than 2 GB"),
        ({"low": -110.0}, "in 0 of 1 runs the interval covers"),
        ({"plant": "lander_hover", "logged": 400.0, "truth": 700.0}, "less than twice"),
    ],
)
def test_a_bar_that_is_missed_is_named(change: dict[str, Any], said: str) -> None:
    assert any(said in text for text in missed_bars([replace(GOOD, **change)]))


def test_a_warning_or_a_fall_back_that_was_said_counts() -> None:
    warned = replace(GOOD, plant="reactor", low=-110.0, high=-100.0, verdicts=["gain"])
    fallen = replace(warned, truth=-620.0, logged=-610.0, se=6.0, fallback="the sign is unclear")
    assert missed_bars([warned, fallen]) == []


def test_policies_from_the_landers_published_logs_must_promise_enough() -> None:
    lander = replace(GOOD, plant="lander_hover", logs="lander_hover", logged=100.0, truth=2000.0, high=3000.0)
    assert missed_bars([replace(lander, predicted=1500.0)]) == []
    assert missed_bars([replace(lander, predicted=1493.0)]) == [
        f"lander_hover on lander_hover-{lander.seed}: promises less than 1500"
    ]


def test_runners_must_reach_the_best_third_of_their_logs_on_average() -> None:
    clones = [
        replace(GOOD, plant="hopper", logged=1445.0, truth=truth, high=3000.0, seed=seed)
        for seed, truth in enumerate((1600.0, 2300.0))
    ]
    assert missed_bars([*clones, replace(clones[0], seed=2, truth=2000.0)]) == []
    assert missed_bars([*clones, replace(clones[0], seed=2, truth=1900.0)]) == [
        "hopper: 1933 on average, the best third of the logs 1955"
    ]


def test_rows_go_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "pendulum" / "README.md"
    readme.parent.mkdir()
    readme.write_text(f"before\n\n{MARKERS[0]}\nold\n{MARKERS[1]}\n\nafter\n")
    for _ in range(2):
        write_readmes([GOOD], tmp_path)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("| pendulum | 0 | -610 | -140 [-160, -120] | -145 ± 3 |") == 1


def test_what_warns_of_nothing_has_to_hold_the_truth() -> None:
    missing = replace(GOOD, low=GOOD.truth + 100 * GOOD.se + 1, high=GOOD.truth + 200 * GOOD.se + 2)
    runs = [replace(GOOD, seed=seed) for seed in range(9)]
    assert passing([*runs, missing])[1] is None  # 9 of 10
    assert (
        passing([*runs, missing, missing])
        == ("of 11 runs that warn of nothing 9 hold the truth, 0 are worse than the logs",) * 2
    )
    elsewhere, warned = replace(missing, logs="other"), replace(missing, verdicts=["baseline"])
    assert passing([*runs, elsewhere, warned])[1] is None


def test_a_plant_has_one_row_for_all_its_runs() -> None:
    clone = replace(GOOD, seed=1, truth=GOOD.truth + 2, fallback="none gains", verdicts=["gain"])
    row = overview({"tank": [GOOD, clone]}).splitlines()[-1]
    assert row.startswith(f"| tank | 2 | {GOOD.unit} |")
    assert f"{GOOD.truth + 1:.4g} ({GOOD.truth:.4g} to {GOOD.truth + 2:.4g})" in row
    assert "| 1 | " in row
    assert f"{GOOD.source.split(',')[0]} 1, clone 1" in row
