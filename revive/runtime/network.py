"""The policy's network with numpy: `y = A x + b + f(x)`, f a perceptron or a GRU, as in `revive.nn`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from revive.data.layout import Frames

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


def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, which cannot overflow when written with tanh."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


ACTIVATIONS: Final[Mapping[str, Callable[[Array], Array]]] = {
    "silu": silu,
    "tanh": np.tanh,
    "relu": relu,
    "gelu": gelu,
}


class Recurrent:
    """A gated recurrent unit over the frames of histories, then the other inputs: (B, inputs) -> (B, width + rest).

    `r, z = sigmoid(W f + U h)`, `n = tanh(W f + r * U h)`, `h = (1 - z) n + z h` (Cho et al. 2014, arXiv:1406.1078).
    """

    def __init__(
        self, gates: tuple[Array, Array], again: tuple[Array, Array], frames: Sequence[Frames], inputs: int
    ) -> None:
        self.gates, self.again, self.frames = gates, again, tuple(frames)
        self.length, self.width = max(f.count for f in frames), again[0].shape[0]
        self.columns = [self._columns(t) for t in range(self.length)]
        inside = {i for f in frames for i in range(f.start, f.start + f.count * f.width)}
        self.rest = np.array([i for i in range(inputs) if i not in inside], dtype=np.int64)

    def _columns(self, t: int) -> NDArray[np.int64]:
        """The inputs that frame t is made of; a shorter history's oldest frame stands for earlier ones."""
        begins = [f.start + f.width * max(0, t - self.length + f.count) for f in self.frames]
        spans = [np.arange(at, at + f.width) for at, f in zip(begins, self.frames, strict=True)]
        return np.concatenate(spans)

    def __call__(self, x: Array) -> Array:
        w, h = self.width, np.zeros((len(x), self.width))
        for columns in self.columns:
            new = x[:, columns] @ self.gates[0] + self.gates[1]
            old = h @ self.again[0] + self.again[1]
            both = sigmoid(new[:, : 2 * w] + old[:, : 2 * w])
            fresh = np.tanh(new[:, 2 * w :] + both[:, :w] * old[:, 2 * w :])
            h = fresh + both[:, w:] * (h - fresh)
        return np.concatenate([h, x[:, self.rest]], axis=-1)


class Network:
    """x (B, inputs) -> (B, outputs), in model space.

    tensors: those of the bundle below `net`, of one copy. frames: the histories among the inputs.
    """

    def __init__(
        self, tensors: Mapping[str, NDArray], activation: str, frames: Sequence[Frames] = ()
    ) -> None:
        exact = {name: np.ascontiguousarray(value[0], dtype=np.float64) for name, value in tensors.items()}
        count = sum(name.startswith("layers.") and name.endswith(".weight") for name in exact)
        self.activation, self.activate = activation, ACTIVATIONS[activation]
        self.skip = exact["skip.weight"]
        self.bias = exact["skip.bias"]
        self.layers = [(exact[f"layers.{i}.weight"], exact[f"layers.{i}.bias"]) for i in range(count)]
        self.last = exact["last"]
        self.recurrent: Recurrent | None = None
        if "gates.weight" in exact:
            gates, again = ((exact[f"{at}.weight"], exact[f"{at}.bias"]) for at in ("gates", "again"))
            self.recurrent = Recurrent(gates, again, frames, len(self.skip))

    def __call__(self, x: Array) -> Array:
        h = x if self.recurrent is None else self.recurrent(x)
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
