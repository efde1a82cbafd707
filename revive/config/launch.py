"""The command line's way into Hydra: overrides, --cfg, -m; ours are the messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from revive.config import experiments
from revive.config.compose import CONFIG_NAME, VERSION_BASE, hydra_ready, opened, to_settings
from revive.config.explain import explain
from revive.config.flags import check_arguments_given
from revive.config.settings import Settings
from revive.config.shipped import shipped
from revive.errors import Problem, UserError
from revive.runs import RunInterrupted

_CONDITIONS = ("dataset.where", "+dataset.where", "++dataset.where")


class _Raised(BaseException):
    """Carries an error of the task through Hydra, which would print and reword an ordinary exception."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def launch(arguments: Sequence[str], task: Callable[[Settings], None], unnamed: str | None = None) -> None:
    """Run `task` on what the arguments compose to; once for each combination under -m.

    unnamed: what files that `dataset` names are called where no experiment is chosen; None asks for an experiment.

    Raises:
        UserError: the arguments or the experiment are wrong.
    """

    def checked(config: DictConfig) -> None:
        try:
            composed = HydraConfig.get()
            typed: Any = OmegaConf.to_container(composed.overrides.task, resolve=False)
            choices = composed.runtime.choices
            bare = not choices.get(experiments.GROUP) and config.dataset.path and config.dataset.description
            name = unnamed if bare else None
            settings = to_settings(config, choices, [str(text) for text in typed], name)
            if composed.mode == RunMode.MULTIRUN and "tune" in (settings.venv.mode, settings.policy.mode):
                raise _two_searches()
            task(settings)
        except RunInterrupted as stop:
            if composed.mode == RunMode.MULTIRUN:
                stop.overrides = list(composed.overrides.task)
            raise
        except Exception as error:
            raise _Raised(error) from error

    check_arguments_given(arguments)
    if {"-m", "--multirun"} & set(arguments) and any(_asks_to_tune(text) for text in arguments):
        raise _two_searches()  # before Hydra makes a folder
    experiments.register()
    arguments = [_as_text(argument) for argument in arguments]
    entry = hydra.main(version_base=VERSION_BASE, config_path=str(shipped("conf")), config_name=CONFIG_NAME)
    try:
        with _command_line(arguments):
            entry(checked)()
    except _Raised as raised:
        raise raised.error from raised.error.__cause__
    except Exception as error:
        with hydra_ready():
            explained = explain(
                error, [text for text in arguments if "=" in text and not text.startswith("-")]
            )
        if explained is None:
            raise
        raise explained from error


def _as_text(argument: str) -> str:
    """A condition quoted for Hydra, which would read its commas and equals signs; anything else as `opened` has it."""
    argument = opened(argument)
    key, equals, value = argument.partition("=")
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" and value.count(value[0]) == 2
    if key not in _CONDITIONS or not equals or is_quoted or value in ("", "null"):
        return argument
    escaped = value.replace('"', '\\"')
    return f'{key}="{escaped}"'


def _asks_to_tune(argument: str) -> bool:
    key, _, value = argument.partition("=")
    return key in ("venv.mode", "policy.mode") and "tune" in value


def _two_searches() -> UserError:
    what = "-m runs one combination after the other, and mode=tune searches: together they are two ways of one thing"
    remedy = "leave out -m and put what varies into venv.space or policy.space; or mode=once"
    return UserError(Problem(what, "command line", remedy=remedy))


@contextmanager
def _command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads sys.argv, and leaves exceptions alone only if this variable says so."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full
