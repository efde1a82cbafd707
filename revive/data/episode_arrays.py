"""Arrays in layouts that hold an episode each, or lie on their side: named, with the lines that make flat ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from revive.data.readers.container import Container, Info
from revive.errors import Problem, UserError

_NUMBER: Final = re.compile(r"\d+")
_LONG: Final = 10  # values from which a single row is a column that lies on its side


def refuse_layout(container: Container, path: Path) -> None:
    """Raises UserError for arrays of three axes, of records or objects, on their side, or for each episode."""
    if container.is_table:
        return
    infos = container.infos
    if "index" not in infos:
        _refuse_numbered(infos, path)
    if any(name.endswith("block0_values") for name in infos):
        what = "is a frame that pandas stored (PyTables)"
        remedy = f"in Python: pd.read_hdf({path.name!r}).to_parquet('{path.stem}.parquet')"
        raise UserError(Problem(what, path, remedy=remedy))
    deep = {n: i.shape for n, i in infos.items() if i.numeric and len(i.shape) == 3 and i.shape[1] > 1}
    if deep and 2 * len(deep) >= sum(info.numeric and len(info.shape) > 1 for info in infos.values()):
        name, shape = next(iter(deep.items()))
        what = f"'{name}' has three axes, {shape}: episodes, steps and columns?"
        ends = f"index=np.arange(1, {shape[0] + 1}) * {shape[1]}"
        flat = f"in Python, for each of them: a.reshape(-1, a.shape[-1]); and {ends}"
        raise UserError(Problem(what, path, name, flat))
    lying = [
        n for n, i in infos.items() if i.numeric and len(i.shape) == 2 and i.shape[0] == 1 and i.width > _LONG
    ]
    if len(lying) > 1:
        what = f"{', '.join(map(repr, lying[:4]))} have a single row, {infos[lying[0]].shape}: they lie on their side"
        raise UserError(Problem(what, path, lying[0], "write a row for each time step: array.T"))
    if not any(i.numeric and i.shape for i in infos.values()):
        _refuse_others(infos, path)


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
