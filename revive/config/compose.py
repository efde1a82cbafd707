"""Composing a config and checking it: overrides in, `Settings` out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from revive.config import experiments
from revive.config.explain import explain, override_key
from revive.config.keys import dotted_keys, unknown_key, unknown_keys
from revive.config.memory import memory_problems
from revive.config.settings import Settings
from revive.config.shipped import shipped
from revive.errors import Problem, Problems, UserError

VERSION_BASE = "1.3"
CONFIG_NAME = "config"
OF_NODES = ("venv.nodes.", "venv.weights.")  # begin the keys that are called after the user's nodes


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Hydra set up on our conf/ and on the experiments, for `hydra.compose`."""
    experiments.register()
    with hydra.initialize_config_dir(str(shipped("conf")), job_name="revive", version_base=VERSION_BASE):
        yield


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """The config that a command line with these overrides would run with, without Hydra's own part.

    Raises:
        UserError: an override or a file cannot be composed.
    """
    config = _compose(list(overrides))
    with open_dict(config):
        del config["hydra"]
    return config


def load_settings(
    overrides: Sequence[str], values: Mapping[str, Any] | None = None, name: str | None = None
) -> Settings:
    """Compose and check, as the command line does.

    Args:
        overrides: as on the command line.
        values: dotted key -> plain value, set after the overrides.
        name: what the experiment is called, where it is none of the folders that `experiment=NAME` finds.

    Raises:
        UserError: with all that is wrong.
    """
    config = _compose(list(overrides))
    choices = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
        for key, value in (values or {}).items():
            OmegaConf.update(config, key, value, merge=False, force_add=True)
    typed = "command line" if name is None else "settings"
    with hydra_ready():
        return to_settings(config, choices, [*overrides, *(f"{key}=" for key in values or {})], name, typed)


def _compose(overrides: list[str]) -> DictConfig:
    with hydra_ready():
        try:
            return hydra.compose(
                CONFIG_NAME, overrides=[opened(text) for text in overrides], return_hydra_config=True
            )
        except Exception as error:
            explained = explain(error, overrides)
            if explained is None:
                raise
            raise explained from error


def opened(override: str) -> str:
    """An override of a section that is keyed by the user's own nodes, as Hydra takes it; any other one as it is."""
    return f"++{override}" if override.startswith(OF_NODES) else override


def to_settings(
    config: DictConfig,
    choices: Mapping[str, Any],
    overrides: Sequence[str],
    name: str | None = None,
    typed: str = "command line",
) -> Settings:
    """Check a composed config; `choices` are the options that Hydra took, group by group.

    name: what it is called where no experiment is chosen. typed: where the overrides come from, for messages.

    Needs an initialised Hydra, to compose once more without the experiment: that tells which keys exist.

    Raises:
        UserError: no experiment was chosen, or keys or values are wrong; the message names all of them.
    """
    chosen = choices.get(experiments.GROUP)
    if not chosen and not name:
        raise experiments.no_experiment()
    experiment = experiments.find_experiment(str(chosen)) if chosen else None
    values, base = _resolve(config), _base(choices)
    known = list(dotted_keys(base))
    problems = Problems(unknown_key(key, known) for key in unknown_keys(values, base))
    if not problems:
        try:
            settings = Settings.check({"experiment": name or str(chosen), **values})
        except UserError as error:
            problems.extend(error.problems)
        else:
            problems.extend(memory_problems(settings.as_dict()))
    if problems:
        origin = _Origin(overrides, experiment, typed)
        raise UserError(*(origin.add(problem) for problem in problems))
    return settings


class _Origin:
    """Where a key got its value: on the command line, in the experiment, or in conf/."""

    def __init__(
        self, overrides: Sequence[str], experiment: experiments.Experiment | None, typed: str
    ) -> None:
        self._typed = {override_key(override) for override in overrides}
        self._where = typed
        self._file = experiment.file if experiment else None
        written: Any = {}
        if experiment:
            written = OmegaConf.to_container(experiments.load_experiment(experiment), resolve=False)
        self._written = set(dotted_keys(written))

    def add(self, problem: Problem) -> Problem:
        """The problem with its place completed."""
        key = problem.place or ""
        above = {key[:end] for end, char in enumerate(key) if char == "."} | {key}
        if above & self._typed:
            return replace(problem, file=self._where)
        return replace(problem, file=self._file) if above & self._written else problem


def _resolve(config: DictConfig) -> dict[str, Any]:
    try:
        missing = sorted(OmegaConf.missing_keys(config))
        values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(Problem(f"cannot be resolved: {error.msg}", place=error.full_key)) from error
    except RecursionError as error:
        what = "values refer to each other in a circle, or are nested too deeply"
        raise UserError(Problem(what, place="${...}")) from error
    if missing:
        raise UserError(*(Problem("has no value", None, key, f"give it one: {key}=VALUE") for key in missing))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _base(choices: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same groups without experiment and debug."""
    return _composed(
        tuple(
            f"{group}={option}" if isinstance(option, str) else f"{group}=[{','.join(option)}]"
            for group, option in choices.items()
            if option
            and not group.startswith("hydra/")
            and "@" not in group
            and group not in (experiments.GROUP, "debug")
        )
    )


@cache  # of conf/ alone, which is the same as long as a process lives; the combinations of a multirun share it
def _composed(chosen: tuple[str, ...]) -> Mapping[str, Any]:
    base = OmegaConf.to_container(hydra.compose(CONFIG_NAME, overrides=list(chosen)), resolve=False)
    assert isinstance(base, dict)
    return {str(key): value for key, value in base.items()}
