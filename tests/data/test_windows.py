from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from revive.data.codec import Codec
from revive.data.trajectories import Trajectories
from revive.data.windows import Rows, Segments, cut_blocks, join_members, leave_out, observed_range
from revive.graph.columns import Column
from revive.graph.decision_graph import DecisionGraph

_GRAPH = DecisionGraph.build(
    [Column("x", "x", "continuous"), Column("u", "u", "continuous")], {"next_x": ["x", "u"]}
)


def ramp(*parts: Sequence[int]) -> Rows:
    """Parts of trajectories of the given lengths; `x` is the row's number over all parts."""
    made, first = [], 0
    for lengths in parts:
        ends = np.cumsum(lengths)
        number = np.arange(first, first + ends[-1], dtype=float)[:, None]
        made.append(Trajectories({"x": number, "u": -number, "next_x": number + 1}, ends))
        first += int(ends[-1])
    return Rows.of(Codec.empty(_GRAPH), _GRAPH, *made)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows_in(segments: Segments, member: int) -> set[int]:
    pairs = zip(segments.starts[member].tolist(), segments.lengths[member].tolist(), strict=True)
    return {row for start, length in pairs for row in range(start, start + length)}


def test_rows_join_parts_and_know_their_trajectories() -> None:
    rows = ramp([2, 3], [4])
    assert rows.count == 9
    assert rows.parts == (range(0, 5), range(5, 9))
    assert rows.starts.tolist() == [0, 2, 5]
    assert rows.lengths.tolist() == [2, 3, 4]
    assert rows.ends.tolist() == [2, 2, 5, 5, 5, 9, 9, 9, 9]
    assert rows.values["x"][:, 0].tolist() == list(range(9))


def test_rows_are_in_model_space() -> None:
    values = np.linspace(10, 30, 100)[:, None]
    arrays = {"x": values, "u": values, "next_x": values}
    codec = Codec.fit(_GRAPH, arrays)
    rows = Rows.of(codec, _GRAPH, Trajectories(arrays, np.array([100])))
    assert float(rows.values["x"].median().abs()) < 0.05
    torch.testing.assert_close(codec.decode(rows.values)["x"], torch.as_tensor(values).float())


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_at_takes_indices_of_any_shape(shape: tuple[int, ...]) -> None:
    rows = ramp([6], [4])
    index = torch.randint(10, shape, generator=seeded())
    drawn = rows.at(index, ("x",))
    assert drawn.keys() == {"x"}
    assert drawn["x"].shape == (*shape, 1)
    assert torch.equal(drawn["x"][..., 0].long(), index)
    assert rows.at(index).keys() == {"x", "u", "next_x"}


def test_no_names_are_no_nodes() -> None:
    assert ramp([6], [4]).at(torch.tensor([1, 2]), ()) == {}


def test_a_window_holds_the_rows_that_follow_and_never_another_trajectory() -> None:
    rows = ramp([5, 4], [6])
    first = torch.tensor([[0, 3, 4], [5, 8, 12]])
    index, valid = rows.windows(first, 4)
    assert index.shape == valid.shape == (4, 2, 3)
    assert index[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert valid[:, 0, 0].all()
    for at, last in (((0, 1), 4), ((0, 2), 4), ((1, 1), 8), ((1, 2), 14)):
        start = int(first[at])
        wanted = [min(row, last) for row in range(start, start + 4)]
        assert index[:, *at].tolist() == wanted
        assert valid[:, *at].tolist() == [row <= last for row in range(start, start + 4)]
    owner = torch.searchsorted(rows.starts, index, right=True)
    assert (owner == owner[:1]).all()


def test_a_reflected_series_turns_round_at_both_ends() -> None:
    rows = ramp([3, 4], [2])
    index = rows.reflected(torch.tensor([0, 2, 4, 6, 8]), 8)
    assert index[:, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert index[:, 1].tolist() == [2, 1, 0, 1, 2, 1, 0, 1]
    assert index[:, 2].tolist() == [4, 5, 6, 5, 4, 3, 4, 5]
    assert index[:, 3].tolist() == [6, 5, 4, 3, 4, 5, 6, 5]
    assert index[:, 4].tolist() == [8, 7, 8, 7, 8, 7, 8, 7]


def test_a_trajectory_of_one_row_reflects_into_itself() -> None:
    assert ramp([1], [1, 3]).reflected(torch.tensor([[0], [1]]), 4).unique(dim=0).tolist() == [[[0], [1]]]


def test_samples_are_uniform_over_all_windows_that_fit() -> None:
    segments = Segments(torch.tensor([[10, 50, 0], [5, 0, 0]]), torch.tensor([[4, 8, 0], [3, 0, 0]]))
    drawn, stop = segments.sample(30_000, 3, seeded())
    assert drawn.shape == (2, 30_000)
    counts = Counter(drawn[0].tolist())
    assert set(counts) == {10, 11, *range(50, 56)}
    shares = np.array([counts[row] for row in sorted(counts)]) / 30_000
    np.testing.assert_allclose(shares, 1 / 8, atol=0.01)
    assert set(drawn[1].tolist()) == {5}
    assert torch.equal(stop[0], torch.where(drawn[0] < 20, 14, 58))
    assert set(stop[1].tolist()) == {8}


def test_a_segment_shorter_than_the_window_offers_its_first_row() -> None:
    segments = Segments(torch.tensor([[10, 30]]), torch.tensor([[2, 6]]))
    counts = Counter(segments.sample(9000, 5, seeded())[0][0].tolist())
    assert set(counts) == {10, 30, 31}
    assert max(counts.values()) < 1.15 * min(counts.values())


def test_the_generator_alone_decides_a_sample() -> None:
    segments = Segments(torch.tensor([[0]]), torch.tensor([[1000]]))
    one, same, other = (segments.sample(50, 1, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_blocks_cover_the_trajectories_of_their_part() -> None:
    rows = ramp([25, 4], [37])
    for part in rows.parts:
        blocks = cut_blocks(rows, part, 10)
        assert [row for start, length in blocks for row in range(start, start + length)] == list(part)
        assert all(length <= 15 for _, length in blocks)
        owners = {(int(rows.ends[start]), int(rows.ends[start + n - 1])) for start, n in blocks}
        assert all(a == b for a, b in owners)


@pytest.mark.parametrize("members", [3, 7])
def test_what_a_member_learns_from_and_what_it_is_judged_on_share_no_row(members: int) -> None:
    rows = ramp([120, 90], [300])
    blocks = cut_blocks(rows, rows.parts[0], 20)
    seen, unseen = leave_out(rows, blocks, members, 0.2, seeded())
    for m in range(members):
        assert not rows_in(seen, m) & rows_in(unseen, m)
        assert rows_in(seen, m) | rows_in(unseen, m) == set(rows.parts[0])
        assert len(rows_in(unseen, m)) == pytest.approx(0.2 * 210, rel=0.25)


def test_every_block_is_left_out_about_equally_often() -> None:
    rows = ramp([230], [10])
    blocks = cut_blocks(rows, rows.parts[0], 10)
    _, unseen = leave_out(rows, blocks, 12, 0.2, seeded())
    counts = Counter(start // 10 for m in range(12) for start in rows_in(unseen, m) if start % 10 == 0)
    assert len(counts) == len(blocks)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_neighbouring_blocks_are_one_segment_unless_a_trajectory_ends_between() -> None:
    rows = ramp([40, 40], [10])
    blocks = cut_blocks(rows, rows.parts[0], 10)
    seen, _ = leave_out(rows, blocks, 1, 1 / 8, seeded())
    spans = sorted(
        (start, start + length)
        for start, length in zip(seen.starts[0].tolist(), seen.lengths[0].tolist(), strict=True)
        if length
    )
    assert len(spans) in {2, 3}  # one of eight blocks is out
    assert not any(start < 40 < end for start, end in spans)
    assert any(end == 40 for _, end in spans) or any(start == 40 for start, _ in spans)


def test_a_single_block_is_both() -> None:
    rows = ramp([30], [30])
    seen, unseen = leave_out(rows, cut_blocks(rows, rows.parts[1], 100), 2, 0.2, seeded())
    for m in range(2):
        assert rows_in(seen, m) == rows_in(unseen, m) == set(range(30, 60))


def test_joined_members_draw_from_their_own_segments() -> None:
    one = Segments(torch.tensor([[0, 20]]), torch.tensor([[5, 5]]))
    other = Segments(torch.tensor([[100]]), torch.tensor([[5]]))
    drawn, _ = join_members(one, other).sample(500, 2, seeded())
    assert set(drawn[0].tolist()) == {0, 1, 2, 3, 20, 21, 22, 23}
    assert set(drawn[1].tolist()) == {100, 101, 102, 103}


def test_a_training_window_reaches_no_row_that_is_kept_to_judge() -> None:
    rows = ramp([95 * 5], [10])
    blocks = cut_blocks(rows, rows.parts[0], 100)
    seen, unseen = leave_out(rows, blocks, 5, 0.2, seeded())
    first, stop = seen.sample(400, 100, seeded())
    index, valid = rows.windows(first, 100, stop)
    for m in range(5):
        assert not set(index[:, m][valid[:, m]].tolist()) & rows_in(unseen, m)


def test_observed_range_is_per_column() -> None:
    low, high = observed_range({"x": torch.tensor([[1.0, 5.0], [3.0, -2.0]])}, ("x",))["x"]
    assert low.tolist() == [1.0, -2.0]
    assert high.tolist() == [3.0, 5.0]
