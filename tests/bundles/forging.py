"""Damaged and hostile bundles, drawn at random from sound ones."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from revive.bundles.manifest import _digest, _text

WORDS: tuple[Any, ...] = (
    None, True, -1, 0, 1, 7, 10**9, 10**30, -0.5, 1e308, "", "x", "next_x", "next_next_x", "a" * 5000, "../../evil",
    "/etc/passwd", "\u202e", [], {}, [[]], ["x"], {"x": 1}, "silu", "category", "state", "history", "\x00",
)  # fmt: skip


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def sign(folder: Path, manifest: dict[str, Any] | None = None, *, weigh: bool = True) -> None:
    """Make the manifest fit the files as they are now."""
    made = manifest_of(folder) if manifest is None else manifest
    made.pop("sha256", None)
    if weigh:
        for name in made["files"]:
            content = (folder / name).read_bytes()
            made["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(_text({**made, "sha256": _digest(made)}))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the description and sign it. `change` may return text to write as it is."""
    file = next(folder.glob("[vp]*.json"))
    spec = json.loads(file.read_text())
    said = change(spec)
    file.write_text(said if isinstance(said, str) else json.dumps(spec))
    sign(folder)


def reweigh(folder: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Change the weights and sign them."""
    file = folder / "model.safetensors"
    tensors = {name: np.array(value) for name, value in load(file.read_bytes()).items()}
    change(tensors)
    file.write_bytes(save(tensors))
    sign(folder)


# -- damage that the checksums must see ------------------------------------------------------------


def flip(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def cut(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))])


def append(folder: Path, rng: random.Random) -> None:
    with rng.choice(_files(folder)).open("ab") as file:
        file.write(rng.randbytes(rng.randrange(1, 100)))


def lose(folder: Path, rng: random.Random) -> None:
    rng.choice(_files(folder)).unlink()


def overwrite(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    content = bytearray(file.read_bytes())
    start = rng.randrange(len(content))
    for at in range(start, min(start + 64, len(content))):
        content[at] ^= rng.randrange(1, 256)
    file.write_bytes(content)


def exchange(folder: Path, rng: random.Random) -> None:
    first, second = rng.sample(_files(folder), 2)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def fifo(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    file.unlink()
    os.mkfifo(file)


def sparse(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    with file.open("r+b") as opened:
        opened.truncate(20 << 30)


def link(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    elsewhere = folder.parent / f"elsewhere-{file.name}"
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


def make_folder(folder: Path, rng: random.Random) -> None:
    file = rng.choice(_files(folder))
    file.unlink()
    file.mkdir()


def foreign(folder: Path, rng: random.Random) -> None:
    content = [
        b"",
        b"\x80\x04\x95.",
        b"PK\x03\x04" + rng.randbytes(200),
        rng.randbytes(500),
        b"null",
        b"[" * 100_000,
    ]
    rng.choice(_files(folder)).write_bytes(rng.choice(content))


DAMAGES = (flip, flip, cut, append, lose, overwrite, exchange, fifo, sparse, link, make_folder, foreign)

# -- forgeries whose checksums are right -----------------------------------------------------------


def mutate_spec(folder: Path, rng: random.Random) -> None:
    def change(spec: dict[str, Any]) -> None:
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            parent, key = rng.choice(
                list(_places({k: v for k, v in spec.items() if k != "provenance"} and spec))
            )
            kind = rng.randrange(4)
            if kind == 0:
                del parent[key]
            elif kind == 1 and isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
            elif kind == 1:
                parent[str(rng.choice(("extra", "code", "__class__", "path")))] = rng.choice(WORDS)
            elif kind == 2:
                others = [p[k] for p, k in _places(spec)]
                parent[key] = copy.deepcopy(rng.choice(others))
            else:
                parent[key] = copy.deepcopy(rng.choice(WORDS))

    rewrite(folder, change)


def bomb_spec(folder: Path, rng: random.Random) -> None:
    def change(spec: dict[str, Any]) -> str | None:
        nodes = spec["graph"]["nodes"]
        leaf = next(node for node in nodes if "columns" in node)
        match rng.randrange(9):
            case 0:
                return "[" * 200_000 + "]" * 200_000
            case 1:
                return json.dumps(spec).replace(
                    "[4]", rng.choice(("[NaN]", "[Infinity]", "[1e999]", "[4.5]"))
                )
            case 2:
                spec["network"]["hidden"] = [rng.choice((10**6, 65_536, 10**18))] * rng.randrange(1, 64)
            case 3:
                leaf["columns"] = [{**leaf["columns"][0], "name": f"c{i}"} for i in range(50_000)]
            case 4:
                nodes += [{**nodes[0], "name": f"n{i}"} for i in range(20_000)]
            case 5:
                history = {"source": leaf["name"], "length": 10_000, "delay": 10_000}
                leaf["columns"] = [{**leaf["columns"][0], "name": f"c{i}"} for i in range(1000)]
                nodes.insert(1, {"name": "ts_q", "kind": "history", "inputs": [], "history": history})
            case 6:
                nodes.append(
                    {
                        "name": "ts_q",
                        "kind": "history",
                        "inputs": [],
                        "history": {"source": "ts_q", "length": 2},
                    }
                )
            case 7:
                spec["provenance"] = {"x": "y" * (33 << 20)}
            case _:
                nested: Any = 1
                for _ in range(150):
                    nested = [nested]
                spec[rng.choice(("network", "graph", "target", "kind"))] = nested
        return None

    rewrite(folder, change)


def mutate_weights(folder: Path, rng: random.Random) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        name = rng.choice([key for key, value in tensors.items() if value.size])
        value = tensors[name]
        match rng.randrange(6):
            case 0:
                value.reshape(-1)[rng.randrange(value.size)] = rng.choice((np.nan, np.inf, -np.inf))
            case 1:
                tensors[name] = value.astype(
                    rng.choice((np.float16, np.int32, np.float64, np.float32, np.uint8))
                )
            case 2:
                tensors[name] = value.reshape(-1)[:-1].copy()
            case 3:
                tensors[f"{name}x"] = value
            case 4:
                del tensors[name]
            case _:
                tensors[name] = value[None].copy()

    reweigh(folder, change)


def mutate_header(folder: Path, rng: random.Random) -> None:
    """Swapped, overlapping and endless offsets, other types, a length that lies."""
    file = folder / "model.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    one, two = rng.sample([name for name, entry in header.items() if 0 not in entry["shape"]], 2)
    match rng.randrange(6):
        case 0:
            places = header[two]["data_offsets"], header[one]["data_offsets"]
            header[one]["data_offsets"], header[two]["data_offsets"] = places
        case 1:
            header[one]["data_offsets"] = rng.choice(
                ([0, 1 << 60], [-8, 8], [8, 0], [0], "x", None, [0.0, 8.0], [True, 8])
            )
        case 2:
            header[one]["dtype"] = rng.choice(("F16", "I64", "BOOL", "F64", "F32", 4, None))
        case 3:
            header[one]["shape"] = rng.choice(([1 << 40], [-1], [], [1, 1, 1, 1, 1], "4", None))
        case 4:
            header["__metadata__"] = {"format": "pt"}
        case _:
            length = rng.choice((0, 1, 1 << 62, (1 << 64) - 1))
            file.write_bytes(length.to_bytes(8, "little") + content[8:])
            return sign(folder)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    return sign(folder)


def mutate_manifest(folder: Path, rng: random.Random) -> None:
    manifest = manifest_of(folder)
    for _ in range(rng.choice((1, 2))):
        parent, key = rng.choice(list(_places(manifest)))
        if rng.random() < 0.3:
            del parent[key]
        else:
            parent[key] = copy.deepcopy(rng.choice(WORDS))
    if rng.random() < 0.2:
        manifest.setdefault("files", {})
        if isinstance(manifest["files"], dict):
            manifest["files"][rng.choice(("../x.py", "/etc/passwd", "code/../../x.py", "code/x"))] = {
                "size": 1,
                "sha256": "0" * 64,
            }
    sign(folder, manifest, weigh=False)


def name_code(folder: Path, rng: random.Random) -> None:
    """A function node that points at code: inside the bundle, beside it, absolute, in a cached compilation."""
    evil = folder.parent / "evil.py"
    payload = f"open({str(folder.parent / 'RUN')!r}, 'w').write('x')\ndef evil(data):\n    return data['x']\n"
    evil.write_text(payload)
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "evil.py").write_text(payload)
    where = rng.choice(
        ("evil.py", "../evil.py", "../../evil.py", str(evil), "code/evil.py", "evil", "x/../evil.py")
    )
    reference = {"file": where, "name": "evil"}

    def change(spec: dict[str, Any]) -> None:
        node = next(n for n in spec["graph"]["nodes"] if n["inputs"])
        if rng.random() < 0.5:
            node["custom"] = reference
        else:
            node["kind"], node["function"] = "function", {"code": reference}

    if rng.random() < 0.5:
        manifest = manifest_of(folder)
        manifest["files"]["code/evil.py"] = {}
        sign(folder, manifest)
    rewrite(folder, change)


def former(folder: Path, rng: random.Random) -> None:
    manifest = manifest_of(folder)
    manifest["format"] = rng.choice((0, 1, 4, 99, "2", 2.0, None))
    if rng.random() < 0.5:
        (folder / "manifest.json").unlink()
    else:
        sign(folder, manifest)


FORGERIES = (
    mutate_spec, mutate_spec, mutate_spec, bomb_spec, mutate_weights, mutate_header, mutate_manifest, name_code, former,
)  # fmt: skip


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below `value`."""
    found: list[tuple[Any, Any]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        if key != "provenance":
            found.append((value, key))
            found += _places(item)
    return found
