"""The controllers whose logs the gymnasium experiments learn from: small networks, run in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

CLIP = 10.0  # normalised observations are cut here, as they were in training
LAYERS = 3


@dataclass(frozen=True)
class Controller:
    """A Gaussian policy: tanh layers on the normalised observation give the mean, the noise is constant.

    `weights`: "mean" and "scale" of the observations (d,), "log_std" (a,), "weight_i" (out, in) and
    "bias_i" (out,) for the layers i = 0, 1, 2.
    """

    weights: dict[str, np.ndarray]

    @classmethod
    def load(cls, file: Path) -> Controller:
        return cls({name: value.astype(np.float64) for name, value in load_file(file).items()})

    def save(self, file: Path) -> None:
        """Write float32 weights as safetensors."""
        save_file(
            {name: np.ascontiguousarray(value, np.float32) for name, value in self.weights.items()}, file
        )

    def act(self, observation: np.ndarray, noise: np.ndarray | float = 0.0) -> np.ndarray:
        """Actions (B, a) in [-1, 1] for observations (B, d); `noise` (B, a) counts in standard deviations."""
        weights = self.weights
        hidden = np.clip((observation - weights["mean"]) / weights["scale"], -CLIP, CLIP)
        for layer in range(LAYERS):
            hidden = hidden @ weights[f"weight_{layer}"].T + weights[f"bias_{layer}"]
            hidden = np.tanh(hidden) if layer < LAYERS - 1 else hidden
        return np.clip(hidden + np.exp(weights["log_std"]) * noise, -1.0, 1.0)
