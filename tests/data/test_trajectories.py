from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revive.data.trajectories import Trajectories


def make(*lengths: int, missing: bool = False) -> Trajectories:
    ends = np.cumsum(lengths)
    values = np.arange(ends[-1], dtype=float)[:, None]
    arrays = {"x": values, "y": np.hstack([values, -values])}
    return Trajectories(arrays, ends, {"x": values > 2} if missing else None)


def test_bounds_of_trajectories() -> None:
    t = make(2, 3, 1)
    assert (t.rows, t.count) == (6, 3)
    assert t.starts.tolist() == [0, 2, 5]
    assert t.lengths.tolist() == [2, 3, 1]
    assert [t.owner(row) for row in range(6)] == [0, 0, 1, 1, 1, 2]
    assert "3 of 1 to 3 rows" in repr(t)
    assert "y[2]" in repr(t)


def test_select_keeps_rows_and_masks_together() -> None:
    t = make(2, 3, 1, missing=True).select([2, 0])
    assert t.arrays["x"][:, 0].tolist() == [5, 0, 1]
    assert t.ends.tolist() == [1, 3]
    assert t.missing is not None
    assert t.missing["x"][:, 0].tolist() == [True, False, False]
    with pytest.raises(IndexError):
        t.select([2])


def test_cut_stays_inside_trajectories() -> None:
    t = make(4, 4).cut([(1, 3), (6, 8)])
    assert t.arrays["y"][:, 1].tolist() == [-1, -2, -6, -7]
    assert t.ends.tolist() == [2, 4]
    for piece in ((3, 5), (2, 2), (6, 9)):
        with pytest.raises(ValueError, match="not part of one trajectory"):
            make(4, 4).cut([piece])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_selecting_all_in_order_changes_nothing(lengths: list[int]) -> None:
    t = make(*lengths)
    same = t.select(range(t.count))
    assert same.hash() == t.hash()
    assert t.cut(list(zip(t.starts, t.ends, strict=True))).hash() == t.hash()


def test_hash_sees_values_names_ends_and_masks_only() -> None:
    t = make(2, 3)
    different = {
        t.hash(),
        make(3, 2).hash(),
        make(2, 3, missing=True).hash(),
        Trajectories({"x": t.arrays["x"]}, t.ends).hash(),
        Trajectories({"z": t.arrays["x"], "y": t.arrays["y"]}, t.ends).hash(),
        Trajectories({"x": t.arrays["x"] + 1e-9, "y": t.arrays["y"]}, t.ends).hash(),
    }
    assert len(different) == 6
    turned = {name: np.asfortranarray(array) for name, array in reversed(t.arrays.items())}
    assert Trajectories(turned, t.ends).hash() == t.hash()
    assert pickle.loads(pickle.dumps(t)).hash() == t.hash()


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="rising"):
        Trajectories({"x": np.zeros((3, 1))}, np.array([2, 2, 3]))
    with pytest.raises(ValueError, match="3 rows"):
        Trajectories({"x": np.zeros((4, 1))}, np.array([3]))
    with pytest.raises(ValueError, match="mask of 'x'"):
        Trajectories({"x": np.zeros((3, 1))}, np.array([3]), {"x": np.zeros((3, 2), bool)})


def test_what_is_selected_is_copied_only_when_it_is_asked_for() -> None:
    t = make(2, 3, 1, 4, missing=True)
    run = t.select([1, 2])
    assert np.shares_memory(run.arrays["y"], t.arrays["y"])
    apart = t.select([0, 2])
    assert repr(apart) == "Trajectories(2 of 1 to 2 rows, 3 in all, 1 missing: x[1], y[2])"
    assert apart.arrays["y"] is apart.arrays["y"]
    assert type(pickle.loads(pickle.dumps(apart)).arrays) is dict


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.randoms())
def test_parts_of_parts_hold_the_rows_of_the_whole(lengths: list[int], random: Any) -> None:
    t = make(*lengths, missing=True)
    part = t.select(random.sample(range(t.count), random.randint(1, t.count)))
    pieces = []
    for _ in range(random.randint(1, 4)):
        number = random.randrange(part.count)
        start = random.randrange(int(part.starts[number]), int(part.ends[number]))
        pieces.append((start, random.randint(start + 1, int(part.ends[number]))))
    rows = [row for start, end in pieces for row in range(start, end)]
    cut = part.cut(pieces)
    assert cut.missing is not None
    assert part.missing is not None
    for name in ("x", "y"):
        np.testing.assert_array_equal(cut.arrays[name], np.asarray(part.arrays[name])[rows])
    np.testing.assert_array_equal(cut.missing["x"], part.missing["x"][rows])
    assert cut.lengths.tolist() == [end - start for start, end in pieces]
