"""Hydra's and OmegaConf's exceptions as messages that name the right thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from revive.config import experiments
from revive.config.keys import FREE_SECTION, OPEN_SECTION, dotted_keys, unknown_key
from revive.errors import Problem, UserError, override, suggestion


def explain(error: Exception, overrides: Sequence[str]) -> UserError | None:
    """What the user got wrong, where `error` stopped the composition; None if it seems to be our fault.

    Needs an initialised Hydra, to see which keys exist.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, RecursionError):
        return UserError(
            Problem("values refer to each other in a circle, or are nested too deeply", place="${...}")
        )
    if isinstance(error, OverrideParseException):
        return _syntax(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(
        error, TypeError | OSError | AttributeError
    ):  # of Hydra, which expected other kinds of values
        what = f"cannot be composed: {type(error).__name__}: {str(error)[:200]}"
        return UserError(Problem(what, "command line", remedy="write key=value, and group=NAME"))
    if not isinstance(error, HydraException | OmegaConfBaseException | ValueError):
        return None
    return _unknown_overrides(overrides) or _several_values(error, overrides) or UserError(_text(error))


def override_key(override: str) -> str:
    """The key that an override such as `+a.b=1` or `~a.b` is about."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0].strip()


def _syntax(error: OverrideParseException) -> UserError:
    if "=" not in error.override:
        return UserError(Problem(f"cannot read '{error.override}'", "command line", remedy="write key=value"))
    key, _, value = error.override.partition("=")
    quoted = override(key, value.strip("'\""))
    remedy = f"text with special characters needs quotes inside those of the shell: {quoted}"
    return UserError(Problem(f"cannot read '{error.override}'", "command line", remedy=remedy))


def _missing_option(error: MissingConfigException) -> UserError:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return UserError(_text(error))
    if group == experiments.GROUP:
        try:
            experiments.find_experiment(option)
        except UserError as no_such:
            return no_such
    remedy = suggestion(option, error.options or ())
    return UserError(Problem(f"there is no {group} '{option}'", remedy=remedy))


def _unknown_overrides(overrides: Sequence[str]) -> UserError | None:
    """Every override whose key does not exist, or None if they all do."""
    loader = GlobalHydra.instance().config_loader()
    groups = loader.list_groups("")
    chosen = [text for text in overrides if override_key(text) in groups and "," not in text]
    try:
        config = hydra.compose("config", overrides=chosen)
    except Exception:  # the choices themselves are wrong, so what they hold is not known
        config = hydra.compose("config")
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    known = {*dotted_keys({str(key): value for key, value in plain.items()}), *groups}
    free = {override_key(text) for text in overrides if text.startswith("+") and f".{FREE_SECTION}" in text}
    typed = [key for key in map(override_key, overrides) if key not in free]
    wrong = [key for key in typed if key not in known and not key.startswith("hydra.")]
    problems = [_column_list(key) or unknown_key(key, known - {"hydra"}) for key in wrong]
    for key, _, option in (text.partition("=") for text in overrides):
        options = loader.get_group_options(key) if key in groups else []
        if options and option not in (*options, "null") and "," not in option:
            problems.append(Problem(f"there is no {key} '{option}'", remedy=suggestion(option, options)))
    return UserError(*(replace(p, file="command line") for p in problems)) if problems else None


def _column_list(key: str) -> Problem | None:
    """What to write instead of a node below `dataset.table`, which its defaults do not know."""
    if not key.startswith(OPEN_SECTION):
        return None
    keys = (
        "encoding, separator, decimal, thousands, header, units, footer, dates, zone, missing, codes, sheet"
    )
    remedy = f"for the columns of a node write +{key}=[COLUMN,...]; else possible: {keys}"
    return Problem("unknown key", place=key, remedy=remedy)


def _several_values(error: Exception, overrides: Sequence[str]) -> UserError | None:
    if "--multirun" not in str(error):
        return None
    parser = OverridesParser.create()
    several = [text for text in overrides if parser.parse_override(text).is_sweep_override()]
    problems = []
    for text in several:
        key, _, value = text.partition("=")
        remedy = "add -m to run them one after the other, or write a list as key=[a,b]; where the comma belongs to "
        remedy += f"the text, it needs quotes inside those of the shell: {override(key, value)}"
        problems.append(Problem(f"'{text}' has several values", "command line", None, remedy))
    return UserError(*problems)


def _text(error: BaseException) -> Problem:
    """The message of an error and of what caused it, without Hydra's search path."""
    texts = [str(error).partition("\nConfig search path:")[0], str(error.__cause__ or "")]
    return Problem("\n    ".join(line for text in texts for line in text.splitlines() if line.strip()))
