"""Arrays in layouts that hold an episode each, or lie on their side: named, with the lines that make flat ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from revive.data.readers.container import Container, Info
from revive.data.roles import is_time, tokens
from revive.errors import Problem, UserError
from revive.graph.names import mask_name

_NUMBER: Final = re.compile(r"\d+")
_PADDING: Final = frozenset(["mask", "masks", "length", "lengths", "valid", "padding", "pad", "lens", "len"])
_MASKS: Final = ("_mask", "_masks", "_valid", "_isnan", "_missing", "_is_nan", "_observed", "/mask")
_WHOLE: Final = frozenset(["bool", "uint8", "int8", "int32", "int64"])
_LONG: Final = 10  # values from which a single row is a column that lies on its side


def refuse_layout(container: Container, path: Path) -> None:
    """Raises UserError for arrays of three axes, of records or objects, on their side, or for each episode."""
    if container.is_table:
        return
    infos = container.infos
    if "index" not in infos:
        _refuse_numbered(infos, path)
    _refuse_masks(infos, path)
    if any(name.endswith("block0_values") for name in infos):
        what = "is a frame that pandas stored (PyTables)"
        remedy = f"in Python: pd.read_hdf({path.name!r}).to_parquet('{path.stem}.parquet')"
        raise UserError(Problem(what, path, remedy=remedy))
    _refuse_groups(infos, path)
    deep = {n: i.shape for n, i in infos.items() if i.numeric and len(i.shape) == 3 and i.shape[1] > 1}
    if deep and 2 * len(deep) >= sum(info.numeric and len(info.shape) > 1 for info in infos.values()):
        name, shape = next(iter(deep.items()))
        what = f"'{name}' has three axes, {shape}: episodes, steps and columns?"
        ends = f"index=np.arange(1, {shape[0] + 1}) * {shape[1]}"
        flat = f"in Python, for each of them: a.reshape(-1, a.shape[-1]); and {ends}"
        told = [n for n in infos if _PADDING & {*tokens(n)}]
        if told:
            what += f" '{told[0]}' says which steps are real"
            flat = "leave out the steps that only fill up the shorter episodes, in Python"
            lengths = f"n = f[{told[0]!r}].astype(int).reshape({shape[0]}, -1).sum(1)"
            flat += f": {lengths} (steps of each episode), np.concatenate([a[k, :n[k]] for k in range({shape[0]})])"
            flat += " for each array, and index=np.cumsum(n)"
        else:
            flat += "; where shorter episodes are filled up, leave those steps out first"
        raise UserError(Problem(what, path, name, flat))
    lying = [
        n for n, i in infos.items() if i.numeric and len(i.shape) == 2 and i.shape[0] == 1 and i.width > _LONG
    ]
    if len(lying) > 1:
        what = f"{', '.join(map(repr, lying[:4]))} have a single row, {infos[lying[0]].shape}: they lie on their side"
        raise UserError(Problem(what, path, lying[0], "write a row for each time step: array.T"))
    if not any(i.numeric and i.shape for i in infos.values()):
        _refuse_others(infos, path)


def _refuse_groups(infos: Mapping[str, Info], path: Path) -> None:
    """Arrays in groups alone, as `plant/level`, whose names no node can have."""
    used = [name for name, info in infos.items() if info.numeric and info.shape]
    rows = [name for name in used if "/" in name]
    if not rows or any(name not in rows and name != "index" and not is_time(name) for name in used):
        return
    short = [name.rpartition("/")[2] for name in rows]
    new_names = short if len({*short}) == len(short) else [name.replace("/", "_") for name in rows]
    listed = ", ".join(f"{new!r}: {name!r}" for new, name in zip(new_names, rows, strict=True))
    what = f"holds its arrays in groups ({', '.join(rows[:3])}{', ...' if len(rows) > 3 else ''})"
    flat = f"f = h5py.File({path.name!r}); a = {{n: f[k][()] for n, k in {{{listed}}}.items()}}"
    rows_ = f"index=[len(f[{rows[0]!r}])]"
    remedy = f"write them side by side, in Python: {flat}; np.savez('flat.npz', **a, {rows_})"
    raise UserError(Problem(what, path, remedy=remedy))


def _refuse_masks(infos: Mapping[str, Info], path: Path) -> None:
    """An array that says which values of another are valid, or are not, is no state of the plant."""
    for name, info in infos.items():
        of = next(
            (n for n in (name.removesuffix(end) for end in _MASKS if name.endswith(end)) if n in infos), None
        )
        if of is not None and info.numeric and info.shape == infos[of].shape and info.holds in _WHOLE:
            what = f"'{name}' seems to say which values of '{of}' are there, or are not"
            hide = f"in Python: {of}[{name} == 0] = np.nan (or == 1), and leave '{name}' out"
            raise UserError(
                Problem(what, path, name, f"{hide}; or call it {mask_name(of)}, 1 where a value is missing")
            )


def _refuse_others(infos: Mapping[str, Info], path: Path) -> None:
    for name, info in infos.items():
        if info.kind == "other":
            records = "(" in info.holds and "objects" not in info.holds
            what = f"'{name}' holds {'records with fields of their own' if records else info.holds}, no plain numbers"
            remedy = "write plain arrays of numbers: np.savez('plain.npz', level=..., valve=..., index=...)"
            raise UserError(Problem(what, path, name, remedy))


def _refuse_numbered(infos: Mapping[str, Info], path: Path) -> None:
    """Several arrays of the same name but for one number, and the same for another name: an episode each."""
    kinds: dict[str, dict[int, str]] = defaultdict(dict)
    for name, info in infos.items():
        found = [*_NUMBER.finditer(name)]
        if info.numeric and info.shape and found:
            last = found[0] if "/" in name else found[-1]
            kinds[f"{name[: last.start()]}{{k}}{name[last.end() :]}"][int(last[0])] = name
    several = {kind: numbers for kind, numbers in kinds.items() if len(numbers) > 1}
    groups = defaultdict(list)
    for kind, numbers in several.items():
        groups[frozenset(numbers)].append(kind)
    chosen = max(groups.values(), key=len, default=[])
    acting = any(word in kind.lower() for kind in chosen for word in ("act", "/u", "control"))
    grouped = all("{k}" in kind.rpartition("/")[0] for kind in chosen)  # a group for each machine or run
    if len(chosen) < 2 or not (acting or grouped):
        return
    episodes = sorted(several[chosen[0]])
    names = [several[kind][episodes[0]] for kind in chosen]
    each = "episodes" if acting else "groups"
    what = f"holds arrays for each of {len(episodes)} {each} ({', '.join(names[:3])}, ...), not one for all"
    opened = "h5py.File" if path.suffix.lower() in (".h5", ".hdf5") else "np.load"
    listed = f"{episodes}" if len(episodes) < 8 else f"range({episodes[0]}, {episodes[-1] + 1})"
    lines = [
        "put them together in Python:",
        f"    f, K = {opened}({path.name!r}), {listed}",
        "    joined = {n: np.concatenate([np.asarray(f[p.format(k=k)]) for k in K]) for n, p in {",
        *(f"        {_short(kind)!r}: {kind!r}," for kind in chosen),
        "    }.items()}",
        f"    ends = np.cumsum([len(f[{chosen[0]!r}.format(k=k)]) for k in K])",
        "    np.savez('joined.npz', **joined, index=ends)",
    ]
    raise UserError(Problem(what, path, remedy="\n       ".join(lines)))


def _short(kind: str) -> str:
    return kind.split("{k}")[-1].strip("/_").replace("/", "_") or kind.split("{k}")[0].strip("/_")
