"""The script that tries the reference's files still fits the package that it calls."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.reference_files import Case, _options, _right, table


def test_only_a_learner_with_a_curriculum_gets_one(tmp_path: Path) -> None:
    config = {
        "base_config": [{"name": "venv_algo", "default": "revive_p"}],
        "venv_algo_config": {"revive_p": [{"name": "g_steps", "default": 3}]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    usual, game = Case("usual", "d.yaml"), Case("game", "d.yaml", config="config.json")
    cloned = Case("cloned", "d.yaml", options={"venv_algo": "bc"})
    staged = ["venv.learner.curriculum" in _options(case, tmp_path) for case in (usual, game, cloned)]
    assert staged == [True, False, False]


def test_a_refused_case_is_in_the_table_and_not_right() -> None:
    row = {"case": "a", "wanted": ["venv"], "seconds": {"check": 1.0, "server": 2.0, "command": 3.0}}
    row |= {"check": "ok", "server": "refused: x | y", "command": "ok"}
    assert not _right(row)
    assert table([row]).splitlines()[-1] == "| a | ok | venv | refused: x / y | ok | 6 |"
