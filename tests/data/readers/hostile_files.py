# ruff: noqa: E501 - tables of words, many to a line
"""Damaged and hostile data files, drawn at random from sound ones."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.readers.hostile_texts import endless_text, hostile_workbook, spoilt_text, torn_text

Arrays = dict[str, np.ndarray]
Make = Callable[[Path, Arrays, random.Random], Path]
"""Writes a file into a folder; returns what is to be read."""


def write_npz(folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "logs.npz", **arrays)  # type: ignore[arg-type]
    return folder / "logs.npz"


def write_h5(folder: Path, arrays: Arrays) -> Path:
    with h5py.File(folder / "logs.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return folder / "logs.h5"


def write_parquet(folder: Path, arrays: Arrays) -> Path:
    table = {name: pa.array(array[:, 0]) for name, array in arrays.items() if array.ndim == 2}
    pq.write_table(pa.table(table), folder / "logs.parquet")
    return folder / "logs.parquet"


WRITERS = (write_npz, write_h5, write_parquet)

# -- bytes -----------------------------------------------------------------------------------------


def flip(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    path = rng.choice(WRITERS)(folder, arrays)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 8))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return path


def cut(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    path = rng.choice(WRITERS)(folder, arrays)
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])
    return path


def scramble(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    path = rng.choice(WRITERS)(folder, arrays)
    content = bytearray(path.read_bytes())
    start = rng.randrange(len(content))
    for at in range(start, min(start + rng.choice((4, 64, 500)), len(content))):
        content[at] = rng.randrange(256)
    path.write_bytes(content)
    return path


def foreign(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    path = folder / f"logs{rng.choice(('.npz', '.h5', '.parquet', '.hdf5'))}"
    content = (
        b"",
        b"PK\x03\x04",
        b"\x89HDF\r\n\x1a\n",
        b"PAR1PAR1",
        b"PAR1" + rng.randbytes(99) + b"PAR1",
        rng.randbytes(999),
    )
    path.write_bytes(rng.choice(content))
    return path


def no_file(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    suffix = rng.choice((".npz", ".h5", ".parquet", ""))
    path = folder / f"logs{suffix}"
    match rng.randrange(6):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to("/dev/zero")
        case 2:
            path.symlink_to(path)
        case 3:
            path.mkdir()
            os.mkfifo(path / f"a{rng.choice(('.csv', '.parquet'))}")
        case 4:
            with path.open("wb") as file:
                file.truncate(20 << 30)
        case _:
            return folder / rng.choice(("nowhere.npz", "a" * 5000 + ".npz", "x\x00.npz", "nowhere/logs.npz"))
    return path


# -- npz -------------------------------------------------------------------------------------------


def _archive(folder: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(folder / "logs.npz", "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return folder / "logs.npz"


def _npy(array: np.ndarray, **header: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    content = out.getvalue()
    for key, value in header.items():
        length = struct.unpack("<H", content[8:10])[0]
        text = repr({"descr": "<f8", "fortran_order": False, "shape": array.shape} | {key: value})
        content = (
            content[:10] + text.ljust(length - 1).encode()[: length - 1] + b"\n" + content[10 + length :]
        )
    return content


def lying_npz(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    headers: tuple[dict[str, Any], ...] = (
        {"shape": (10**12, 1)}, {"shape": (-1, 1)}, {"shape": (3,)}, {"shape": "x"}, {"descr": "|O"}, {"descr": "<f2"}, {"descr": "<c16"},
        {"fortran_order": 7}, {"shape": (10**30,)}, {"descr": [("a", "<f8")]}, {"descr": "<M8[s]"}, {"shape": ()}, {"descr": "|V8"},
    )  # fmt: skip
    members = {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    name = rng.choice([*arrays])
    members[f"{name}.npy"] = _npy(arrays[name], **rng.choice(headers))
    return _archive(folder, members)


def pickled_npz(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    payload = b"cos\nsystem\n(S'touch RUN'\ntR."
    name = rng.choice([*arrays])
    objects = np.array([[object()]], dtype=object)
    content = _npy(np.zeros((1, 1)), descr="|O")[:-8] + payload
    if rng.random() < 0.5:
        np.savez(folder / "logs.npz", **{**arrays, name: objects.astype(str).astype(object)})  # type: ignore[arg-type]
        return folder / "logs.npz"
    return _archive(folder, {**{f"{n}.npy": _npy(a) for n, a in arrays.items()}, f"{name}.npy": content})


def zip_bomb(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    members = {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    bomb = rng.choice((b"\0" * (200 << 20), _npy(np.zeros((1 << 24, 1)))))
    members[rng.choice(("x.npy", "../../x.npy", "other.npy", "index.npy"))] = bomb
    return _archive(folder, members, zipfile.ZIP_DEFLATED)


# -- h5 --------------------------------------------------------------------------------------------


def linked_h5(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    path = write_h5(folder, arrays)
    with h5py.File(path, "a") as file:
        name = rng.choice([*arrays])
        match rng.randrange(7):
            case 0:
                group = file.create_group("g")
                for i in range(rng.choice((1, 10))):
                    group[f"again{i}"] = group
            case 1:
                file["g"] = file["/"]
            case 2:
                below = file.create_group("g0")
                for depth in range(1, 9):
                    upper = file.create_group(f"g{depth}")
                    for i in range(10):
                        upper[f"k{i}"] = below
                    below = upper
            case 3:
                del file[name]
                file[name] = h5py.ExternalLink(rng.choice(("other.h5", "/etc/passwd", str(path))), "/x")
            case 4:
                del file[name]
                file[name] = h5py.SoftLink(rng.choice((f"/{name}", "/nowhere", ".", "/")))
            case 5:
                del file["x"]
                file.create_group("x")["x"] = 1.0
            case _:
                first, second = file.create_group("a"), file.create_group("b")
                first["b"], second["a"] = second, first
    return path


def hollow_h5(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    """Datasets of other files, and rows that were never written."""
    path = write_h5(folder, arrays)
    name = rng.choice([n for n in arrays if n != "index"])
    rows = len(arrays[name])
    with h5py.File(path, "a") as file:
        del file[name]
        match rng.randrange(5):
            case 0:
                with h5py.File(folder / "other.h5", "w") as other:
                    other["x"] = arrays[name]
                layout = h5py.VirtualLayout(shape=(rows, 1), dtype="f8")
                layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", shape=(rows, 1))
                file.create_virtual_dataset(name, layout, fillvalue=0.0)
            case 1:
                many = rng.choice((rows, 300_000_000))
                file.create_dataset(name, (many, 1), "f8", chunks=rng.choice((None, (min(many, 1000), 1))))
            case 2:
                data = file.create_dataset(name, (rows, 1), "f8", chunks=(10, 1))
                data[:10] = arrays[name][:10]
            case 3:
                (folder / "raw.bin").write_bytes(arrays[name].astype("<f8").tobytes())
                file.create_dataset(name, (rows, 1), "f8", external=[(str(folder / "raw.bin"), 0, rows * 8)])
            case _:
                file.create_dataset(name, (0, 1), "f8", maxshape=(None, 1))
    return path


def episodes_h5(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    """Minari's layout, spoilt."""
    path = folder / "main_data.hdf5"
    with h5py.File(path, "w") as file:
        for number in range(3):
            group = file.create_group(f"episode_{number}")
            group["observations"], group["actions"] = np.zeros((11, 1)), np.zeros((10, 1))
        match rng.randrange(6):
            case 0:
                del file["episode_1"]
                file["episode_1"] = h5py.ExternalLink("other.h5", "/")
            case 1:
                file["episode_1/again"] = file["episode_1"]
            case 2:
                del file["episode_0/actions"]
            case 3:
                del file["episode_2/observations"]
                file["episode_2/observations"] = np.zeros((5, 1))
            case 4:
                file["episode_99999999999999999999999"] = np.zeros(3)
            case _:
                file["episode_3"] = h5py.SoftLink("/episode_3")
    return folder if rng.random() < 0.5 else path


# -- values ----------------------------------------------------------------------------------------


def masked(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    name = rng.choice([n for n in arrays if n != "index"])
    mask = rng.choice((
        np.ones_like(arrays[name]), np.full_like(arrays[name], 7), np.ones(3), np.array("x"), np.full_like(arrays[name], np.nan),
    ))  # fmt: skip
    write = (
        write_npz if mask.dtype.kind == "U" else rng.choice((write_npz, write_h5))
    )  # h5 knows no such text
    return write(folder, {**arrays, f"{name}_isnan_index_": mask})


def odd_values(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    name = rng.choice([*arrays])
    array, over = arrays[name], np.full(arrays[name].shape, 1e300)
    odd = (
        array.astype(complex), array.astype("S8"), over, array[:3], array[None],
        np.zeros((len(array), 0)), np.zeros((0, 1)), np.full_like(array, np.nan, dtype=float), np.full(array.shape, np.inf),
        np.array(1.0), array.astype(bool), np.zeros((len(array), 1), "M8[s]"), np.zeros((len(array), 5000)), -array,
    )  # fmt: skip
    chosen = rng.choice(odd)
    write = write_npz if chosen.dtype.kind == "M" else rng.choice((write_npz, write_h5))  # h5 knows no dates
    return write(folder, {**arrays, name: chosen})


def odd_parquet(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    path = write_parquet(folder, arrays)
    table = pq.read_table(path)
    name, rows = rng.choice(table.column_names), table.num_rows
    odd: tuple[pa.Array, ...] = (
        pa.nulls(rows), pa.nulls(rows, pa.float64()), pa.array(["x"] * rows), pa.array([[1.0]] * rows), pa.array([{"a": 1}] * rows),
        pa.array([b"\xff"] * rows), pa.array([True] * rows), pa.array([None, *[1.0] * (rows - 1)]), pa.array([float("nan")] * rows),
        pa.array([2**63] * rows, pa.uint64()),
    )  # fmt: skip
    number = table.column_names.index(name)
    pq.write_table(table.set_column(number, name, rng.choice(odd)), path)
    return path


MAKERS: tuple[Make, ...] = (
    flip, cut, scramble, foreign, no_file, lying_npz, pickled_npz, zip_bomb, linked_h5, linked_h5, hollow_h5, hollow_h5, episodes_h5,
    masked, odd_values, odd_parquet, spoilt_text, spoilt_text, torn_text, endless_text, hostile_workbook,
)  # fmt: skip
