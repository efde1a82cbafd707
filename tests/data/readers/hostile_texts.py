"""Damaged and hostile text tables and workbooks, drawn at random."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np

from tests.data.readers.written_tables import packed

Arrays = dict[str, np.ndarray]


def sound_text(arrays: Arrays, separator: str = ",") -> bytes:
    names = [name for name, array in arrays.items() if array.ndim == 2]
    rows = zip(*(arrays[name][:, 0].tolist() for name in names), strict=True)
    return (
        "\n".join([separator.join(names), *(separator.join(map(repr, row)) for row in rows)]).encode() + b"\n"
    )


def _packed(folder: Path, text: bytes, rng: random.Random) -> Path:
    return packed(text, folder / f"logs.csv{rng.choice(('', '', '.gz', '.bz2', '.xz', '.zst'))}")


def spoilt_text(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    """Bytes, cells and lines that do not belong there."""
    lines = sound_text(arrays).split(b"\n")
    at = rng.randrange(1, len(lines) - 1)
    match rng.randrange(12):
        case 0:
            lines[at] = rng.randbytes(200)
        case 1:
            lines[at] = b'"' + lines[at]
        case 2:
            lines[at] += b",1" * rng.choice((1, 50_000))
        case 3:
            lines[at] = b",".join([b"1" * rng.choice((400, 100_000))] * 4)
        case 4:
            lines[at] = lines[at].replace(b".", b"\0.")
        case 5:
            lines[at] = b"\xff\xfe" + lines[at]
        case 6:
            lines[0] = rng.choice((b"", b",,,", b"x,x,x,x", b"x," * 30_000, b"\xef\xbb\xbf" * 9 + lines[0]))
        case 7:
            lines[at] = rng.choice(
                (b"nan,inf,-inf,1e999", b"1e308,1e308,1e308,1e308", b"0x10,0x,1_0,1e", b"=1+1,@x,-x,+x")
            )
        case 8:
            lines = [b"sep=" + rng.choice((b"\0", b"\n", b'"', b"1", b".")), *lines]
        case 9:
            lines = [b"#" * rng.choice((10, 10**6))] * rng.choice((1, 200)) + lines
        case 10:
            lines = lines[: rng.choice((0, 1, 2))]
        case _:
            lines = [line[:: rng.choice((1, -1))] for line in lines]
    return _packed(folder, b"\n".join(lines), rng)


def torn_text(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    """A packed file that is cut or damaged."""
    path = _packed(folder, sound_text(arrays), rng)
    content = bytearray(path.read_bytes())
    if path.suffix == ".csv":
        path = path.rename(folder / rng.choice(("logs.csv.gz", "logs.csv.zst", "logs.xlsx")))
    elif rng.random() < 0.5:
        content = content[: rng.randrange(len(content))]
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return path


def endless_text(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    """Lines, cells, quotes or columns without an end, also out of small packed files."""
    size = 60 << 20
    bombs = (
        b"x,u,wind,next_x\n" + b"1" * size,
        b'x,u,wind,next_x\n"' + b"1\n" * (size // 2),
        b"x," * (size // 16),
        b"x,u,wind,next_x\n" + b"\n" * size,
        b"x,u,wind,next_x\n" + b"," * size,
        b"\0" * size,
        b" " * size,
    )
    return _packed(folder, rng.choice(bombs), rng)


_SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'


def hostile_workbook(folder: Path, arrays: Arrays, rng: random.Random) -> Path:
    """A workbook whose parts unfold, name entities, or are none."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["x", "u", "wind", "next_x"], [1, 2, 3, 4], [2, 3, 4, 5]):
        sheet.append(row)
    held = io.BytesIO()
    book.save(held)
    entity = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8)
    )
    row = '<row r="{}"><c r="A{}"><v>1</v></c></row>'
    sheets = (
        entity + "]>" + _SHEET.format('<row r="1"><c r="A1" t="inlineStr"><is><t>&i;</t></is></c></row>'),
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + _SHEET.format("<row>&x;</row>"),
        _SHEET.format("".join(row.format(n, n) for n in (1, 2, 1_048_576))),
        _SHEET.format('<row r="1"><c r="XFD1"><v>1</v></c></row>' * 200),
        _SHEET.format(row.format(1, 1) * 200_000),
        _SHEET.format(row.format("x", "x")),
        "<",
        "",
        _SHEET.format("<row>" * 3000),
    )
    path = folder / "logs.xlsx"
    chosen = rng.choice(sheets)
    with zipfile.ZipFile(held) as sound, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sound.namelist():
            file.writestr(name, chosen if name.endswith("sheet1.xml") else sound.read(name))
    return path
