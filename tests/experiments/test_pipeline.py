"""The pipeline's dead time, leak and balance, and what its logs leave to be gained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.experiments.ground_truth import (
    assert_is_checked_and_runs,
    assert_same_on_every_call,
    control,
    load,
    rewards,
)

PIPELINE = load("pipeline")


def feed_forward(seen: Mapping[str, np.ndarray]) -> np.ndarray:
    """The opening that brings the demand where nothing leaks."""
    return PIPELINE.opening_for(seen["demand"])


class Predictor:
    """Predicts the flow at which its opening will arrive, and learns the leak from what the model misses."""

    def __init__(self, seen: Mapping[str, np.ndarray]) -> None:
        self.expected = seen["flow"]
        self.leak = np.zeros_like(self.expected)
        self.under_way = np.tile(PIPELINE.opening_for(self.expected), (1, PIPELINE.DEAD_TIME))

    def __call__(self, seen: Mapping[str, np.ndarray]) -> np.ndarray:
        missed = seen["flow"] - self.expected
        arrives = np.maximum(PIPELINE.inflow(self.under_way[:, :1]), 0.5)
        self.leak = np.clip(self.leak - 0.4 * missed / arrives, -0.05, 0.25)
        self.expected = self.expected + 0.3 * missed
        then = self.expected
        for moment in range(PIPELINE.DEAD_TIME):
            then = self.later(then, self.under_way[:, moment : moment + 1])
        wanted = (2 * seen["demand"] - then) / (1 - self.leak)
        opening = PIPELINE.opening_for(wanted)
        self.expected = self.later(self.expected, self.under_way[:, :1])
        self.under_way = np.hstack([self.under_way[:, 1:], opening])
        return opening

    def later(self, flow: np.ndarray, arrives: np.ndarray) -> np.ndarray:
        return flow + ((1 - self.leak) * PIPELINE.inflow(arrives) - flow) / PIPELINE.RESERVOIR


def test_the_valve_shows_at_the_outlet_after_the_dead_time() -> None:
    pipes = [PIPELINE.Simulator(1, 3, noise=False, leaks=False) for _ in range(2)]
    base = pipes[0].pipe[:, :1]
    moved = []
    for _ in range(60):
        kept, opened = (
            pipe.step({"action": base + extra})["next_flow"].item()
            for pipe, extra in zip(pipes, (0.0, 0.2), strict=True)
        )
        moved.append(opened - kept)
    assert np.abs(moved[: PIPELINE.DEAD_TIME]).max() == 0
    assert moved[PIPELINE.DEAD_TIME] > 0.3
    settled = PIPELINE.inflow(base + 0.2) - PIPELINE.inflow(base)
    assert moved[-1] == pytest.approx(settled.item(), rel=1e-3)


def test_it_starts_in_balance_and_the_valve_can_be_inverted() -> None:
    pipe = PIPELINE.Simulator(4, 0, noise=False, leaks=False)
    seen = pipe.observe()
    np.testing.assert_allclose(seen["flow"], seen["demand"])
    np.testing.assert_allclose(pipe.step({"action": np.ones((4, 1))})["next_flow"], seen["flow"])
    flows = np.linspace(0, PIPELINE.FULL, 11)
    np.testing.assert_allclose(PIPELINE.inflow(PIPELINE.opening_for(flows)), flows, atol=1e-9)


def test_the_leak_comes_and_goes_and_lowers_the_flow() -> None:
    pipe = PIPELINE.Simulator(50, 1)
    leaks = []
    for _ in range(1000):
        pipe.step({"action": np.full((50, 1), 0.5)})
        leaks.append(pipe.leak[:, 0])
    share = np.stack(leaks)
    assert 0 <= share.min() < 0.001
    assert 0.15 < share.max() < PIPELINE.LEAK_LARGEST
    assert 0.2 < (share > 0.05).mean() < 0.5
    assert np.abs(np.diff(share, axis=0)).max() < 0.01  # slow
    leaking, tight = pipe.flow[share[-1] > 0.1], pipe.flow[share[-60:].max(0) < 0.01]
    assert leaking.mean() < tight.mean() - 0.5


def test_the_logs_are_as_the_readme_says() -> None:
    assert_same_on_every_call(PIPELINE.make_data)
    logs = PIPELINE.make_data()
    assert logs["index"][-1] == len(logs["action"]) == 16000
    assert set(logs) == {"demand", "flow", "action", "next_flow", "index"}
    assert rewards("pipeline", logs).mean() == pytest.approx(-0.610, abs=0.005)


def test_there_is_something_to_gain_by_looking_ahead_and_more_by_learning_the_leak() -> None:
    pipes = [PIPELINE.Simulator(20, 7) for _ in range(2)]
    ahead = rewards("pipeline", control(pipes[0], feed_forward, 1000)).mean()
    learning = rewards("pipeline", control(pipes[1], Predictor(pipes[1].observe()), 1000)).mean()
    assert -0.55 < ahead < -0.42
    assert learning > -0.37


def test_check_is_content_and_a_run_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_is_checked_and_runs("pipeline", tmp_path, monkeypatch, capsys)
