"""What `new` takes on the command line about the table itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import revive.__main__
from revive.config.new_arguments import NewArguments
from revive.errors import UserError


def test_keys_of_a_table_are_read_as_those_of_a_run() -> None:
    words = ["x", "--data", "a.csv", "dataset.table.header=none", 'dataset.table.decimal=","']
    given = NewArguments.parse(
        [*words, 'dataset.table.missing=[Bad, "no reading"]', "dataset.table.footer=2"]
    )
    assert given.table == {"header": "none", "decimal": ",", "missing": ["Bad", "no reading"], "footer": 2}


@pytest.mark.parametrize("word", ["dataset.table.headr=1", "dataset.gap=3"])
def test_other_keys_are_refused_with_the_nearest_one(word: str) -> None:
    with pytest.raises(UserError, match=r"says nothing about how a table is written.*dataset\.table"):
        NewArguments.parse(["x", "--data", "a.csv", word])


def test_what_the_message_says_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bare.csv").write_text("\n".join(f"{20 + 0.37 * (k % 17)},{k % 7}.5" for k in range(40)) + "\n")
    assert revive.__main__.main(["new", "made", "--data", "bare.csv"]) == 2
    assert "dataset.table.header=none" in capsys.readouterr().err
    assert revive.__main__.main(["new", "made", "--data", "bare.csv", "dataset.table.header=none"]) == 0
    made = yaml.safe_load(Path("experiments/made/experiment.yaml").read_text())
    assert made["dataset"]["table"] == {"header": "none"}
