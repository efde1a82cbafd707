from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from revive.data.finding import first_of_each
from revive.data.trajectories import Trajectories
from revive.report.summary import Summary
from revive.report.terminal import Pace, Terminal
from tests.venv.plants import plant_graph

Summarise = Callable[..., Summary]


def recorded(*, terminal: bool = False) -> tuple[Terminal, Console]:
    console = Console(file=io.StringIO(), record=True, width=100, force_terminal=terminal, highlight=False)
    return Terminal(console), console


def logs() -> Trajectories:
    return Trajectories({"x": np.zeros((7, 1))}, np.array([3, 7]))


def test_the_opening_says_what_there_is(tmp_path: Path) -> None:
    terminal, console = recorded()
    terminal.opening("demo", tmp_path / "runs" / "r1", plant_graph(), logs())
    text = console.export_text()
    assert "demo  7 rows, 2 trajectories" in text
    assert "next_x <- x, u, wind" in text
    assert "r1" in text


def test_a_stage_leaves_one_line(tmp_path: Path) -> None:
    terminal, console = recorded()
    with terminal.stage("venv"):
        terminal.progress(1, 3)
        terminal.progress(3, 3)
    terminal.progress(1, 3)  # of no stage: nothing to show
    lines = console.export_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("venv")
    assert lines[0].endswith(" s")


def test_a_bar_on_a_terminal_ends_even_where_the_stage_fails() -> None:
    terminal, console = recorded(terminal=True)

    def fail() -> None:
        with terminal.stage("venv"):
            terminal.progress(1, 3)
            raise RuntimeError("no luck")

    with pytest.raises(RuntimeError, match="no luck"):
        fail()
    with terminal.stage("policy"):
        terminal.progress(1, 3)
    assert "policy" in console.export_text()


def test_the_table_of_a_venv_alone(summarise: Summarise) -> None:
    terminal, console = recorded()
    terminal.table(summarise())
    text = console.export_text()
    assert "0.050" in text
    assert "0.110" in text
    assert "nothing changes" in text
    assert "Reward per step" not in text
    assert "venv 12.5, policy 8" in text


@pytest.mark.parametrize(("half", "starred", "honest"), [(0, "-0.135", "-0.125"), (1, "-0.125", "-0.135")])
def test_the_table_of_a_policy_says_where_it_learned_and_what_it_is_worth(
    summarise: Summarise, learned: dict[str, Any], half: int, starred: str, honest: str
) -> None:
    terminal, console = recorded()
    said = {**learned, "learned_in_half": half, "truth": {"mean": -0.141, "se": 0.0021, "episodes": 40}}
    terminal.table(summarise(**said))
    text = console.export_text()
    assert re.search(rf"{starred} \([^)]*\) \*", text)
    assert not re.search(rf"{honest} \([^)]*\) \*", text)
    assert "learned in it" in text
    behaviour = next(line for line in text.splitlines() if "logs' controller" in line)
    assert re.findall(r"-0\.\d{3}", behaviour) == ["-0.750", "-0.735", "-0.765"]
    for number in ("-0.141", "0.0021", "-0.23 .. -0.02"):
        assert number in text
    assert "[bold]" not in text
    assert "[/" not in text


def verdict(severity: str) -> dict[str, str]:
    return {"code": "sign", "sentence": f"A {severity}.", "remedy": "Log more.", "severity": severity}


def test_what_must_not_be_overlooked_is_said(summarise: Summarise, learned: dict[str, Any]) -> None:
    terminal, console = recorded()
    terminal.table(summarise(**learned))
    sound = console.export_text()
    assert "the other half is the honest estimate" in sound
    assert "nothing was found that speaks against the estimate" in sound
    doubted = replace(summarise(**learned), verdicts=[verdict("caution"), verdict("distrust")])
    terminal.table(doubted)
    told = console.export_text()
    assert "honest estimate" not in told
    assert "nothing was found" not in told
    assert told.index("DISTRUST: A distrust.\n    -> Log more.") < told.index("CAUTION: A caution.")


def test_of_many_alike_the_first_are_said_and_the_others_counted(
    summarise: Summarise, learned: dict[str, Any]
) -> None:
    use = {"is_action": True, "logged": [0.0, 2.0], "visited": [0.0, 9.0], "outside": 0.2, "moves": None}
    figures = {**learned, "conduct": [{**use, "column": f"valve{number}"} for number in range(300)]}
    doubts = [{**verdict("caution"), "sentence": f"Doubt {number}."} for number in range(300)]
    terminal, console = recorded()
    terminal.table(replace(summarise(**figures), verdicts=[*doubts, verdict("distrust")]))
    told = console.export_text()
    assert "Doubt 4." in told
    assert "Doubt 5." not in told
    assert "CAUTION sign: 295 more of this kind, in summary.json" in told
    assert "DISTRUST: A distrust." in told
    assert "valve4" in told
    assert "valve5" not in told
    assert "and 295 columns more" in told
    few, more = first_of_each(doubts, lambda one: one["code"], 2)
    assert [len(few), more] == [2, {"sign": 298}]


def test_a_fall_back_and_how_the_policy_acts_are_said(summarise: Summarise, learned: dict[str, Any]) -> None:
    use = {
        "column": "power",
        "is_action": True,
        "logged": [0.0, 2.76],
        "visited": [0.0, 10.0],
        "outside": 0.012,
    }
    chosen = {"source": "clone, best 30 %", "half": 0, "iteration": 9, "fallback": "The sign is unclear."}
    figures = {**learned, "chosen": chosen, "conduct": [{**use, "moves": 2.7}]}
    figures["predicted"] = {**learned["predicted"], "interval": {"low": -0.2, "high": -0.1}}
    terminal, console = recorded()
    terminal.table(summarise(**figures))
    told = console.export_text()
    assert "clone taken" in told
    assert "the best clone (clone, best 30 %), no learned policy. Why: The sign is unclear." in told
    assert "predicted  -0.125 per step; the true mean lies between -0.2 and -0.1 (90 %)" in told
    assert (
        "power 0 to 10, logged 0 to 2.76 (outside in 1.2% of the steps); moves 2.7 times those of the logs"
        in told
    )


def test_a_run_that_fails_its_gate_promises_nothing(summarise: Summarise, learned: dict[str, Any]) -> None:
    figures = {**learned, "predicted": {**learned["predicted"], "interval": {"low": -0.2, "high": -0.1}}}
    terminal, console = recorded()
    failed = replace(summarise(**figures), gate={"status": "fail", "reasons": ["x"], "overridden": False})
    terminal.table(failed)
    told = console.export_text()
    assert "the true mean lies between" not in told
    assert "nothing is promised" in told


def test_the_table_per_episode(summarise: Summarise, learned: dict[str, Any]) -> None:
    def of(worth: float, ended: float = 0.0) -> dict[str, float]:
        return {"return": worth, "length": 132.0, "ended": ended}

    episodes = {
        "steps": 150,
        "count": 36,
        "logs": of(35.2, 0.14),
        "behaviour": [of(46.5), of(37.6)],
        "learned": [of(86.6), of(39.4)],
        "predicted": {"mean": 39.4, "low": 20.0, "high": 60.0},
        "truth": {**of(50.8), "se": 0.6},
    }
    interval = {"interval": {"low": 0.0, "high": 1.0}}
    terminal, console = recorded()
    terminal.table(
        summarise(**{**learned, "predicted": {**learned["predicted"], **interval}, "episodes": episodes})
    )
    told = console.export_text()
    assert "Return per episode of at most 150 steps" in told
    assert "35.2 (132, 14%)" in told
    assert "86.6 (132, 0%) *" in told
    assert "50.8 (132, 0%), se 0.6" in told
    assert "39.4 per episode; the true mean lies between 20 and 60 (90 %)" in told
    assert "Reward per step" not in told


def test_counts_of_one_are_singular() -> None:
    terminal, console = recorded()
    terminal.findings(1, 0, "demo")
    terminal.findings(2, 1, "demo")
    told = console.export_text()
    assert "1 warning, 0 proposals: python -m revive check experiment=demo" in told
    assert "2 warnings, 1 proposal:" in told


def test_only_what_is_there_is_named_as_a_result(tmp_path: Path) -> None:
    terminal, console = recorded()
    (tmp_path / "figures").mkdir()
    (tmp_path / "tuning.yaml").touch()
    terminal.closing(tmp_path, None, None)
    assert "(tuning.yaml, figures/)" in console.export_text().replace("\n", "")


def test_notes_and_commands_are_printed_as_they_are(tmp_path: Path) -> None:
    terminal, console = recorded()
    terminal.note("policy.inputs=[temperature]: [/bold] taken as it is")
    terminal.closing(tmp_path, "mlflow ui --uri [x]", None)
    text = console.export_text()
    assert "policy.inputs=[temperature]: [/bold] taken as it is" in text
    assert "mlflow ui --uri [x]" in text


@pytest.mark.parametrize(
    ("status", "wanted", "unwanted"),
    [
        (
            "pass",
            ["report.html: what may be", "show ", "trial-plan", "promote", "serve"],
            ["design-experiment"],
        ),
        (
            "fail",
            ["report.html: why it failed", "check experiment=demo", "design-experiment"],
            ["promote", "serve"],
        ),
    ],
)
def test_the_next_commands_follow_from_what_the_run_left(
    tmp_path: Path, status: str, wanted: list[str], unwanted: list[str]
) -> None:
    terminal, console = recorded()
    (tmp_path / "policy").mkdir()
    (tmp_path / "report.html").touch()
    terminal.closing(tmp_path, "mlflow ui", None, "demo", status)
    text = console.export_text()
    assert all(word in text for word in wanted)
    assert not any(word in text for word in unwanted)


def test_trouble_is_told_at_the_end(tmp_path: Path) -> None:
    terminal, console = recorded()
    terminal.closing(tmp_path, None, "nothing was recorded: no route to host")
    text = console.export_text()
    assert "no route to host" in text
    assert "compare" not in text


def test_brackets_that_are_no_markup_survive() -> None:
    terminal, console = recorded()
    terminal.closing(Path("runs [3"), None, "[Errno 28] No space left on device")
    text = console.export_text()
    assert "runs [3" in text
    assert "[Errno 28]" in text


@pytest.mark.parametrize("folder", ["runs [old]", "a [/b] c"])
def test_brackets_that_look_like_markup_survive(folder: str) -> None:
    terminal, console = recorded()
    terminal.closing(Path(folder), None, f"cannot write to {folder}")
    terminal.opening("demo", Path(folder), plant_graph(), logs())
    assert console.export_text().count(folder) == 3


def test_progress_is_said_every_half_minute_and_kept_in_the_run_folder(tmp_path: Path) -> None:
    now = [0.0]
    pace = Pace("policy", lambda: now[0])
    assert pace.line(1, 100) is None
    now[0] = 31.0
    assert (
        pace.line(25, 100)
        == "policy    25%  after 31 s, at most 93 s left (it ends before that where it learns no more)"
    )
    assert pace.line(26, 100) is None
    now[0] = 62.0
    assert pace.line(50, 100) == "policy    50%  after 62 s, at most 62 s left"
    now[0] = 93.0
    figures = {"critic.loss": 2.0, "first_order.rollout_reward": -0.25}
    line = pace.line(75, 100, lambda: figures)
    assert line == "policy    75%  after 93 s, at most 31 s left, rollout reward -0.25 per step"


def test_progress_goes_into_a_log_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revive.report.terminal.PERIOD", 0.0)
    terminal, console = recorded()
    terminal.opening("demo", tmp_path, plant_graph(), logs())
    with terminal.stage("venv"):
        terminal.progress(1, 4, lambda: {"held_out_error": 0.5})
        terminal.progress(4, 4)
    first, second = (tmp_path / "progress.log").read_text().splitlines()
    assert re.fullmatch(r"\S+ \S+  venv      25%  after 0 s, at most 0 s left, held-out error 0.5 .*", first)
    assert second.endswith("100%  after 0 s, at most 0 s left")
    assert "held-out error 0.5" in console.export_text()
