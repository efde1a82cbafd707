"""What the multi-step learner does next, decided from what was judged alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from revive.errors import UserError
from revive.venv.learners.course import MOST_ALONE, REPEATS, Course, planned

WIDTHS = [(4, 4), (8, 8), (8, 8), (16, 16)]


def course(**changed: Any) -> Course:
    usual: dict[str, Any] = {
        "widths": WIDTHS,
        "one_step_updates": 100,
        "lr": 1e-3,
        "curriculum": [[5, 10], [20, 20], [50, 20]],
        "multi_step_lr": 1e-3,
        "filters": (40, 30, 1e-2),
        "longest": 1000,
        "budget": 10_000,
        "least_fall": 0.1,
    }
    return planned(**{**usual, **changed})


def walk(made: Course, falls: list[float], kept: float = 1.0) -> list[tuple[int, int, tuple[int, ...]]]:
    """(horizon, updates, hidden) of the stages that follow where each one lowers the error by so much."""
    stages = []
    for fall in falls:
        stage = made.stage
        if stage is None:
            break
        stages.append((stage.horizon, stage.updates, stage.hidden))
        widened = bool(made.tried) and stage.hidden != made.hidden
        made.note(stage, error=1.0, fall=fall, kept=kept, widened=widened)
    return stages


def test_rounds_double_and_grow_while_the_error_falls() -> None:
    made = course()
    assert walk(made, [0.5] * 4) == [
        (1, 100, (4, 4)),
        (1, 200, (8, 8)),
        (1, 400, (8, 8)),
        (1, 800, (16, 16)),
    ]
    assert made.stage is not None
    assert made.stage.horizon == 5


def test_a_round_that_hardly_lowers_the_error_is_the_last_one() -> None:
    made = course()
    walk(made, [0.5, 0.5, 0.05])
    assert made.stage is not None
    assert (made.stage.horizon, made.stage.hidden) == (5, (8, 8))
    assert "ended after 3" in made.summary()["stopped"]
    assert "by 5%, wanted is 10%" in made.summary()["stopped"]


def test_the_first_network_may_be_too_small() -> None:
    assert [hidden for _, _, hidden in walk(course(), [0.0, 0.5, 0.0])] == [(4, 4), (8, 8), (8, 8)]


def test_a_wider_network_that_hardly_lowers_the_error_is_given_up() -> None:
    made = course()
    walk(made, [0.5, 0.05])
    assert made.hidden == (4, 4)
    assert [(entry["hidden"], entry["stays"]) for entry in made.summary()["tried"]] == [
        ([4, 4], True),
        ([8, 8], False),
    ]
    assert made.stage is not None
    assert made.stage.hidden == (4, 4)


def test_a_multi_step_stage_that_helps_much_is_repeated() -> None:
    stages = walk(course(), [0.0, 0.0] + [0.2] * 20)
    assert [horizon for horizon, _, _ in stages] == [1, 1] + [
        k for k in (5, 20, 50) for _ in range(1 + REPEATS)
    ]


def test_longer_rollouts_are_not_tried_where_long_ones_helped_nobody() -> None:
    made = course()
    stages = walk(made, [0.5, 0.0] + [0.0] * 9, kept=0.0)
    assert [horizon for horizon, _, _ in stages] == [1, 1, 5, 20]
    assert made.stage is None
    assert "20 steps" in made.summary()["stopped"]


def test_stages_are_no_longer_than_the_longest_trajectory() -> None:
    made = course(longest=15)
    assert [stage.horizon for stage in made.curriculum] == [5, 15]
    assert course(longest=1).curriculum == []


@pytest.mark.parametrize("budget", [30, 160, 333, 1000, 5000])
def test_the_budget_is_never_exceeded_and_the_curriculum_has_its_share(budget: int) -> None:
    made = course(budget=budget)
    stages = walk(made, [0.5] * 50)
    assert made.stage is None
    assert sum(updates for _, updates, _ in stages) == made.spent <= budget
    assert min(updates for _, updates, _ in stages) >= 1
    assert any(horizon > 1 for horizon, _, _ in stages)
    assert made.spent <= sum(made.most_updates())
    if made.spent == budget:
        assert "budget" in made.summary()["stopped"]


def test_a_budget_that_trains_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"venv\.budget: 29 updates are too few.*\n.*at least 30"):
        course(budget=29)


def test_the_first_round_cannot_be_left_out() -> None:
    with pytest.raises(UserError, match="one_step_updates: must be at least 1"):
        course(one_step_updates=0)


def test_a_course_goes_on_from_its_state() -> None:
    falls = [0.5, 0.3, 0.05, 0.2, 0.0, 0.0, 0.0]
    for stop in range(len(falls)):
        whole, broken, resumed = course(), course(), course()
        walk(whole, falls)
        walk(broken, falls[:stop])
        resumed.resume(json.loads(json.dumps(broken.state())))
        walk(resumed, falls[stop:])
        assert resumed.summary() == whole.summary()


def test_filters_take_the_place_of_rollouts_and_are_done_again_while_they_help() -> None:
    made = course()
    walk(made, [0.5, 0.0])
    made.filter()
    resumed = course()
    resumed.resume(json.loads(json.dumps(made.state())))
    for one in (made, resumed):
        assert walk(one, [0.3, 0.03, 0.01, 0.5]) == [(40, 30, (4, 4))] * 3
        assert one.summary()["stopped"].endswith(
            "readings are noisy, and filtering them better helped no more"
        )
        assert [entry["filtered"] for entry in one.summary()["tried"]] == [False, False, True, True, True]


def test_filters_behind_which_rollouts_got_no_better_are_given_up_and_all_that_they_did() -> None:
    made = course()
    walk(made, [0.5, 0.0])
    made.filter()
    walk(made, [0.3])
    stage = made.stage
    assert stage is not None
    assert stage.filtered
    assert not made.note(stage, error=1.0, fall=0.3, kept=1.0, widened=False, farther=False)
    assert made.stage is None
    assert [entry["stays"] for entry in made.summary()["tried"]] == [True, False, False, False]
    assert made.summary()["stopped"].endswith("rolled out no better and was given up")


def test_nodes_that_rollouts_do_not_test_go_on_alone_before_longer_rollouts() -> None:
    made = course()
    first = made.stage
    assert first is not None
    made.note(first, error=1.0, fall=0.5, kept=1.0, widened=False, alone=True)
    second = made.stage
    assert second is not None
    assert not second.alone
    made.note(
        second, error=1.0, fall=0.0, kept=0.0, widened=True, alone=True
    )  # the wider network is given up
    for updates, better in ((400, True), (800, False)):
        stage = made.stage
        assert stage is not None
        assert (stage.horizon, stage.updates, stage.hidden, stage.alone) == (1, updates, (4, 4), True)
        made.note(stage, error=1.0, fall=0.0, kept=0.0, widened=False, alone=better)
    assert made.stage is not None
    assert made.stage.horizon == 5


def test_nodes_go_on_alone_so_often_and_within_the_budget() -> None:
    made = course(budget=1000)
    for _ in range(10):
        stage = made.stage
        if stage is None or stage.horizon > 1:
            break
        made.note(stage, error=1.0, fall=0.0, kept=0.0, widened=False, alone=True)
    assert sum(entry.alone for entry in made.tried) <= MOST_ALONE
    assert made.spent <= 1000 - 50  # the curriculum's share is left
