"""The command line: what was typed becomes settings, and what goes wrong becomes one message."""

from __future__ import annotations

import errno
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from revive import __version__
from revive.errors import Problem, RunFailed, UserError, suggestion

DONE, FAILED, WRONG, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
# What a file system says when the user's choice of a folder is at fault, or its size.
_FOLDER_TROUBLE = {
    getattr(errno, name) for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "EEXIST")
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 all trials failed, 2 something the user can mend, 130 interrupted, 143 ended by
        SIGTERM. Anything else is a mistake of ours and leaves as an exception, so that Python shows its traceback
        and exits with 1.
    """
    from revive.runs import sigterm_interrupts

    given = list(sys.argv[1:] if arguments is None else arguments)
    with sigterm_interrupts() as came:
        code = _outcome(given)
    return TERMINATED if code == INTERRUPTED and came else code


def _outcome(given: list[str]) -> int:
    try:
        _dispatch(given)
    except UserError as error:
        return _complain(str(error))
    except RunFailed as error:
        _complain(str(error))
        return FAILED
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and not _was_interrupt(stop):
            raise
        return _interrupted(stop, given)
    except OSError as error:
        if error.errno not in _FOLDER_TROUBLE:
            raise
        return _complain(f"{error.filename or 'a file'}: {error.strerror}")
    return DONE


def train(arguments: Sequence[str]) -> None:
    """Learn what the experiment asks for."""
    from revive.config import Settings, check_sections
    from revive.config.launch import launch
    from revive.report.sweep import Sweep

    def run(settings: Settings) -> None:
        check_sections(settings.as_dict()).raise_if_any()
        from revive.pipeline.run import run as run_pipeline  # heavy, and not needed to find wrong settings

        run_pipeline(settings, opened=lambda folder: sweep.add(settings.as_dict(), folder))

    sweep = Sweep()
    try:
        launch(arguments, run)
    finally:
        sys.stdout.write("".join(f"{line}\n" for line in sweep.lines()))


def check(arguments: Sequence[str]) -> None:
    """Say what is wrong with, or worth knowing about, the data of an experiment, or bare files of data."""
    from revive.config.launch import launch
    from revive.config.settings import Settings

    def run(settings: Settings) -> None:
        from revive.pipeline.check import check as check_experiment

        check_experiment(settings)

    launch(arguments, run, unnamed="data")


def new(arguments: Sequence[str]) -> None:
    """Make an experiment from a data file."""
    from revive.config.new_arguments import NewArguments
    from revive.config.usage import new_usage

    if {"-h", "--help"} & {*arguments}:
        sys.stdout.write(new_usage(_program()))
        return
    given = NewArguments.parse(arguments)
    from revive.pipeline.new import new as make

    made = make(given.name, given.data, given.folder, given.wishes)
    where = "" if given.is_found else f"REVIVE_EXPERIMENTS={shlex.quote(str(given.folder))} "
    lines = "\n".join(made.lines)
    sys.stdout.write(
        f"made {made.folder}\n{lines}\nnext: {where}{_program()} check experiment={given.name}\n"
    )


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"train": train, "check": check, "new": new}


def _dispatch(arguments: list[str]) -> None:
    if {"-h", "--help"} & set(arguments) and arguments[0] != "new":
        from revive.config.usage import usage

        sys.stdout.write(usage(_program()))
        return
    if "--version" in arguments:
        sys.stdout.write(f"revive {__version__}\n")
        return
    command, rest = "train", arguments
    if arguments and re.fullmatch(r"[A-Za-z][\w-]*", arguments[0]):
        command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise _unknown_command(command)
    COMMANDS[command](rest)


def _unknown_command(word: str) -> UserError:
    from revive.config.experiments import find_experiments

    if word in find_experiments():
        return UserError(Problem(f"'{word}' is an experiment", remedy=f"write experiment={word}"))
    return UserError(Problem(f"there is no command '{word}'", remedy=suggestion(word, COMMANDS)))


def _was_interrupt(stop: SystemExit) -> bool:
    from revive.runs import is_interrupt

    return is_interrupt(stop)


def _interrupted(stop: BaseException, arguments: Sequence[str]) -> int:
    run_id, one_of_many = getattr(stop, "run_id", None), getattr(stop, "overrides", None)
    line = "interrupted"
    if run_id:
        given = one_of_many or arguments
        again = shlex.join(text for text in given if not text.startswith(("run_id=", "resume=")))
        line += f"; to go on from here: {_program()} {again} run_id={run_id}"
    if one_of_many:
        line += "\n(that is this run alone; the combinations after it were not begun)"
    sys.stderr.write(f"\n{line}\n")
    return INTERRUPTED


def _complain(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return WRONG


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "python -m revive" if name == "__main__.py" or not name else name


if __name__ == "__main__":
    sys.exit(main())
