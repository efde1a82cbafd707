"""Which reader opens a path: by the suffix of a file, by the content of a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from revive.data.readers.calendar import CalendarTables
from revive.data.readers.container import Container
from revive.data.readers.dialect import TableOptions
from revive.data.readers.frames import FRAME, FrameTable, is_frame
from revive.data.readers.h5 import MinariFile, open_h5
from revive.data.readers.lists import ListTables
from revive.data.readers.npz import NpzFile
from revive.data.readers.parquet import Parquet
from revive.data.readers.source import COMPRESSED
from revive.data.readers.tables import TableFiles, TableFormat
from revive.data.readers.text import TextTables
from revive.data.readers.workbook import WORKBOOKS
from revive.errors import Problem, UserError, first_few, nearest

_INSTRUMENTS: Final = (".dat", ".data", ".asc", ".log", ".lvm", ".mpt", ".prn", ".tab")  # text, in most cases
_TEXTS: Final = (".csv", ".tsv", ".txt", *_INSTRUMENTS)
_TABLES: Final = (
    *WORKBOOKS,
    *_TEXTS,
    *(text + packed for text in _TEXTS for packed in COMPRESSED),
    ".parquet",
)
_SUFFIXES: Final = (".npz", ".h5", ".hdf5", *_TEXTS, *(f".csv{e}" for e in COMPRESSED), ".xlsx", ".parquet")
_CONVERTED: Final = {
    ".mat": "in Python: m = scipy.io.loadmat('{name}'); "
    "np.savez('{stem}.npz', **{{k: m[k] for k in m if k[0] != '_'}})",
    ".jsonl": "in Python: pd.read_json('{name}', lines=True).to_parquet('{stem}.parquet')",
    ".json": "in Python: pd.json_normalize(json.load(open('{name}'))).to_parquet('{stem}.parquet')",
    ".xls": "save it as .xlsx in a spreadsheet, or in Python: pd.read_excel('{name}').to_parquet('{stem}.parquet')",
    ".ods": "save it as .xlsx in a spreadsheet, or in Python: pd.read_excel('{name}').to_parquet('{stem}.parquet')",
    ".feather": "in Python: pd.read_feather('{name}').to_parquet('{stem}.parquet')",
    ".sav": "in Python: pd.read_spss('{name}').to_parquet('{stem}.parquet')",
    ".dta": "in Python: pd.read_stata('{name}').to_parquet('{stem}.parquet')",
    ".mf4": "in Python: asammdf.MDF('{name}').to_dataframe(raster=1.0).to_parquet('{stem}.parquet')",
    ".tdms": "in Python: nptdms.TdmsFile.read('{name}').as_dataframe().to_parquet('{stem}.parquet')",
    ".npy": "in Python: name its columns, pd.DataFrame(np.load('{name}'), columns=[...]).to_parquet('{stem}.parquet')",
    ".sqlite": "in Python: pd.read_sql('select * from TABLE', sqlite3.connect('{name}')).to_parquet('{stem}.parquet')",
    ".pkl": "unpickle it where it was made, and write what it holds: frame.to_parquet('{stem}.parquet')",
    ".arff": "in Python: pd.DataFrame(scipy.io.arff.loadarff('{name}')[0]).to_parquet('{stem}.parquet')",
    ".nc": "in Python: xarray.open_dataset('{name}').to_dataframe().reset_index().to_parquet('{stem}.parquet')",
    ".zip": "unpack it, and name the table or the folder of tables in it",
}
_CONVERTED_AS: Final = {
    ".ndjson": ".jsonl",
    ".arrow": ".feather",
    ".mdf": ".mf4",
    ".db": ".sqlite",
    ".sqlite3": ".sqlite",
    ".pickle": ".pkl",
    ".joblib": ".pkl",
    ".netcdf": ".nc",
    ".ipc": ".feather",
    ".xlsb": ".xls",
    ".7z": ".zip",
    ".tar": ".zip",
}
_REMARKS: Final = re.compile(r"(?:readme|licen[cs]e|notes?|changelog|liesmich|lisezmoi)\b", re.I)
_BROKEN: Final = (OSError, ValueError, RuntimeError, KeyError, TypeError)  # what damaged files end in
_LOOKED_AT: Final = 1000  # folders in a folder
_MINARI: Final = ("main_data.hdf5", "data/main_data.hdf5")


def open_container(data: Any, table: TableOptions | None = None) -> Container:
    """The opened data: a file, a folder of files, or a frame of pandas, polars or pyarrow.

    table: what text tables do not tell about themselves.

    Raises UserError where there is none or it cannot be read.
    """
    options = table or TableOptions()
    if is_frame(data):
        return TableFiles([FRAME], CalendarTables(FrameTable(data, options)), FRAME)
    path = Path(data)
    try:
        if path.is_dir():
            return _folder(path, options)
        _require_file(path)
        suffix = _suffix(path)
        if suffix in _TABLES:
            return TableFiles([path], _format(suffix, options), path)
        if suffix == ".npz":
            return NpzFile(path)
        if suffix in (".h5", ".hdf5"):
            return open_h5(path)
    except _BROKEN as error:
        said = " ".join(str(getattr(error, "strerror", None) or error).split())
        what = f"cannot be read: {said[:200]}"
        raise UserError(Problem(what, path, remedy="write it again, or copy it again")) from None
    raise UserError(Problem(f"files of type '{path.suffix}' cannot be read", path, remedy=_conversion(path)))


def _conversion(path: Path) -> str:
    """How a file of another type becomes one that can be read."""
    kind = path.suffix.lower()
    script = _CONVERTED.get(_CONVERTED_AS.get(kind, kind))
    if script is None:
        return f"possible: {', '.join(_SUFFIXES)}, or a folder of tables or of a Minari dataset"
    return script.format(name=path.name, stem=path.stem)


def _suffix(path: Path) -> str:
    """The ending that tells the type: `.csv` of `a.csv`, `.csv.gz` of `a.csv.gz`."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last in COMPRESSED else last


def _format(suffix: str, options: TableOptions) -> TableFormat:
    return CalendarTables(ListTables(Parquet(options)) if suffix == ".parquet" else TextTables(options))


def _folder(path: Path, options: TableOptions) -> Container:
    for name in _MINARI:
        if (path / name).is_file():
            return MinariFile(path / name)
    files = [entry for entry in path.iterdir() if _suffix(entry) in _TABLES and not _is_beside(entry)]
    kinds = sorted({_suffix(entry) for entry in files})
    if len(kinds) > 1:  # a program's own .log, for example, beside the tables
        kinds = [kind for kind in kinds if kind not in _INSTRUMENTS] or kinds
        files = [entry for entry in files if _suffix(entry) in kinds]
    if len(kinds) == 1:
        for entry in files:
            _require_file(entry)
        return TableFiles(sorted(files, key=_natural), _format(kinds[0], options), path)
    if not kinds and (below := _below(path)):
        raise UserError(below)
    what = (
        f"is a folder with both {' and '.join(kinds)} files" if kinds else "is a folder without tables in it"
    )
    remedy = "a folder is read as one csv or parquet file for each trajectory, or as a Minari dataset"
    raise UserError(Problem(what, path, remedy=remedy))


def _below(path: Path) -> Problem | None:
    """What to say of a folder whose tables lie in folders in it; None where there are none."""
    folders = sorted((entry for entry in path.iterdir() if entry.is_dir()), key=_natural)[:_LOOKED_AT]
    minari = [f for f in folders if any((f / name).is_file() for name in _MINARI)]
    holding = [f for f in folders if any(_suffix(e) in _TABLES and not _is_beside(e) for e in f.iterdir())]
    if minari:
        return Problem("is a folder of Minari datasets", path, remedy=f"name one: {minari[0]}")
    if not holding:
        return None
    shown = first_few([f"'{folder.name}'" for folder in holding], 3)
    what = f"is a folder without tables in it; they lie in folders in it: {shown}"
    remedy = f"name one of them ({holding[0]}), or put the files into one folder: a file for each trajectory"
    if all("=" in folder.name for folder in holding):
        remedy = f"in Python: pd.read_parquet({path.name!r}).to_parquet('{path.name}.parquet')"
    return Problem(what, path, remedy=remedy)


def _is_beside(path: Path) -> bool:
    """Whether a file of a folder is one that programs leave there, or a remark for people."""
    return path.name.startswith((".", "~$")) or _REMARKS.match(path.stem) is not None


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    """Sorts run2 before run10."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)
    )


def _require_file(path: Path) -> None:
    if not path.is_file():
        folder = path.parent
        if not folder.is_dir():
            raise UserError(
                Problem("neither the file nor its folder exists", path, remedy="correct the path")
            )
        if path.exists():
            raise UserError(Problem("is no regular file", path, remedy="name a file"))
        close = nearest(path.name, [entry.name for entry in folder.iterdir()])
        raise UserError(
            Problem(
                "does not exist", path, remedy=f"did you mean '{close}'?" if close else "correct the path"
            )
        )
    if path.stat().st_size == 0:
        raise UserError(Problem("is empty (0 bytes)", path, remedy="write it again, or copy it again"))
