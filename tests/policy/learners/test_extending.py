"""The whole example of docs/extending.md is a learner like any other."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from revive.config.instantiate import instantiate
from revive.policy.choice import Court
from revive.policy.problem import PolicyProblem
from tests.contract import check_notes, interrupted
from tests.policy.conftest import Plant
from tests.policy.problems import problem_of
from tests.venv.plants import equal_weights, train, weights_of

PAGE = Path(__file__).parents[3] / "docs" / "extending.md"
MOST_LINES = 60


@pytest.fixture
def example() -> Iterator[dict[str, Any]]:
    """The section that makes the example, whose module is there as if it were installed."""
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    (section,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert len((code + section).splitlines()) <= MOST_LINES
    values = yaml.load(section, yaml.CSafeLoader)
    values["lr"] = float(values["lr"])  # Hydra reads 3e-3 as a number
    module = ModuleType("marwil")
    sys.modules["marwil"] = module
    exec(compile(code, str(PAGE), "exec"), vars(module))
    yield values
    del sys.modules["marwil"]


def made(section: dict[str, Any], problem: PolicyProblem) -> Any:
    return instantiate(section, "policy.learner", ["marwil.Marwil"], problem=problem)


def test_it_improves_on_what_it_repeats(example: dict[str, Any], plant: Plant, tmp_path: Path) -> None:
    problem = problem_of(plant)
    learner = made(example, problem)
    train(learner, tmp_path)
    choice = Court(problem).choose(learner.candidates())
    assert choice.fallback is None
    assert choice.score.mean_gain > 0
    check_notes(learner.notes())


def test_it_goes_on_from_a_checkpoint_to_the_same_bits(
    example: dict[str, Any], plant: Plant, tmp_path: Path
) -> None:
    problem = problem_of(plant)
    whole = made(example, problem)
    train(whole, tmp_path / "whole")
    torch.manual_seed(3)
    resumed = interrupted(lambda: made(example, problem), tmp_path / "resumed", 2)
    for one, other in zip(resumed.candidates(), whole.candidates(), strict=True):
        assert equal_weights(weights_of(one.policy), weights_of(other.policy))
