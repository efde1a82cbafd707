"""A furnace of second order with a dead time that follows a setpoint which people change; moves cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from revive.user_code import load_module

base = load_module(Path(__file__).with_name("base.py"))
P, Array = base.P, np.ndarray
EPISODE = P.get("episode")


class Simulator(base.Base):
    states = ("furnace", "shell")

    def begin(self) -> None:
        self.furnace = self.shell = 300 + 30 * self.normal()
        self.pending = [np.full((self.batch, 1), 50.0)] * (P["dead_time"] + 1)
        self.goal = np.round(self.uniform(250, 400) / 25) * 25

    def advance(self, u: Array) -> None:
        self.pending = [*self.pending[1:], np.clip(u, 0, 100)]
        flow = P["heat"] * self.pending[0] - P["between"] * (self.furnace - self.shell)
        self.furnace = self.furnace + flow + P["plant_noise"] * self.normal()
        self.shell = (
            self.shell + P["between"] * 0.5 * (self.furnace - self.shell) - P["loss"] * (self.shell - 20)
        )
        fresh = np.round(self.uniform(250, 400) / 25) * 25
        self.goal = np.where(self.random.random((self.batch, 1)) < 0.02, fresh, self.goal)

    def measure(self) -> dict[str, Array]:
        furnace, shell = self.sensor(self.furnace, P["sensor"]), self.sensor(self.shell, P["sensor"])
        return {"furnace": furnace, "shell": shell, "setpoint": self.goal}

    def operator(self, seen: dict[str, Array], memory: dict[str, Array], t: int) -> Array:
        error = seen["setpoint"] - seen["furnace"]
        memory["sum"] = np.clip(memory.get("sum", 0.0) + P["ki"] * error, -50, 50)
        return 50 + P["kp"] * error + memory["sum"]


def drawn(draw: np.random.Generator) -> dict[str, Any]:
    between, loss = draw.uniform(0.1, 0.2), draw.uniform(0.01, 0.02)
    dead_time = int(draw.integers(0, 3))
    numbers = {
        "dead_time": dead_time,
        "between": between,
        "loss": loss,
        "heat": loss * 2 * 300 / 50 * draw.uniform(0.9, 1.2),
        "plant_noise": draw.uniform(0.2, 1),
        "sensor": draw.uniform(0.2, 1.5),
        "kp": draw.uniform(0.05, 0.4),
        "ki": draw.uniform(0.001, 0.01),
        "bounds": [[0, 100]],
        "dither": draw.uniform(2, 8),
        "runs": int(draw.choice([1, 6])),
        "steps": int(draw.choice([600, 1500])),
    }
    seen = ["furnace", "shell", "setpoint", "ts_action"]
    return {
        "parameters": numbers,
        "columns": [
            base.column("furnace", units="degC"),
            base.column("shell", units="degC"),
            base.column("setpoint", units="degC"),
            base.column("action", "burner", units="%", min=0, max=100),
        ],
        "graph": {
            "action": seen,
            "next_furnace": ["furnace", "shell", "ts_action", "action"],
            "next_shell": ["furnace", "shell", "ts_action", "action"],
        },
        "nodes": {"action": {"ts": dead_time + 2}},
        "reward": """-((data["next_furnace"] - data["setpoint"]) / 10).abs().clamp(max=5) \\
        - 0.02 * (data["action"] - data["ts_action"][..., -1:]).abs()""",
    }


def make_data() -> dict[str, Array]:
    return base.make_data(Simulator)
