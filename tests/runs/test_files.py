"""Folders that one process at a time works in, and what a disk has to do with an error."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from revive.runs import alone_in, disk_trouble, write_json

IMPORTS = "import sys, time; from pathlib import Path; from revive.runs import alone_in"


def holder(folder: Path, body: str) -> subprocess.Popen[str]:
    """Another process in the folder, once it is in there."""
    code = f"{IMPORTS}\nwith alone_in(Path(sys.argv[1])):\n    print('in', flush=True)\n    {body}"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "in\n"
    return process


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path / "trial", "time.sleep(1); Path(sys.argv[1], 'done').touch()") as process:
        with alone_in(tmp_path / "trial"):
            assert (tmp_path / "trial" / "done").exists()
        assert process.wait(10) == 0


def test_a_process_that_stays_is_not_waited_for_forever(tmp_path: Path) -> None:
    with holder(tmp_path, "time.sleep(100)") as process:
        with pytest.raises(TimeoutError, match="in use by another process"), alone_in(tmp_path, patience=0.3):
            raise AssertionError
        process.kill()
        process.wait()
        with alone_in(tmp_path, patience=5):
            pass


def test_trouble_of_the_disk_is_found_among_causes() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    wrapped = RuntimeError("the search failed")
    wrapped.__cause__ = full
    assert disk_trouble(full) is full
    assert disk_trouble(wrapped) is full
    assert disk_trouble(FileNotFoundError(errno.ENOENT, "no such file")) is None
    assert disk_trouble(None) is None


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_json(tmp_path / "state.json", {"a": 1})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        write_json(file, {"a": 2})
    assert raised.value.filename == str(file)
    assert file.read_text() == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [file]
