"""What `new` takes columns for: by their names, by their values, and as it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from revive.data.roles import Role, actions_among, role_by_name
from revive.data.scaffold import Guess, guess
from revive.data.survey import Wishes
from revive.errors import UserError


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("machineID", Role.TRAJECTORY),
        ("Batch No", Role.TRAJECTORY),
        ("patient_id", Role.TRAJECTORY),
        ("unit", Role.TRAJECTORY),
        ("lot", Role.TRAJECTORY),
        ("terminals", Role.DONE),
        ("timeouts", Role.DONE),
        ("is_terminal", Role.DONE),
        ("reward", Role.REWARD),
        ("changepoint", Role.LABEL),
        ("anomaly", Role.LABEL),
        ("Time [s]", Role.TIME),
        ("t", Role.TIME),
        ("T", None),
        ("T_amb", Role.OUTSIDE),
        ("Hour of day", Role.OUTSIDE),
        ("Windspeed", Role.OUTSIDE),
        ("operating hours", None),
        ("outdoor temperature", Role.OUTSIDE),
        ("level", None),
        ("Kläranlage", None),
        ("%", None),
    ],
)
def test_names_that_say_what_they_are_for(name: str, role: Role | None) -> None:
    assert role_by_name(name) == role


@pytest.mark.parametrize(
    ("names", "actions"),
    [
        (["level", "temp", "valve"], ["valve"]),
        (["valve_cmd", "valve_pos", "level"], ["valve_cmd"]),
        (["valve_cmd", "valve", "level"], ["valve_cmd"]),
        (["FIC101.PV", "FIC101.OP", "FIC101.SP"], ["FIC101.OP"]),
        (["damper [%]", "humidity [%]"], ["damper [%]"]),
        (["opening [%]", "humidity [%]", "room"], ["opening [%]"]),
        (["glucose", "insulin", "meal"], ["insulin"]),
        (["temp", "temp_set"], ["temp_set"]),
        (["pump_pressure", "pump_u", "heater power"], ["pump_u", "heater power"]),
        (["a", "b"], []),
    ],
)
def test_names_that_read_like_actions(names: list[str], actions: list[str]) -> None:
    assert [*actions_among(names)] == actions


def columns(rows: int = 60) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"level": rng.normal(size=rows), "temp": rng.normal(size=rows), "valve": rng.normal(size=rows)}


def taken(path: Path, columns: dict[str, Any], wishes: Wishes | None = None) -> tuple[Guess, dict[str, str]]:
    pd.DataFrame(columns).to_csv(path / "logs.csv", index=False)
    of = guess(path / "logs.csv", wishes)
    return of, {name: role for role, names, _ in of.taken for name in names}


def test_constants_labels_and_row_numbers_are_left_out_by_name(tmp_path: Path) -> None:
    extra = {"site": 3.0, "anomaly": [0, 1] * 30, "row": range(60), "outdoor": np.arange(60) % 7}
    of, roles = taken(tmp_path, {**columns(), **extra})
    assert {name for name, role in roles.items() if role == "no node"} == {"site", "anomaly", "row"}
    assert roles["outdoor"] == Role.OUTSIDE
    assert "anomaly (a label), site (3 in all rows), row (it counts the rows)" in of.description


def test_what_is_told_is_taken(tmp_path: Path) -> None:
    wishes = Wishes(action=["temp"], exogenous=["level"], state=["valve"])
    of, roles = taken(tmp_path, {**columns(), "more": np.arange(60) % 7}, wishes)
    assert {name: str(role) for name, role in roles.items()} == {
        "temp": "action",
        "valve": "state",
        "level": "exogenous",
        "more": "no node",
    }
    assert "action: [outside, state]" in of.description
    with pytest.raises(UserError, match=r"--state: there is no column 'lvl'\n.*did you mean 'level'"):
        guess(tmp_path / "logs.csv", Wishes(state=["lvl"]))


def test_another_actuator_comes_from_outside(tmp_path: Path) -> None:
    _, roles = taken(tmp_path, {**columns(), "heater": np.arange(60) % 7}, Wishes(action=["valve"]))
    assert roles["heater"] == Role.OUTSIDE


@pytest.mark.parametrize(
    ("extra", "dataset"),
    [
        ({"machineID": [1] * 30 + [2] * 30}, {"trajectory": "machineID"}),
        ({"machine": list("ab" * 30), "run": [1] * 20 + [2] * 40}, {"trajectory": ["machine", "run"]}),
        ({"unit": [1] * 30 + [2] * 30, "cycle": [*range(30), *range(30)]}, {"trajectory": "unit"}),
        ({"done": [0] * 29 + [1] + [0] * 29 + [1]}, {"done": ["done"]}),
        ({"minute": [*range(30), *range(30)]}, {"resets": "minute"}),
        ({"pump_run": [0] * 10 + [1] * 20 + [0] * 10 + [1] * 20}, {}),
        ({"row_id": np.arange(60) * 7 % 60}, {}),
        (
            {"time": np.repeat(np.arange(30), 2), "who": list("xy" * 30)},
            {"time": "time", "trajectory": "who"},
        ),
    ],
)
def test_what_tells_trajectories(tmp_path: Path, extra: dict[str, Any], dataset: dict[str, Any]) -> None:
    assert taken(tmp_path, {**columns(), **extra})[0].dataset == dataset


def test_times_that_several_machines_share_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"several machines in one file(.|\n)*--trajectory COLUMN"):
        taken(tmp_path, {**columns(), "time": np.repeat(np.arange(30), 2)})


def test_a_long_table_is_named_with_the_lines_that_pivot_it(tmp_path: Path) -> None:
    wide = pd.DataFrame({**columns(), "time": pd.date_range("2024-01-01", periods=60, freq="s")})
    long = wide.melt("time", var_name="tag").sort_values("time")
    with pytest.raises(
        UserError, match=r"long format(.|\n)*3 quantities: level, temp, valve(.|\n)*pivot_table"
    ):
        taken(tmp_path, dict(long))


def test_a_few_whole_settings_are_no_codes(tmp_path: Path) -> None:
    of, _ = taken(tmp_path, {**columns(), "valve": [0, 25, 60, 100] * 15, "mode": [0, 1, 2] * 20})
    assert "valve: {dim: action, type: continuous, min: 0, max: 100}" in of.description
    assert "mode: {dim: state, type: category, values: [0, 1, 2]}" in of.description


KILN = "time;operator;oven temperature;opening\n;;°C;%\n" + "\n".join(
    f"{1 + hour // 24:02d}.03.2025 {hour % 24:02d}:00;{'ABC'[hour // 8 % 3]};{880 + hour % 7};{50 + hour % 5},5"
    for hour in range(60)
)


def test_units_of_the_file_and_what_words_stand_for_are_written_down(tmp_path: Path) -> None:
    (tmp_path / "kiln.csv").write_text(KILN, encoding="utf-8")
    lines = guess(tmp_path / "kiln.csv").description.splitlines()
    temperature, opening = (
        next(line for line in lines if f" {name}:" in line) for name in ('"oven temperature"', "opening")
    )
    assert 'units: "°C"' in temperature
    assert 'units: "%"' in opening
    assert any("operator" in line and "0 is A, 1 is B, 2 is C" in line for line in lines)


def test_a_unit_in_a_name_is_written_down_and_no_empty_one(tmp_path: Path) -> None:
    pd.DataFrame({"T [degC]": [1.5, 2.5, 4.5] * 9, "valve [-]": [0.1, 0.5, 0.2] * 9}).to_csv(
        tmp_path / "a.csv"
    )
    text = guess(tmp_path / "a.csv").description
    assert text.count("units:") == 1
    assert "units: degC" in text


def test_what_was_said_is_no_guess_and_limits_still_are_one(tmp_path: Path) -> None:
    (tmp_path / "kiln.csv").write_text(KILN, encoding="utf-8")
    found = guess(tmp_path / "kiln.csv", Wishes(action=["opening"], exogenous=["operator"]))
    by_name = {line.split(":")[0].strip(' -"'): line for line in found.description.splitlines()}
    assert "# action, as you said; GUESS: the limits" in by_name["opening"]
    assert "GUESS" not in by_name["operator"]
    assert [*found.doubts()] == []


def test_a_weak_reason_comes_with_the_flag_that_settles_it(tmp_path: Path) -> None:
    (tmp_path / "kiln.csv").write_text(KILN, encoding="utf-8")
    doubts = "\n".join(guess(tmp_path / "kiln.csv").doubts())
    assert "--action" in doubts
    assert "--exogenous" in doubts
