"""How a command ends: its exit code, and one message for what goes wrong."""

from __future__ import annotations

import errno
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from revive.errors import NotBelieved, Problem, RunFailed, UserError

DONE, FAILED, WRONG, DISTRUSTED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
# What a file system says when the user's choice of a folder is at fault, or its size.
_FOLDER_TROUBLE = {
    getattr(errno, name) for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "EEXIST")
}


def program() -> str:
    """What the user typed to call this program."""
    name = Path(sys.argv[0]).name
    return "python -m revive" if name == "__main__.py" or not name else name


def outcome(given: list[str], dispatch: Callable[[list[str]], None]) -> int:
    """Dispatch a command and tell its exit code; a mistake of ours leaves as an exception, with its traceback."""
    from revive.runs import sigterm_interrupts

    with sigterm_interrupts() as came:
        code = _code_of(given, dispatch)
    return TERMINATED if code == INTERRUPTED and came else code


def _code_of(given: list[str], dispatch: Callable[[list[str]], None]) -> int:
    try:
        dispatch(given)
    except UserError as error:
        return _complain(str(error))
    except NotBelieved as error:
        _complain(str(error))
        return DISTRUSTED
    except RunFailed as error:
        _complain(str(error))
        return FAILED
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and not _was_interrupt(stop):
            raise
        return _interrupted(stop, given)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
            raise
        return _complain(_too_large(error))
    except OSError as error:
        if error.errno not in _FOLDER_TROUBLE:
            raise
        return _complain(f"{error.filename or 'a file'}: {error.strerror}")
    return DONE


def _was_interrupt(stop: SystemExit) -> bool:
    from revive.runs import is_interrupt

    return is_interrupt(stop)


def _interrupted(stop: BaseException, arguments: Sequence[str]) -> int:
    run_id, one_of_many = getattr(stop, "run_id", None), getattr(stop, "overrides", None)
    line = "interrupted"
    if run_id:
        given = one_of_many or arguments
        again = shlex.join(text for text in given if not text.startswith(("run_id=", "resume=")))
        line += f"; to go on from here: {program()} {again} run_id={run_id}"
    if one_of_many:
        line += "\n(that is this run alone; the combinations after it were not begun)"
    sys.stderr.write(f"\n{line}\n")
    return INTERRUPTED


def _too_large(error: BaseException) -> str:
    """Which number did not fit, as far as the error says it."""
    from revive.data.machine import machine_memory, shown

    asked = re.search(r"(\d+) bytes", str(error))
    needed = f"{shown(int(asked[1]))} more than was left" if asked else "more than was left"
    what = f"takes too much memory: {needed}; this machine has {shown(machine_memory())}"
    return str(Problem(what, remedy="choose smaller networks, batches or horizons, or fewer members"))


def _complain(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return WRONG
