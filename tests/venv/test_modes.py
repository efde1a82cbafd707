"""Rollout modes: what is drawn, and who answers."""

from __future__ import annotations

import pytest
import torch

from revive.errors import UserError
from revive.venv.modes import MODES, roll
from revive.venv.virtual_env import VirtualEnv
from tests.venv.plants import hand_set, plant_graph


def _venv(std: float) -> VirtualEnv:
    """Four members, two of each half: they add .1, .3 | .5, .7 at every step."""
    shift = torch.tensor([0.1, 0.3, 0.5, 0.7]).view(4, 1, 1)
    zero = {"u": (torch.zeros(1, 1), torch.zeros(1)), "next_x": (torch.zeros(3, 1), shift)}
    return hand_set(plant_graph(), zero, members=4, std=std)


def _rolled(mode: str, std: float = 0.0, branches: int = 3, steps: int = 4) -> torch.Tensor:
    venv = _venv(std)
    start = {"x": torch.zeros(4, branches, 1)}
    given = {"wind": torch.zeros(steps, 4, branches, 1)}
    with torch.no_grad():
        return roll(venv, start, given, steps, mode, torch.Generator().manual_seed(0))["next_x"][..., 0]


def test_mean_is_the_members_together_and_draws_nothing() -> None:
    rolled = _rolled("mean", std=0.5)
    assert torch.allclose(rolled[-1, :2], torch.full((2, 3), 0.8))
    assert torch.allclose(rolled[-1, 2:], torch.full((2, 3), 2.4))


def test_sample_draws_noise_alone() -> None:
    assert torch.allclose(_rolled("sample"), _rolled("mean"))
    rolled = _rolled("sample", std=0.1, branches=4000, steps=4)
    assert torch.equal(rolled[:, 0], rolled[:, 1])  # members of a half answer together
    assert float(rolled[-1, 0].detach().std()) == pytest.approx(0.2, rel=0.1)  # four steps of .1


def test_member_keeps_to_one_member_along_a_branch() -> None:
    rolled = _rolled("member")
    assert torch.allclose(rolled[-1, :, 0], torch.tensor([0.4, 1.2, 2.0, 2.8]))


def test_mixture_has_another_member_answer_at_every_step() -> None:
    rolled = _rolled("mixture", steps=40)
    assert 0.1 * 40 < float(rolled[-1, 0, 0].detach()) < 0.3 * 40
    moves = torch.diff(rolled[:, 0, 0])
    assert sorted({round(float(m), 1) for m in moves}) == [0.1, 0.3]


def test_the_same_generator_gives_the_same_rollout() -> None:
    for mode in MODES:
        assert torch.equal(_rolled(mode, std=0.1), _rolled(mode, std=0.1))


def test_an_unknown_mode_is_told() -> None:
    with pytest.raises(UserError, match=r"no rollout mode 'median'"):
        _rolled("median")
