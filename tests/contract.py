"""What the contract tests of all learners share: arguments as shipped but small, and training that is interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from revive.config.compose import load_settings
from revive.config.instantiate import instantiate
from revive.config.settings import Settings
from revive.config.shipped import shipped
from revive.training import Learner
from tests.venv.plants import train

Made = TypeVar("Made", bound=Learner)


def shipped_learners(section: str) -> set[str]:
    """The learners that `conf` has a file for."""
    return {file.stem for file in (shipped("conf") / section / "learner").glob("*.yaml")}


def small_settings(section: str, name: str, *more: str) -> Settings:
    """As `SECTION=NAME debug=fast` and `more` overrides compose them: a handful of rounds."""
    return load_settings(["experiment=refrigerator", "debug=fast", f"{section}={name}", *more])


def check_files(section: str) -> None:
    """A learner that `conf` has a file for can be chosen, and has tiny limits of its own."""
    home = shipped("conf") / section
    learners = shipped_learners(section)
    assert {file.stem for file in home.glob("*.yaml")} == learners
    assert {file.stem for file in (home / "debug" / "fast").glob("*.yaml")} == learners


def made_by(settings: Settings, section: str, problem: object) -> Any:
    """The learner of these settings, as a run makes it."""
    return instantiate(getattr(settings, section).learner, f"{section}.learner", problem=problem)


class Unplugged(Exception):
    """In the middle of training."""


def interrupted(make: Callable[[], Made], folder: Path, stop: int) -> Made:
    """Trained through `stop` rounds and no further; a fresh learner then goes on from the checkpoint."""

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            raise Unplugged

    with pytest.raises(Unplugged):
        train(make(), folder, interrupt)
    torch.manual_seed(12345)  # whatever has been drawn since
    torch.rand(7)
    resumed = make()
    if any(folder.iterdir()):
        with torch.no_grad():
            for parameter in resumed.parameters():
                parameter.zero_()  # whatever it was, the checkpoint counts
    steps: list[int] = []
    train(resumed, folder, lambda done, total: steps.append(done))
    assert steps[0] >= stop, "it began anew"
    return resumed


def check_notes(notes: Mapping[str, Any]) -> None:
    """They are plain JSON: what is read back is what was written."""
    assert json.loads(json.dumps(notes)) == notes


def check_gradients(loss: Callable[[], Tensor], parameters: Iterable[Tensor]) -> None:
    """What autograd says of each parameter is the slope of the loss along it, by central differences."""
    loss().backward()
    for parameter in parameters:
        assert parameter.grad is not None
        direction, step = parameter.grad / parameter.grad.norm(), 1e-2
        slope = float((parameter.grad * direction).sum())
        with torch.no_grad():
            parameter.add_(step * direction)
            above = float(loss())
            parameter.sub_(2 * step * direction)
            below = float(loss())
            parameter.add_(step * direction)
        assert slope == pytest.approx((above - below) / (2 * step), rel=0.02)
