"""Features that are read off histories, for linear-skip networks: recurrent units and attention over frames.

They read the frames of the histories among a node's inputs, oldest first, newest last; all other inputs join at the
end. A history is part of a row, so that a rollout may start anywhere and nothing hidden is carried along.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from revive.data.layout import Frames
from revive.nn.ensemble import Activation, EnsembleLinear, EnsembleNorm, SkipNet

MOST_HEADS: Final = 4
GAIN: Final = math.sqrt(3.0)


class OverTime(SkipNet):
    """Divides inputs into a sequence of frames and the rest; `build` makes what a kind of network needs for itself."""

    def __init__(
        self,
        members: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        activation: Activation,
        frames: Sequence[Frames],
    ) -> None:
        super().__init__(members, inputs, outputs, activation)
        self.frames = tuple(frames)
        self.length = max((f.count for f in frames), default=0)
        self.frame_width = sum(f.width for f in frames)
        inside = {i for f in frames for i in range(f.start, f.start + f.count * f.width)}
        self.rest = [i for i in range(inputs) if i not in inside]
        self.finish(members, self.build(members, inputs, hidden), outputs)

    def build(self, members: int, inputs: int, hidden: Sequence[int]) -> int:
        """Make the layers; how wide the features are."""
        raise NotImplementedError

    def sequence(self, x: Tensor) -> Tensor:
        """(M, B, inputs) -> (M, B, length, frame_width); a shorter history's oldest frame stands for earlier ones."""
        parts = []
        for f in self.frames:
            part = x[..., f.start : f.start + f.count * f.width].unflatten(-1, (f.count, f.width))
            missing = self.length - f.count
            parts.append(
                torch.cat([part[..., :1, :].expand(-1, -1, missing, -1), part], dim=-2) if missing else part
            )
        return torch.cat(parts, dim=-1)

    def others(self, x: Tensor) -> Tensor:
        """The inputs that are no history, (M, B, n)."""
        return x[..., self.rest]


class RecurrentNet(OverTime):
    """A gated recurrent unit over the frames, then a perceptron over its last state and the other inputs.

    `r, z = sigmoid(W f + U h)`, `n = tanh(W f + r * U h)`, `h = (1 - z) n + z h` (Cho et al. 2014, arXiv:1406.1078).
    hidden: the width of the unit, then those of the perceptron's layers.
    """

    gates_of_unit = 3

    def build(self, members: int, inputs: int, hidden: Sequence[int]) -> int:
        self.width = hidden[0]
        gates = self.gates_of_unit * self.width
        self.gates = EnsembleLinear(members, self.frame_width, gates, GAIN)
        self.again = EnsembleLinear(members, self.width, gates)
        widths = [self.width + len(self.rest), *hidden[1:]]
        self.layers = nn.ModuleList(EnsembleLinear(members, a, b, GAIN) for a, b in pairwise(widths))
        return widths[-1]

    def features(self, x: Tensor) -> Tensor:
        steps = self.sequence(x)
        said = self.gates(steps.flatten(1, 2)).unflatten(1, steps.shape[1:3])  # (M, B, T, gates)
        begins = steps.new_zeros(*steps.shape[:2], self.width)
        return self.layered(torch.cat([self.run(said, begins), self.others(x)], dim=-1))

    def layered(self, h: Tensor) -> Tensor:
        for layer in self.layers:
            h = self.activation(layer(h))
        return h

    def run(self, said: Tensor, h: Tensor) -> Tensor:
        """What frames put into the gates, (M, B, T, gates), and the first state -> the last state, (M, B, width)."""
        for new in said.unbind(2):
            h = self.unit(new, h)
        return h

    def unit(self, new: Tensor, h: Tensor) -> Tensor:
        """One frame: what it puts into the gates, (M, B, gates), and the state before and after, (M, B, width)."""
        old = self.again(h)
        (new_r, new_z, new_n), (old_r, old_z, old_n) = new.chunk(3, -1), old.chunk(3, -1)
        keep = torch.sigmoid(new_z + old_z)
        return torch.lerp(torch.tanh(new_n + torch.sigmoid(new_r + old_r) * old_n), h, keep)


class LSTMNet(RecurrentNet):
    """The same with a long short-term memory in the unit's place.

    `i, f, o, g = W x + U h`, `c = sigmoid(f + 1) c + sigmoid(i) tanh(g)`, `h = sigmoid(o) tanh(c)` (Hochreiter and
    Schmidhuber 1997, Neural Computation 9; a forget gate that starts open: Gers, Schmidhuber and Cummins 2000).
    """

    gates_of_unit = 4

    def run(self, said: Tensor, h: Tensor) -> Tensor:
        c = torch.zeros_like(h)
        for new in said.unbind(2):
            take, keep, give, value = (new + self.again(h)).chunk(4, -1)
            c = torch.sigmoid(keep + 1.0) * c + torch.sigmoid(take) * torch.tanh(value)
            h = torch.sigmoid(give) * torch.tanh(c)
        return h


class TransformerNet(OverTime):
    """Self-attention among tokens: one for each frame, one for all other inputs; without a history one for each input.

    Blocks normalise first (Vaswani et al. 2017, arXiv:1706.03762; over columns Gorishniy et al. 2021, 2106.11959).
    Features are those of the last token. hidden: the width of tokens, one entry for each block.
    """

    def build(self, members: int, inputs: int, hidden: Sequence[int]) -> int:
        width = hidden[0]
        self.heads = next(heads for heads in range(MOST_HEADS, 0, -1) if width % heads == 0)
        tokens = self.length + 1 if self.frames else inputs + 1
        if self.frames:
            self.embed = EnsembleLinear(members, self.frame_width, width, GAIN)
            self.ending = EnsembleLinear(members, len(self.rest), width, GAIN)
        else:
            self.columns = nn.Parameter(torch.randn(members, 1, inputs, width) * 0.5)
        self.places = nn.Parameter(torch.randn(members, 1, tokens, width) * 0.2)
        self.norms = nn.ModuleList(EnsembleNorm(members, width) for _ in range(2 * len(hidden)))
        self.asked = nn.ModuleList(EnsembleLinear(members, width, 3 * width) for _ in hidden)
        self.mixed = nn.ModuleList(EnsembleLinear(members, width, width) for _ in hidden)
        self.inner = nn.ModuleList(EnsembleLinear(members, width, 2 * width, GAIN) for _ in hidden)
        self.back = nn.ModuleList(EnsembleLinear(members, 2 * width, width) for _ in hidden)
        return width

    def features(self, x: Tensor) -> Tensor:
        h = self._tokens(x)  # (M, B, T, width)
        shape = h.shape
        h = h.flatten(1, 2)
        for i, (asked, mixed, inner, back) in enumerate(
            zip(self.asked, self.mixed, self.inner, self.back, strict=True)
        ):
            h = h + mixed(self._attended(asked(self.norms[2 * i](h)), shape))
            h = h + back(self.activation(inner(self.norms[2 * i + 1](h))))
        return h.view(shape)[:, :, -1]

    def _tokens(self, x: Tensor) -> Tensor:
        if self.frames:
            steps = self.sequence(x)
            told = self.embed(steps.flatten(1, 2)).unflatten(1, steps.shape[1:3])
            ending = self.ending(self.others(x)).unsqueeze(2)
        else:
            told = x.unsqueeze(-1) * self.columns
            ending = told.new_zeros(*told.shape[:2], 1, told.shape[-1])
        return torch.cat([told, ending], dim=2) + self.places

    def _attended(self, asked: Tensor, shape: torch.Size) -> Tensor:
        """(M, B * T, 3 width) -> (M, B * T, width)."""
        members, rows, tokens, width = shape
        parts = asked.view(members * rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        out = nn.functional.scaled_dot_product_attention(query, key, value)
        return out.transpose(1, 2).reshape(members, rows * tokens, width)
