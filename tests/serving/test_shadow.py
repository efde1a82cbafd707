"""Shadow mode: what was proposed stands beside what was done, in a file that survives whatever stops its writer."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revive.errors import UserError
from revive.serving import Service, ShadowLog

Make = Callable[..., Service]
REQUEST = {"inputs": {"level": 5.0, "flow": 5.5}, "operator": {"valve": 3.0}}


def test_proposals_are_logged_and_not_called_actions(service: Make, tmp_path: Path) -> None:
    made = service(shadow=tmp_path / "logs" / "shadow.csv")
    answer = made.act(REQUEST)
    made.close()
    assert answer["shadow"] is True
    assert "action" not in answer
    (row,) = csv.DictReader((tmp_path / "logs" / "shadow.csv").open())
    assert float(row["seen.level"]) == 5.0
    assert float(row["operator.valve"]) == 3.0
    assert float(row["proposed.valve"]) == answer["proposal"]["valve"]
    assert (row["plant"], row["step"], row["outside"], row["in_range"]) == ("plant", "0", "", "1")
    assert made.counts.compared == 1
    assert made.counts.distance["valve"] == pytest.approx(abs(3.0 - answer["proposal"]["valve"]))


def test_json_lines(service: Make, tmp_path: Path) -> None:
    made = service(shadow=tmp_path / "shadow.jsonl")
    made.act({"plants": dict.fromkeys(("a", "b"), REQUEST)})
    made.close()
    rows = [json.loads(line) for line in (tmp_path / "shadow.jsonl").read_text().splitlines()]
    assert [row["plant"] for row in rows] == ["a", "b"]
    assert rows[0]["outside"] == []


def test_what_was_done_is_remembered_not_what_was_proposed(service: Make, tmp_path: Path) -> None:
    shadow = service("history", shadow=tmp_path / "s.csv")
    policy, seen = shadow.policy, {"x": np.array([[5.0, 5.5]])}
    memory = policy.memory()
    for done in (2.0, 8.0, 5.0):
        proposed = shadow.act({**REQUEST, "operator": {"valve": done}})["proposal"]
        wanted = policy.act(memory.complete(seen))["u"]
        memory.advance(seen, {"u": np.array([[done]])})
    assert proposed["valve"] == pytest.approx(wanted[0, 0])


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (None, "shadow mode needs what the operator did"),
        ({"valv": 3.0}, "there is no column 'valv'"),
        ({}, "'valve' is missing"),
        ({"valve": "open"}, "'open' is no number"),
    ],
)
def test_an_operator_who_is_not_understood(service: Make, tmp_path: Path, operator: Any, said: str) -> None:
    made = service(shadow=tmp_path / "s.csv")
    request = {"inputs": REQUEST["inputs"], **({} if operator is None else {"operator": operator})}
    with pytest.raises(UserError, match=said):
        made.act(request)
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 1


def test_what_an_operator_does_beyond_the_limits_is_logged_as_it_is(service: Make, tmp_path: Path) -> None:
    made = service(shadow=tmp_path / "s.csv")
    made.act({**REQUEST, "operator": {"valve": 14.0}})
    assert next(csv.DictReader((tmp_path / "s.csv").open()))["operator.valve"] == "14.0"


def test_a_log_is_continued(service: Make, tmp_path: Path) -> None:
    for _ in range(2):
        made = service(shadow=tmp_path / "s.csv")
        made.act(REQUEST)
        made.close()
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert len(lines) == 3
    assert sum(line.startswith("time,") for line in lines) == 1


@pytest.mark.parametrize("name", ["s.csv", "s.jsonl"])
def test_a_torn_line_is_ended_first(service: Make, tmp_path: Path, name: str) -> None:
    made = service(shadow=tmp_path / name)
    made.act(REQUEST)
    made.close()
    with (tmp_path / name).open("a") as file:
        file.write('2026-01-01T00:00:00,"pl' if name.endswith("csv") else '{"time": "20')
    made = service(shadow=tmp_path / name)
    made.act(REQUEST)
    made.close()
    first, *_, torn, last = (tmp_path / name).read_text().splitlines()
    assert "pl" in torn or "20" in torn
    assert len(next(csv.reader([last]))) == len(next(csv.reader([first]))) or json.loads(last)


def test_files_that_are_something_else(service: Make, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "other.jsonl").write_text("a,b\n")
    (tmp_path / "folder.csv").mkdir()
    for name, said in (
        ("other.csv", "holds another table"),
        ("other.jsonl", "something else than JSON lines"),
        ("folder.csv", "cannot be written"),
        ("log.txt", r"ends in \.csv or \.jsonl"),
    ):
        with pytest.raises(UserError, match=said):
            service(shadow=tmp_path / name)
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    log = ShadowLog(tmp_path / "s.csv", ["a"])
    with pytest.raises(UserError, match="being written by another process"):
        ShadowLog(tmp_path / "s.csv", ["a"])
    log.close()
    ShadowLog(tmp_path / "s.csv", ["a"]).close()
