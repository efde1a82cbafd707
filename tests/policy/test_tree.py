"""The small tree that imitates a policy."""

from __future__ import annotations

import numpy as np
import pytest

from revive.policy.tree import grow, imitate


def test_a_rule_of_thresholds_is_found_again() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, size=(800, 3))
    y = np.where(x[:, 1] <= 0.25, 1.0, np.where(x[:, 0] <= -0.5, 3.0, 5.0))[:, None]
    told = imitate(x, y, ["a", "b", "c"], ["valve"], {"a": "degC", "valve": "%"})
    assert told["fidelity"]["valve"] == pytest.approx(1.0, abs=0.02)
    lines = told["text"].splitlines()
    assert lines[0].startswith("if b <= 0.")
    assert lines[0].endswith(":")
    assert lines[1].strip().startswith("valve = 1 %")
    assert "if a <= -0." in lines[3]
    assert lines[3].endswith(" degC:")
    assert "c <=" not in told["text"]


def test_what_no_tree_can_imitate_has_a_low_fidelity() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 2))
    assert imitate(x, rng.normal(size=(800, 1)), ["a", "b"], ["valve"])["fidelity"]["valve"] < 0.1


def test_leaves_hold_some_rows_and_a_constant_is_one_leaf() -> None:
    x = np.random.default_rng(0).normal(size=(200, 1))
    tree = grow(x, np.ones((200, 2)))
    assert tree.feature is None
    assert tree.predict(x).shape == (200, 2)
    deep = grow(x, np.sin(8 * x), depth=6, fewest=0.1)

    def shares(node) -> list[float]:  # type: ignore[no-untyped-def]
        return [node.share] if node.feature is None else shares(node.below) + shares(node.above)

    assert sum(shares(deep)) == pytest.approx(1.0)
    assert min(shares(deep)) >= 0.1
