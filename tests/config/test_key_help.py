"""`--help KEY` says what stands beside a key in conf/."""

from __future__ import annotations

import pytest

from revive.__main__ import main


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("dataset.where", "only rows that fulfil a condition"),
        ("dataset", "dataset.split.validation=0.5"),
        ("seed", "seed=0"),
        ("venv.budget", "venv.budget="),
    ],
)
def test_a_key_is_explained(key: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", key]) == 0
    assert said in capsys.readouterr().out


def test_an_unknown_key_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "dataset.wher"]) == 2
    assert "did you mean 'dataset.where'" in capsys.readouterr().err


def test_help_of_new_and_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--help"]) == 0
    assert "--trajectory COLUMNS" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "--help KEY" in capsys.readouterr().out


def test_a_section_with_a_remark_has_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", "trust"]) == 0
    assert "trust=  " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["a", "b"], ["a", "--to", "x"], ["a", "--out"], ["a", "--acc"], ["a", "--nam", "b"]]
)
def test_what_export_cannot_mean_is_one_message(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *words]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("these arguments of 'export' cannot be understood: ")
    assert "    -> write: export BUNDLE" in said.err
    assert "usage" not in said.err
