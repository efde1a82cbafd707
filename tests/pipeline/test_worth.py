"""What a run says of a policy's worth besides its prediction: in the summary, the report and the output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from revive.__main__ import main

REWARD = """
def get_reward(data):
    off = (data["next_temperature"][..., 0:1] + 2.0).abs()
    return {"comfort": -off, "power": -0.001 * data["action"][..., 0:1]}
"""


def test_terms_fqe_and_comparison_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "terms.py").write_text(REWARD)
    arguments = ["experiment=refrigerator", "debug=fast", "tracking=none", f"log_dir={tmp_path}", "run_id=a"]
    assert main([*arguments, f"reward={tmp_path / 'terms.py'}"]) == 0
    said = capsys.readouterr().out
    assert "terms      comfort " in said
    assert "logs alone " in said
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    policy = summary["policy"]
    assert set(policy["terms"]) == {"comfort", "power"}
    logged = sum(term["logged"] for term in policy["terms"].values())
    assert logged == pytest.approx(policy["logged"], abs=1e-4)
    predicted = sum(term["predicted"] for term in policy["terms"].values())
    assert predicted == pytest.approx(policy["predicted"]["mean"], abs=1e-4)
    assert policy["fqe"]["half"] == 1 - policy["learned_in_half"]
    assert [set(half) for half in policy["fqe"]["halves"]] == [
        {"policy", "logs", "venv_policy", "venv_behaviour"}
    ] * 2
    names = {line["name"].split(",")[0] for line in policy["compared"]}
    assert names >= {"logs' controller", "clone", "td3_bc", "first_order"}
    (taken,) = (line for line in policy["compared"] if line["taken"])
    assert taken["truth"]["mean"] == pytest.approx(policy["truth"]["mean"])
    assert [line["truth"] is None for line in policy["compared"]] == [
        line["half"] is None for line in policy["compared"]
    ]
    assert {f"policy.{name}" for name in ("clones", "td3_bc", "first_order")} < summary["seconds"].keys()
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    assert set(report["study"]["evaluation"]) == {"fqe", "terms", "compared"}
    page = (tmp_path / "a" / "report.html").read_text()
    for anchor in ("compared", "fqe", "terms"):
        assert f"id='{anchor}'" in page


@pytest.mark.usefixtures("unrendered")
def test_it_can_be_left_out(tmp_path: Path) -> None:
    arguments = ["experiment=refrigerator", "debug=fast", "tracking=none", f"log_dir={tmp_path}", "run_id=b"]
    assert main([*arguments, "policy.evaluation.fqe.updates=0", "policy=clones"]) == 0
    policy = json.loads((tmp_path / "b" / "summary.json").read_text())["policy"]
    assert "fqe" not in policy
    assert "terms" not in policy


@pytest.mark.usefixtures("unrendered")
def test_limits_are_said_beforehand_and_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "experiment=refrigerator",
        "debug=fast",
        "tracking=none",
        f"log_dir={tmp_path}",
        "policy=clones",
    ]
    limit = "policy.constraints.limits=['next_temperature > -60']"
    assert main([*arguments, "run_id=c", limit]) == 0
    assert "limit      next_temperature > -60: exceeded in " in capsys.readouterr().out
    policy = json.loads((tmp_path / "c" / "summary.json").read_text())["policy"]
    assert [of["limit"] for of in policy["constraints"]] == ["next_temperature > -60"]
    assert policy["constraints"][0]["logged"] == 0.0
    assert main([*arguments, "run_id=d", limit.replace("-60", "60")]) == 2
    assert "no logged row meets 'next_temperature > 60'" in capsys.readouterr().err
    assert not (tmp_path / "d" / "venv").exists()
