"""Hostile data files: right, or refused in one message; no value altered, nothing run."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from revive.data.readers import ReadOptions, read_trajectories
from revive.data.readers.checksum import require_sha256, sha256_of
from revive.data.trajectories import Trajectories
from revive.errors import UserError
from tests.data.readers.hostile_files import MAKERS, WRITERS, Arrays, write_h5, write_npz
from tests.data.readers.hostile_texts import sound_text
from tests.data.readers.written_tables import packed
from tests.hostile import drawn_seed, judged
from tests.venv.plants import plant_graph

ROWS = 200
DAMAGED = {"flip", "cut", "scramble", "torn_text"}
# containers with checksums of their own; all others need dataset.sha256
CHECKED = {".npz", ".gz", ".bz2", ".xz", ".xlsx"}
UNALTERED = {*DAMAGED, "zip_bomb", "linked_h5"}


def logs() -> Arrays:
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(ROWS, 1)) for name in ("x", "u", "wind")}
    arrays["next_x"] = np.roll(arrays["x"], -1, axis=0)
    return {**arrays, "index": np.array([120, ROWS])}


def attack(home: Path, count: int, rng: random.Random) -> list[str]:
    """Try so many files; what went wrong."""
    faults, right, graph, arrays = [], 0, plant_graph(), logs()
    for number in range(count):
        make, folder = rng.choice(MAKERS), home / str(number)
        folder.mkdir()
        options = ReadOptions(missing=rng.choice(("error", "mask")))
        files = [write(folder, arrays) for write in WRITERS] + [
            packed(sound_text(arrays), folder / "logs.csv.zst")
        ]
        sound = {path.suffix: sha256_of(path) for path in files}
        for file in folder.iterdir():
            file.unlink()
        path = make(folder, arrays, rng)

        def read() -> Trajectories:
            if make.__name__ in DAMAGED and path.suffix not in CHECKED:  # noqa: B023
                require_sha256(path, sound[path.suffix])  # noqa: B023
            return read_trajectories(path, graph, options)  # noqa: B023

        outcome, said = judged(read)
        right += outcome == "right"
        if outcome == "wrong":
            faults.append(f"{number}: {make.__name__} {path.name[:50]}: {said}")
        elif outcome == "right" and make.__name__ in UNALTERED and not _same(said, arrays):
            faults.append(f"{number}: {make.__name__} {path.name} was read altered")
        shutil.rmtree(folder)
    if Path("RUN").exists():
        faults.append("something was run")
    return (
        faults
        if right < count / 2
        else [*faults, f"{right} of {count} were read: the generator does no harm"]
    )


def _same(read: Trajectories, arrays: Arrays) -> bool:
    return all(np.array_equal(read.arrays[name], arrays[name]) for name in read.arrays)


def _checked(path: Path, wanted: str) -> Trajectories:
    """Reads a file, by its SHA-256 where it has no checksum of its own."""
    if path.suffix not in CHECKED:
        require_sha256(path, wanted)
    return read_trajectories(path, plant_graph())


def test_some_hostile_files(tmp_path: Path) -> None:
    faults = attack(tmp_path, 40, random.Random(1))
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_600_hostile_files(tmp_path: Path) -> None:
    faults = attack(tmp_path, 600, random.Random(drawn_seed()))
    assert not faults, "\n".join(faults)


def refused(path: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(UserError) as caught:
        read_trajectories(path, plant_graph(), options)
    return str(caught.value)


def test_a_group_that_holds_itself(tmp_path: Path) -> None:
    path = write_h5(tmp_path, logs())
    with h5py.File(path, "a") as file:
        group = file.create_group("g")
        group["again"] = group
    assert "the group 'g/again' holds itself, or is there under two names" in refused(path)


def test_rows_that_were_never_written(tmp_path: Path) -> None:
    path = write_h5(tmp_path, logs())
    with h5py.File(path, "a") as file:
        del file["x"]
        file.create_dataset("x", (300_000_000, 1), "f8", chunks=(1000, 1))
    assert "about 300000000 of the 300000000 rows of 'x' were never written" in refused(path)


def test_a_view_of_another_file(tmp_path: Path) -> None:
    path = write_h5(tmp_path, logs())
    with h5py.File(path, "a") as file:
        del file["x"]
        layout = h5py.VirtualLayout(shape=(ROWS, 1), dtype="f8")
        layout[:] = h5py.VirtualSource("other.h5", "x", shape=(ROWS, 1))
        file.create_virtual_dataset("x", layout)
    assert "'x' is a view of other arrays" in refused(path)


def test_a_mask_hides_values_and_one_that_hides_all_is_refused(tmp_path: Path) -> None:
    mask = np.zeros((ROWS, 1))
    mask[7] = 1
    path = write_npz(tmp_path, {**logs(), "wind_isnan_index_": mask})
    assert "wind" in refused(path)
    read = read_trajectories(path, plant_graph(), ReadOptions(missing="mask"))
    assert read.missing is not None
    assert np.flatnonzero(read.missing["wind"]).tolist() == [7]
    path = write_npz(tmp_path, {**logs(), "wind_isnan_index_": np.ones((ROWS, 1))})
    assert "'wind0' of 'wind' holds no value at all" in refused(path, ReadOptions(missing="mask"))
    path = write_npz(tmp_path, {**logs(), "wind_isnan_index_": np.ones(3)})
    assert "does not hold 0 or 1 for each value of 'wind'" in refused(path, ReadOptions(missing="mask"))


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_a_packed_table_that_was_damaged(tmp_path: Path, ending: str) -> None:
    path = packed(sound_text(logs()), tmp_path / f"logs.csv{ending}")
    content, wanted = path.read_bytes(), sha256_of(path)
    for at in range(20, len(content), 97):
        damaged = bytearray(content)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UserError):
            _checked(path, wanted)


def test_a_checksum_tells_a_damaged_file(tmp_path: Path) -> None:
    path = write_h5(tmp_path, logs())
    wanted = sha256_of(path)
    require_sha256(path, wanted.upper())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"has the SHA-256 \w+, dataset\.sha256 says {wanted}"):
        require_sha256(path, wanted)
    assert sha256_of(tmp_path) != wanted
