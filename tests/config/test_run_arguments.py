"""A verb about finished runs takes what the table of verbs says of it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from revive.config.run_arguments import RunArguments
from revive.errors import UserError


def test_a_run_is_named_with_and_without_its_key_and_found_below_log_dir(tmp_path: Path) -> None:
    for named in ("run=otter", "otter"):
        given = RunArguments.parse("trial-plan", [named, f"log_dir={tmp_path}", "seed=3", "steps=400"])
        assert given.folders == (tmp_path / "otter",)
        assert given.rest == {"seed": "3", "steps": "400"}


def test_json_is_taken_where_a_verb_can_print_it_and_refused_where_not() -> None:
    assert RunArguments.parse("promote", ["otter", "--json"]).json
    with pytest.raises(UserError, match="'--json' is no argument of trial-plan"):
        RunArguments.parse("trial-plan", ["otter", "--json"])


def test_a_key_of_another_verb_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"(?s)'alias=x' is no argument of report.*possible: log_dir, run"):
        RunArguments.parse("report", ["otter", "alias=x"])


def test_too_few_runs_are_refused_with_how_to_name_them() -> None:
    with pytest.raises(
        UserError, match=r"(?s)'compare' takes 2 runs or more, 1 are named.*write: compare RUN RUN"
    ):
        RunArguments.parse("compare", ["otter"], fewest=2, most=9)
