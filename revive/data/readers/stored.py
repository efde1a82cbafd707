"""Members of a zip archive that are stored as they are: read straight into memory, and checked on the way."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

_LOCAL_HEADER: Final = struct.Struct("<26xHH")  # the lengths of the name and of the extra field
_MAGIC: Final = b"PK\x03\x04"


class StoredMember(io.RawIOBase):
    """The bytes of a stored member of an archive that zipfile could open; each has a file of its own.

    Reading the last byte raises BadZipFile where the checksum is not the one that was promised.
    """

    def __init__(self, archive: str, member: zipfile.ZipInfo) -> None:
        self._member, self._left, self._sum = member, member.file_size, 0
        self._file = Path(archive).open("rb", buffering=0)  # noqa: SIM115 - close() closes it
        self._file.seek(member.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_MAGIC):
            self._file.close()
            raise zipfile.BadZipFile("Bad magic number for file header")
        self._file.seek(sum(_LOCAL_HEADER.unpack(header)), io.SEEK_CUR)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")[: self._left]
        read = self._file.readinto(view) or 0
        self._left -= read
        self._sum = zlib.crc32(view[:read], self._sum)
        if self._left == 0 and self._sum != self._member.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._member.filename!r}")
        return read

    def close(self) -> None:
        self._file.close()
        super().close()
