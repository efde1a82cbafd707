"""The sections about the venv, one for each question that a reader has, from `report.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from revive.data.duration import steps_told
from revive.report.trust import venv_figures
from revive.report.trust.parts import escape, picture, picture_or_nothing, section, valued
from revive.report.trust.tables import band_table, calibration_table, error_table, gain_table, parameter_table

Study = Mapping[str, Any]


def venv_sections(summary: Study, study: Study) -> list[str]:
    """All of them, those empty that have nothing to show."""
    step = summary["data"].get("step_seconds")
    units = {name: entry["units"] for name, entry in study["errors"].items()}
    return [
        _errors(study, step),
        _rollouts(study, units, step),
        _distributions(study, units),
        _calibration(study),
        _parameters(summary),
        *_responses(study, summary["data"].get("units", {}), step),
        _residuals(study),
        _drift(study),
        _worst(study, step),
    ]


def _errors(study: Study, step: float | None) -> str:
    return section(
        "error",
        "How wrong is the venv, so many steps ahead?",
        "The venv is started from logged states, given the logged actions, and compared with what was logged. It never "
        "saw these rows. A venv is worth something where it errs less than the three simple guesses beside it: that "
        "nothing changes, that all is as it is on average, and a plain linear model (ARX of two steps).",
        picture(venv_figures.errors(study["errors"], step)) if study["errors"] else "",
        error_table(study["errors"], step),
    )


def _parameters(summary: Study) -> str:
    if not (parameters := summary["venv"].get("parameters")):
        return ""
    return section(
        "parameters",
        "What are the numbers in your function?",
        "The parameters that it left open, fitted together with what a network adds. Where members or halves disagree, "
        "the logs do not tell the number. Next to a bound the logs ask for one beyond it, or the function lacks "
        "something. What the function could say by other numbers counts as the function's.",
        parameter_table(parameters),
    )


def _rollouts(study: Study, units: Mapping[str, str | None], step: float | None) -> str:
    aside = ", kept aside from a search too." if study["calibrated_on"] == "test" else ", half by half."
    return section(
        "rollouts",
        "What does it foretell, and do the bands hold?",
        "Rollouts from three places. The inner band holds nine logged values in ten at each step, the outer one nine "
        f"whole paths in ten. Their widths were counted on rows that the venv did not learn from{aside}",
        picture(venv_figures.windows(study["rollouts"], step)) if study["rollouts"]["first"] else "",
        band_table(study["bands"], units, step),
    )


def _distributions(study: Study, units: Mapping[str, str | None]) -> str:
    return section(
        "distributions",
        "Does it spread as the plant does?",
        "Logged values and the venv's draws at single steps. The distance is how far one would have to be moved to "
        "become the other (Wasserstein), in units of the column; by chance alone it would be about the second number.",
        picture_or_nothing(venv_figures.distributions(study["distributions"], units)),
    )


def _calibration(study: Study) -> str:
    return section(
        "calibration",
        "Is it as sure as it may be?",
        "Where the spread is right, logged values fall evenly into the ten parts of what was foretold: the bars are "
        "level. A hump in the middle says that the venv is less sure than it could be, high ends that it is too sure. "
        "In the table: how often logged values lay inside the spread that should hold 50 % and 90 % of them; the "
        "chance of bars so uneven although the spread is right; and the error of the whole distribution (CRPS, in the "
        "unit of the column, smaller is better), beside that of two simple guesses.",
        picture_or_nothing(venv_figures.calibration(study["calibration"])),
        calibration_table(study["calibration"]),
    )


def _responses(study: Study, units: Mapping[str, str], step: float | None) -> Iterator[str]:
    for target, entry in study["responses"].items():
        yield section(
            f"response-{escape(target)}",
            f"What does {_moved(entry) or repr(target)} do?",
            "One input is moved, all others are held where the plant usually was. Left: the next step; middle: after "
            f"{steps_told(entry['after'], step)}; right: the way there. Each line is a model; where they part, or "
            f"where the ground is shaded, the logs do not say. Held at (row {entry['row']}): "
            f"{valued(entry['held'], units)}.",
            picture(venv_figures.responses(entry, step)) if entry["of"] else "",
            gain_table(entry, step),
        )


def _moved(entry: Study) -> str:
    """The columns of an input, in quotes."""
    names = list(dict.fromkeys(pair["input"]["name"] for pair in entry["of"]))
    return ", ".join(f"'{name}'" for name in names[:4])


def _residuals(study: Study) -> str:
    residuals = study["residuals"]
    return section(
        "residuals",
        "Where is it wrong?",
        "What one step got wrong, over the value of each input; 1 is the error that the venv states as usual. The "
        "solid line, the mean, should lie at 0 everywhere: where it lies above, the plant went higher than foretold. "
        "The dashed line, the typical size, should lie at 1.",
        picture_or_nothing(venv_figures.residual_map(residuals["map"])),
        picture_or_nothing(venv_figures.by_trajectory(residuals["by_trajectory"])),
    )


def _drift(study: Study) -> str:
    return section(
        "drift",
        "Does the plant stay the same?",
        "One-step errors, less their mean, added up in time (CUSUM). A curve that leaves the dashed lines says "
        "that the plant was not the same throughout; dotted lines stand where it probably changed. Where it rises, the "
        "plant ran higher than foretold, where it falls, lower.",
        picture_or_nothing(venv_figures.drift(study["drift"])),
    )


def _worst(study: Study, step: float | None) -> str:
    return section(
        "worst",
        "Where was it worst?",
        "The stretches of the logs with the largest errors. Ask whether something happened there that no column tells.",
        picture(venv_figures.windows(study["worst"], step)) if study["worst"]["first"] else "",
    )
