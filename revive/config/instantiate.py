"""Config sections that name a constructor (`_target_`): checking their arguments, and calling it."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Unpack, get_args, get_origin, get_type_hints

import hydra.utils
from hydra.errors import InstantiationException
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from revive.config.problems import shown, wording
from revive.errors import Problem, Problems, UserError, nearest, suggestion

PACKAGE = "revive"
_RESERVED = {"_target_", "_convert_", "_recursive_", "_partial_"}


def check_arguments(
    section: Mapping[str, Any],
    path: str,
    supplied: Collection[str] | None = None,
    trusted: Collection[str] = (),
) -> Problems:
    """Everything that is wrong with the arguments of a section, nested sections included.

    Keys are compared with the constructor's signature and values with its annotations, as far as these
    speak of plain values. Arguments that have no default count as missing where `supplied`, the names
    that the caller will add, is given; None leaves that open.

    Args:
        section: `_target_` and the arguments, as plain values.
        path: the dotted key of the section, for messages.
        supplied: names of arguments that come from elsewhere.
        trusted: classes outside this package that a `_target_` may name.
    """
    problems = Problems()
    try:
        target = find_target(section.get("_target_"), path, trusted)
    except UserError as error:
        problems.extend(error.problems)
        return problems
    parameters = _parameters(target)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = [name for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for key, value in section.items():
        place = f"{path}.{key}"
        if key in _RESERVED:
            continue
        if supplied is not None and key in supplied:
            problems.add("cannot be set here: the program fills it in", place=place)
        elif key in names:
            problems.extend(_check_value(value, parameters[key].annotation, place, trusted))
        elif open_ended:
            problems.extend(_check_nested(value, place, trusted))
        else:
            remedy = suggestion(key, [name for name in names if name not in (supplied or ())])
            problems.add(f"{section['_target_']} takes no such argument", place=place, remedy=remedy)
    if supplied is not None:
        for name in names:
            if parameters[name].default is inspect.Parameter.empty and name not in {*section, *supplied}:
                problems.add(
                    "has no value", place=f"{path}.{name}", remedy=f"give it one: {path}.{name}=VALUE"
                )
    return problems


def check_sections(values: Mapping[str, Any], path: str = "", trusted: Collection[str] = ()) -> Problems:
    """`check_arguments` for every section with a `_target_` that nested values hold; imports the targets."""
    problems = Problems()
    for key, value in values.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and "_target_" not in value:
            problems.extend(check_sections(value, place, trusted))
        elif isinstance(value, Mapping):
            problems.extend(check_arguments(value, place, trusted=trusted))
    return problems


def instantiate(section: Mapping[str, Any], path: str, trusted: Collection[str] = (), **extra: Any) -> Any:
    """Call the constructor of a section with its arguments and `extra`, after checking them.

    trusted: as for `check_arguments`.

    Raises:
        UserError: the section is wrong, or the constructor says so.
    """
    check_arguments(section, path, supplied=extra.keys(), trusted=trusted).raise_if_any()
    try:
        # Partial first: what is in `extra` must reach the constructor untouched by OmegaConf.
        make = hydra.utils.instantiate(dict(section), _partial_=True, _convert_="all")
        return make(**extra)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise


def find_target(name: object, path: str, trusted: Collection[str] = ()) -> Callable[..., Any]:
    """The class that a `_target_` names: one of this package, or of those that are `trusted`.

    Raises:
        UserError: there is none of that name, or it belongs to another package.
    """
    place = f"{path}._target_"
    if not isinstance(name, str):
        raise UserError(Problem(f"must name a class, not {shown(name)}", place=place))
    module_name, _, attribute = name.rpartition(".")
    package = module_name.partition(".")[0]
    if not module_name or (package != PACKAGE and name not in trusted):
        remedy = (
            f"to run it all the same: 'trust.targets=[{name}]' on the command line" if module_name else None
        )
        raise UserError(Problem(f"must start with '{PACKAGE}.', not {shown(name)}", None, place, remedy))
    try:
        module = importlib.import_module(module_name)
    except (ModuleNotFoundError, ValueError) as error:
        missing = getattr(error, "name", None) or ""
        if isinstance(error, ModuleNotFoundError) and not (missing and module_name.startswith(missing)):
            raise
        raise UserError(Problem(f"there is no module {shown(module_name)}", place=place)) from error
    target = getattr(module, attribute, None)
    # A function is no target: those of this package may run files.
    if not inspect.isclass(target) or str(target.__module__).partition(".")[0] != package:
        own = [
            key for key, value in vars(module).items() if inspect.isclass(value) and not key.startswith("_")
        ]
        close = nearest(attribute, own)
        remedy = f"did you mean '{module_name}.{close}'?" if close else None
        raise UserError(Problem(f"'{module_name}' has no class '{attribute}'", place=place, remedy=remedy))
    return target


def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """By name; those that a `**arguments: Unpack[SomeTypedDict]` stands for are listed one by one."""
    try:
        parameters = inspect.signature(target, eval_str=True).parameters
    except NameError:  # an annotation that exists for type checkers only
        return inspect.signature(target).parameters
    found: dict[str, inspect.Parameter] = {}
    for name, parameter in parameters.items():
        if get_origin(parameter.annotation) is Unpack:
            (table,) = get_args(parameter.annotation)
            for key, annotation in get_type_hints(table).items():
                found[key] = inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        else:
            found[name] = parameter
    return found


def _check_nested(value: Any, place: str, trusted: Collection[str]) -> list[Problem]:
    """Every section with a `_target_` in a value, however deep: Hydra would make what it names."""
    if isinstance(value, Mapping) and "_target_" in value:
        return check_arguments(value, place, trusted=trusted)
    inner = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    return [problem for k, v in inner for problem in _check_nested(v, f"{place}.{k}", trusted)]


def _holds_target(value: Any) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return (isinstance(value, Mapping) and "_target_" in value) or any(map(_holds_target, inner))


def _check_value(value: Any, annotation: Any, place: str, trusted: Collection[str]) -> list[Problem]:
    if _holds_target(value):
        return _check_nested(value, place, trusted)
    if annotation is inspect.Parameter.empty or isinstance(annotation, str):
        return []
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (PydanticUserError, TypeError):  # not made of plain values
        return []
    try:
        adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return [Problem(f"{wording(details)}, not {shown(value)}", place=place)]
    return []
