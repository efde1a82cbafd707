"""Members try several weight decays until one of them is clearly better."""

from __future__ import annotations

import torch

from revive.venv.learners.decay import Decay

START = torch.tensor([1.0, 4.0, 1.1, 3.0, 1.0, 2.0, 0.9, 5.0])


def tried(factors: list[float]) -> Decay:
    decay = Decay([0.3, 0.01], 4, torch.device("cpu"))
    decay.start(START)
    decay.settle(START * torch.tensor(factors))
    return decay


def test_members_try_the_decays_in_turn() -> None:
    decay = Decay([0.3, 0.01], 4, torch.device("cpu"))
    torch.testing.assert_close(decay.by_member, torch.tensor([0.3, 0.01] * 4))
    torch.testing.assert_close(Decay(0.1, 2, torch.device("cpu")).by_member, torch.full((4,), 0.1))


def test_the_clearly_better_one_is_given_to_all() -> None:
    decay = tried([0.8, 0.5, 0.82, 0.48, 0.79, 0.51, 0.81, 0.5])
    assert decay.values == [0.01]
    torch.testing.assert_close(decay.by_member, torch.full((8,), 0.01))


def test_what_is_not_clear_stays_open() -> None:
    assert tried([0.8, 0.7, 0.5, 0.6, 0.9, 0.8, 0.6, 0.7]).values == [0.3, 0.01]
    assert tried([0.50, 0.49, 0.50, 0.49, 0.50, 0.49, 0.50, 0.49]).values == [0.3, 0.01]


def test_a_checkpoint_that_was_asked_for_other_decays_does_not_count() -> None:
    settled, other = tried([0.8, 0.5, 0.82, 0.48, 0.79, 0.51, 0.81, 0.5]), Decay(2.0, 4, torch.device("cpu"))
    other.resume(settled.state())
    assert other.values == [2.0]
    same = Decay([0.3, 0.01], 4, torch.device("cpu"))
    same.resume(settled.state())
    assert same.values == [0.01]
