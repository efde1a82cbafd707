"""What the runs of plants.py come to: a row for each plant, and whether those that warn of nothing may be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.plants import Outcome

BELIEVED = 0.88  # share of the runs whose gate passes, whose interval holds the truth

HEAD = (
    "| plant | runs | reward | logs | true: mean (worst to best run) | interval holds it | warned | taken "
    "| venv error at 10 steps | s |\n" + "|---" * 10 + "|"
)


def overview(by_plant: Mapping[str, Sequence[Outcome]]) -> str:
    """One Markdown row per plant, by its name."""
    return "\n".join([HEAD, *(_row(name, runs) for name, runs in sorted(by_plant.items()))])


def passing(outcomes: Sequence[Outcome]) -> tuple[str, str | None]:
    """How many of the runs that warn of nothing hold the truth, and what of that misses its bar.

    Runs on other logs than those of the plant's own simulator are left out: what made them need not be that simulator.
    """
    passed = [o for o in outcomes if not o.warned and o.logs is None]
    held, worse = sum(o.covered for o in passed), sum(o.worse for o in passed)
    told = (
        f"of {len(passed)} runs that warn of nothing {held} hold the truth, {worse} are worse than the logs"
    )
    return told, told if worse or held < BELIEVED * len(passed) else None


def _row(name: str, runs: Sequence[Outcome]) -> str:
    truth, error = [o.truth for o in runs], [o.relative_error for o in runs]
    taken = Counter("clone" if o.fallback else o.source.split(",")[0] for o in runs)
    cells = (
        name,
        len(runs),
        runs[0].unit,
        _figure(runs[0].logged),
        f"{_figure(sum(truth) / len(truth))} ({_figure(min(truth))} to {_figure(max(truth))})",
        sum(o.covered for o in runs),
        sum(o.warned for o in runs),
        ", ".join(f"{learner} {count}" for learner, count in taken.items()),
        f"{min(error):.3f} to {max(error):.3f}",
        f"{max(o.seconds for o in runs):.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _figure(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
