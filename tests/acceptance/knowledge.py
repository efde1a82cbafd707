"""What prior knowledge is worth on short logs of one plant: nothing, a sign by hinge or by construction, a function.

    python tests/acceptance/knowledge.py [--rows 120 400] [--seeds 3] [--ways WAY ...]

The plant is Newton's cooling with a fan and a sun (tests/venv/cooling.py). A row for each length of a half's logs and
each way to tell the venv what is known: the mean absolute error over 50 steps on fresh logs, the share of states at
which warmer air does not warm the body, or, where the opposite was declared against the logs, does not cool it (the box
of the logs, and one four times as wide), and the fitted parameters, whose truth is 0.05 and 4. Means over the seeds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from revive.venv.first_principles import fitted_parameters  # noqa: E402
from revive.venv.node_model import NetworkSpec  # noqa: E402
from revive.venv.virtual_env import VirtualEnv  # noqa: E402
from tests.venv.cooling import PARAMETERS, described, error_on_fresh_logs, learned  # noqa: E402

SIGNS, OPPOSITE = {"air": {"body": "increasing"}}, {"air": {"body": "decreasing"}}
MONOTONE = {"next_body": NetworkSpec(hidden=(16, 16), backbone="monotone")}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "sign, by hinge": ({"effects": SIGNS}, {}),
    "sign, by construction": ({"effects": SIGNS}, {"nodes": MONOTONE}),
    "the opposite sign, by hinge": ({"effects": OPPOSITE}, {}),
    "the opposite sign, by construction": ({"effects": OPPOSITE}, {"nodes": MONOTONE}),
    "function, residual of all inputs": ({"parameters": PARAMETERS, "residual": True}, {}),
    "function, residual of the sun": ({"parameters": PARAMETERS, "residual": ["sun"]}, {}),
}


@torch.no_grad()
def wrong_signs(venv: VirtualEnv, width: float, sign: float) -> float:
    """The share of states in a box of so many spreads at which warmer air does not do what was said of it."""
    generator = torch.Generator().manual_seed(0)
    x = width * torch.randn(venv.members, 2000, 4, generator=generator)
    moved = x.clone()
    moved[..., 1] += 0.1
    model = venv.model("next_body")
    return float((sign * (model.mean(moved) - model.mean(x))[..., 0] < -1e-6).float().mean())


def measured(way: str, rows: int, seed: int) -> dict[str, float]:
    """The figures of one venv."""
    said, changed = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        graph = described(Path(folder), **said)
        venv = learned(graph, Path(folder), rows=rows, seed=seed, **changed)
    fitted: Mapping[str, Any] = fitted_parameters(venv).get("next_body", {})
    sign = -1.0 if said.get("effects") == OPPOSITE else 1.0
    found = {"error": error_on_fresh_logs(venv)}
    found |= {name: wrong_signs(venv, width, sign) for name, width in (("wrong", 1.0), ("wider", 4.0))}
    return {**found, **{name: own["value"] for name, own in fitted.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[120, 400])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| rows | what is known | error | wrong sign | in a wider box | k | c |\n|---|---|---|---|---|---|---|"
    )
    for rows in asked.rows:
        for way in asked.ways:
            runs = [measured(way, rows, seed) for seed in range(asked.seeds)]
            mean = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
            shares = f"{mean['wrong']:.1%} | {mean['wider']:.1%}"
            numbers = " | ".join(f"{mean[name]:.3g}" if name in mean else "" for name in ("k", "c"))
            print(f"| {rows} | {way} | {mean['error']:.3f} | {shares} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
