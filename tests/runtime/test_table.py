"""Policies on plain tables: a row for each plant, a column for each number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from revive.bundles import Bundle
from revive.deploy import save_policy
from revive.errors import UserError
from revive.runtime import Policy, load_policy
from revive.runtime.table import PolicyTable, example, of_bundle
from tests.runtime.plants import Kind, arrays_of, policy_of


def saved(kind: Kind, folder: Path) -> Policy:
    save_policy(policy_of(kind), folder / "policy", {"seed": 0})
    return load_policy(folder / "policy")


@pytest.mark.parametrize("kind", ["plain", "mixed", "category"])
def test_a_table_is_answered_as_the_arrays_are(kind: Kind, tmp_path: Path) -> None:
    policy = saved(kind, tmp_path)
    arrays = arrays_of(policy.graph, 20, np.random.default_rng(1))
    names = [column.name for column in policy.graph.columns("x")]
    frame = pd.DataFrame(arrays["x"], columns=names)
    answer = PolicyTable(policy)(frame.assign(another=1.0)[["another", *reversed(names)]])
    assert list(answer) == [column.name for column in policy.graph.columns("u")]
    np.testing.assert_array_equal(np.stack(list(answer.values()), 1), policy.act({"x": arrays["x"]})["u"])


def test_earlier_values_are_columns_and_a_session_agrees_with_them(tmp_path: Path) -> None:
    policy = saved("history", tmp_path)
    table, session = PolicyTable(policy), policy.session(plants=4)
    required = [field.name for field in table.inputs.fields if field.required]
    assert required == ["level", "flow"]
    optional = {field.name for field in table.inputs.fields if not field.required}
    assert optional == {
        "ts-1_level",
        "ts-2_level",
        "ts-1_flow",
        "ts-2_flow",
        "ts-1_valve",
        "ts-2_valve",
        "step_node_",
    }
    rng, past = np.random.default_rng(2), []
    for step in range(5):
        seen = pd.DataFrame(rng.normal(5.0, 2.0, (4, 2)), columns=["level", "flow"])
        told = {"step_node_": np.full(4, float(step))}
        for back, row in enumerate(reversed(past[-2:]), 1):
            told |= {f"ts-{back}_{name}": row[name].to_numpy() for name in row}
        expected = session.act(seen)["valve"].to_numpy()
        np.testing.assert_allclose(table({**seen.to_dict("list"), **told})["valve"], expected, rtol=1e-12)
        past.append(seen.assign(valve=expected))


def test_of_what_was_before_each_row_may_know_something_else(tmp_path: Path) -> None:
    table = PolicyTable(saved("history", tmp_path))
    rows = {"level": [5.0, 5.0], "flow": [4.0, 4.0], "ts-1_level": [np.nan, 3.0], "ts-1_flow": [np.nan, 4.0]}
    both = table(rows)["valve"]
    assert both[0] == table({"level": [5.0], "flow": [4.0]})["valve"][0]
    assert (
        both[1]
        == table({"level": [5.0], "flow": [4.0], "ts-1_level": [3.0], "ts-2_level": [3.0]})["valve"][0]
    )
    assert both[0] != both[1]


def test_what_is_wrong_with_a_table_is_said_at_once(tmp_path: Path) -> None:
    table = PolicyTable(saved("plain", tmp_path))
    with pytest.raises(UserError, match="did you mean 'levl'") as missing:
        table({"levl": [1.0], "flow": ["a lot"]})
    assert "column 'level': is missing" in str(missing.value)
    assert "column 'flow': holds values that are no numbers" in str(missing.value)
    with pytest.raises(UserError, match="not finite"):
        table({"level": [np.nan], "flow": [1.0]})


@pytest.mark.parametrize("kind", ["plain", "mixed", "history", "category"])
def test_the_example_is_a_legal_row(kind: Kind, tmp_path: Path) -> None:
    table = PolicyTable(saved(kind, tmp_path))
    bundle = Bundle.open("policy", tmp_path / "policy")
    row = example(bundle)
    inputs, outputs = of_bundle(bundle)
    assert list(row) == [field.name for field in inputs.fields if field.required]
    assert list(table(row)) == [field.name for field in outputs]
