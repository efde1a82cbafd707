"""Experiments are folders that hold an experiment.yaml: finding them, and handing them to Hydra."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from revive.config.own_yaml import check_sections_of, read_small
from revive.config.shipped import shipped
from revive.errors import Problem, UserError, suggestion

FILE = "experiment.yaml"
GROUP = "experiment"
VARIABLE = "REVIVE_EXPERIMENTS"
LONGEST_NAME = 200

# What an experiment names by path; relative ones start at the experiment's own folder.
PATHS = (
    "dataset.path",
    "dataset.description",
    "dataset.validation_path",
    "reward",
    "simulator",
    "venv_path",
    "venv.user_module",
    "venv.rules",
    "tuning.initial_state",
)


@dataclass(frozen=True)
class Experiment:
    """A folder with an experiment.yaml in it; its name is what `experiment=` takes."""

    name: str
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / FILE

    def summary(self) -> str:
        """The first line of the README that says something, without its heading marks."""
        try:
            lines = (self.folder / "README.md").read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return ""
        return next((line.strip("# \t") for line in lines if line.strip("# \t")), "")


def search_folders() -> list[Path]:
    """The folders that are searched, first match wins; some of them may not exist."""
    named = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return [folder.absolute() for folder in (*named, Path("experiments"), shipped("experiments"))]


def find_experiments() -> dict[str, Experiment]:
    """Every experiment that `experiment=NAME` can choose, by name and in order of the names."""
    found: dict[str, Experiment] = {}
    for folder in search_folders():
        if not folder.is_dir():
            continue
        for child in folder.iterdir():
            if (child / FILE).is_file():
                found.setdefault(child.name, Experiment(child.name, child))
    return dict(sorted(found.items()))


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        UserError: there is none; the message lists those there are and where they were looked for.
    """
    found = find_experiments()
    if name in found:
        return found[name]
    if len(name) > LONGEST_NAME or "\x00" in name:
        raise UserError(
            Problem(f"there is no experiment '{name[:40]}...'", remedy=_choices(name[:40], found))
        )
    for folder in search_folders():
        if (folder / name).is_dir():
            remedy = "'python -m revive new NAME --data FILE' makes a whole experiment"
            raise UserError(
                Problem(f"no experiment: the folder holds no {FILE}", folder / name, None, remedy)
            )
    raise UserError(Problem(f"there is no experiment '{name}'", remedy=_choices(name, found)))


def no_experiment() -> UserError:
    """The error for a command that names no experiment."""
    names = ", ".join(find_experiments()) or "none found"
    return UserError(Problem("no experiment was chosen", remedy=f"add experiment=NAME; possible: {names}"))


def _choices(name: str, found: dict[str, Experiment]) -> str:
    looked = "looked in " + ", ".join(
        f"{folder}{'' if folder.is_dir() else ' (not there)'}" for folder in dict.fromkeys(search_folders())
    )
    return "; ".join(part for part in (suggestion(name, found), looked) if part)


def load_experiment(experiment: Experiment) -> DictConfig:
    """Read an experiment.yaml and make the paths in it absolute.

    Raises:
        UserError: the file cannot be read, is no YAML, or holds no mapping.
    """
    try:
        read_small(experiment.file)
        config = OmegaConf.load(experiment.file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else None
        raise UserError(Problem(f"not valid YAML: {error.problem}", experiment.file, place)) from error
    except (OSError, ValueError, TypeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(Problem(f"cannot be read: {error}", experiment.file)) from error
    if not isinstance(config, DictConfig):
        raise UserError(Problem("must hold a mapping of keys to values", experiment.file))
    plain = OmegaConf.to_container(config, resolve=False)
    check_sections_of(plain, experiment.file)
    for key in PATHS:
        value = _look_up(plain, key)
        if isinstance(value, str) and "${" not in value and value != "???":
            OmegaConf.update(config, key, str(experiment.folder / Path(value).expanduser()))
    return config


def _look_up(values: object, dotted: str) -> object:
    for part in dotted.split("."):
        if not isinstance(values, dict):
            return None
        values = values.get(part)
    return values


class ExperimentSource(ConfigSource):
    """Shows the experiments to Hydra as the options of the group `experiment`."""

    @staticmethod
    def scheme() -> str:
        return "experiments"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        return self._find(config_path) is not None

    def load_config(self, config_path: str) -> ConfigResult:
        experiment = self._find(config_path)
        if experiment is None:
            raise ConfigLoadError(f"no experiment at '{config_path}'")
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{experiment.file}",
            config=load_experiment(experiment),
            header={"package": "_global_"},  # an experiment speaks about the whole config
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path == "" and results_filter is not ObjectType.CONFIG:
            return [GROUP]
        if config_path == GROUP and results_filter is not ObjectType.GROUP:
            return list(find_experiments())
        return []

    @staticmethod
    def _find(config_path: str) -> Experiment | None:
        group, _, name = config_path.removesuffix(".yaml").partition("/")
        return find_experiments().get(name) if group == GROUP else None


class ExperimentSearchPath(SearchPathPlugin):
    """Adds the experiments to what Hydra searches."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("revive", f"{ExperimentSource.scheme()}://")


def register() -> None:
    """Make `experiment=NAME` known to Hydra; doing it twice does no harm."""
    Plugins.instance().register(ExperimentSource)
    Plugins.instance().register(ExperimentSearchPath)
