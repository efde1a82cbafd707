"""The policy's network with numpy: `y = A x + b + f(x)`, as `revive.nn.ensemble.LinearSkipNet` has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SOFTNESS: Final = 0.3  # of the bounds, in model space, as in revive.policy.policy
_erf = np.frompyfunc(math.erf, 1, 1)


def silu(x: Array) -> Array:
    """`x sigmoid(x)`, which cannot overflow when written with tanh."""
    half = 0.5 * x
    return half * np.tanh(half) + half


def relu(x: Array) -> Array:
    """`max(x, 0)`."""
    return np.maximum(x, 0.0)


def gelu(x: Array) -> Array:
    """`x Phi(x)`, Phi the standard normal distribution."""
    return 0.5 * x * (1.0 + np.asarray(_erf(x / math.sqrt(2.0)), dtype=np.float64))


ACTIVATIONS: Final[Mapping[str, Callable[[Array], Array]]] = {
    "silu": silu,
    "tanh": np.tanh,
    "relu": relu,
    "gelu": gelu,
}


class Network:
    """x (B, inputs) -> (B, outputs), in model space. tensors: those of the bundle below `net`, of one copy."""

    def __init__(self, tensors: Mapping[str, NDArray], activation: str) -> None:
        exact = {name: np.ascontiguousarray(value[0], dtype=np.float64) for name, value in tensors.items()}
        count = sum(name.endswith(".weight") for name in exact) - 1
        self.activation, self.activate = activation, ACTIVATIONS[activation]
        self.skip = exact["skip.weight"]
        self.bias = exact["skip.bias"]
        self.layers = [(exact[f"layers.{i}.weight"], exact[f"layers.{i}.bias"]) for i in range(count)]
        self.last = exact["last"]

    def __call__(self, x: Array) -> Array:
        h = x
        for weight, bias in self.layers:
            h = self.activate(h @ weight + bias)
        return x @ self.skip + self.bias + h @ self.last


class Bounds:
    """Between the bounds, smooth at both: `soft_clip` of revive.policy.policy."""

    def __init__(self, low: NDArray, high: NDArray) -> None:
        self.low, self.high = low.astype(np.float64), high.astype(np.float64)
        self.soft = np.clip((self.high - self.low) / 10.0, 1e-6, SOFTNESS)

    def __call__(self, x: Array) -> Array:
        low, high, soft = self.low, self.high, self.soft
        inside = low + soft * (np.logaddexp(0.0, (x - low) / soft) - np.logaddexp(0.0, (x - high) / soft))
        return np.minimum(np.maximum(inside, low), high)
