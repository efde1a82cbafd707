from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revive.data.split import split
from revive.data.trajectories import Trajectories
from revive.errors import UserError


def make(*lengths: int) -> Trajectories:
    ends = np.cumsum(lengths)
    return Trajectories({"row": np.arange(ends[-1], dtype=float)[:, None]}, ends)


def rows(part: Trajectories | None) -> list[int]:
    return [] if part is None else part.arrays["row"][:, 0].astype(int).tolist()


def test_one_trajectory_is_halved_in_time() -> None:
    parts = split(make(2000), validation=0.5)
    assert rows(parts.train) == list(range(1000))
    assert rows(parts.validation) == list(range(1000, 2000))
    assert parts.test is None


def test_gaps_lie_between_the_parts_in_time() -> None:
    parts = split(make(104), validation=0.3, test=0.2, gap=2)
    assert rows(parts.train) == list(range(50))
    assert rows(parts.validation) == list(range(52, 82))
    assert rows(parts.test) == list(range(84, 104))


def test_several_trajectories_stay_whole_and_the_seed_decides() -> None:
    data = make(*[5] * 20)
    one, same, other = (split(data, validation=0.3, test=0.1, seed=seed) for seed in (1, 1, 2))
    assert [part.count for part in (one.train, one.validation, one.test) if part] == [12, 6, 2]
    assert all((part.lengths == 5).all() for part in (one.train, one.validation))
    assert rows(one.train) == rows(same.train)
    assert rows(one.train) != rows(other.train)


def test_inside_cuts_every_trajectory() -> None:
    parts = split(make(10, 20), mode="inside_traj", validation=0.5)
    assert parts.train.ends.tolist() == [5, 15]
    assert rows(parts.validation) == [*range(5, 10), *range(20, 30)]


@pytest.mark.parametrize(("lengths", "options"), [((100,), {}), ((90, 90), {"test": 0.2, "validation": 0.4})])
def test_too_few_whole_trajectories_are_cut(
    lengths: tuple[int, ...], options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    parts = split(make(*lengths), mode="outside_traj", **options)
    assert parts.train.count == parts.validation.count == len(lengths)
    assert "cut in time instead" in caplog.text
    assert rows(parts.train) == rows(split(make(*lengths), mode="inside_traj", **options).train)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(30, 40), min_size=1, max_size=6),
    st.floats(0.1, 0.5),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.integers(0, 3),
    st.sampled_from(["auto", "inside_traj"]),
)
def test_parts_never_share_a_row(
    lengths: list[int], validation: float, test: float, gap: int, mode: Any
) -> None:
    parts = split(make(*lengths), validation=validation, test=test, gap=gap, mode=mode)
    seen = rows(parts.train) + rows(parts.validation) + rows(parts.test)
    assert len(seen) == len(set(seen))
    assert (parts.test is None) == (test == 0)


@pytest.mark.parametrize(
    ("lengths", "options", "said"),
    [
        ((3,), {}, "3 rows, too few"),
        ((100,), {"gap": 98}, "98 rows between"),
        ((3,), {"mode": "outside_traj"}, "3 rows, too few"),
        ((100, 3), {"mode": "inside_traj"}, "trajectory 1"),
        ((100,), {"validation": 0.0}, "validation share is 0"),
        ((100,), {"validation": 0.7, "test": 0.3}, "nothing is left"),
        ((100,), {"gap": -1}, "gap is -1"),
        ((100,), {"mode": "outside"}, "unknown split mode 'outside'"),
    ],
)
def test_what_cannot_be_split_is_explained(
    lengths: tuple[int, ...], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        split(make(*lengths), **options)
