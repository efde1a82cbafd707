"""The any-step network: the next value from a state some steps ago and all that was done since.

For a window of m frames and any k from 1 to m, with s the states k frames back and a_1 .. a_k what was decided and
given from there on:

    y_k = A_k [s, a_1 .. a_k] + b_k + W h_k,        h = GRU(a_1 .. a_k), which begins in V s

(Lin et al. 2024, Any-step dynamics model, arXiv:2405.17031, whose GRU has no linear part). One model thus gives m
opinions, the older ones of which bring fewer of its own errors along in a rollout.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from revive.nn.ensemble import EnsembleLinear
from revive.nn.over_time import GAIN, RecurrentNet


class AnyStepNet(RecurrentNet):
    """k opinions on the same outputs; the answer is their mean, or one of them while `steps_back` says which (1 .. m).

    hidden: the width of the unit, then those of the layers over its last state and the inputs that are no history.
    """

    masks: Tensor

    def build(self, members: int, inputs: int, hidden: Sequence[int]) -> int:
        width, outputs = super().build(members, inputs, hidden), self.skip.bias.shape[-1]
        columns = [f.state for f in self.frames for _ in range(f.width)]  # of a frame
        self.started = [i for i, state in enumerate(columns) if state]
        self.begin = EnsembleLinear(members, len(self.started), self.width, GAIN)
        self.slopes = nn.Parameter(torch.zeros(members, self.length - 1, inputs, outputs))  # the skip is A_1
        self.offsets = nn.Parameter(torch.zeros(members, self.length - 1, 1, outputs))
        masks = [self._mask(inputs, k) for k in range(1, self.length + 1)]
        self.register_buffer("masks", torch.stack(masks), persistent=False)
        return width

    @property
    def opinions(self) -> tuple[int, ...]:
        return tuple(range(1, self.length + 1)) if self.steps_back is None else (self.steps_back,)

    def _mask(self, inputs: int, back: int) -> Tensor:
        """1 for the inputs that the opinion from `back` frames ago is made of: (inputs,)."""
        mask = torch.ones(inputs)
        for f in self.frames:
            first = max(0, f.count - back)
            for frame in range(f.count):
                seen = frame == first if f.state else frame >= first
                mask[f.start + frame * f.width : f.start + (frame + 1) * f.width] = float(seen)
        return mask

    def forward(self, x: Tensor) -> Tensor:
        asked = slice(None) if self.steps_back is None else slice(self.steps_back - 1, self.steps_back)
        slopes = torch.cat([self.skip.weight.unsqueeze(1), self.slopes], dim=1)[:, asked]
        offsets = torch.cat([self.skip.bias.unsqueeze(1), self.offsets], dim=1)[:, asked]
        slope = (slopes * self.masks[asked].unsqueeze(-1)).mean(1)  # of the mean of all opinions
        return torch.baddbmm(torch.baddbmm(offsets.mean(1), x, slope), self._story(x), self.last)

    def base(self, x: Tensor, current: Tensor) -> Tensor:
        """The state that a change is added to: where the opinions begin, on average."""
        own = next((f for f in self.frames if f.own), None)
        if own is None:
            return current
        at = [own.start + max(0, own.count - back) * own.width for back in self.opinions]
        return torch.stack([x[..., start : start + own.width] for start in at]).mean(0)

    def _story(self, x: Tensor) -> Tensor:
        """Features of the opinions that are asked for, their mean; (M, B, width)."""
        steps, first = self.sequence(x), self.length - self.opinions[-1]
        starts = [steps[:, :, self.length - back, self.started] for back in self.opinions]
        h = torch.tanh(self.begin(torch.cat(starts, dim=1))).unflatten(
            1, (len(starts), -1)
        )  # (M, k, B, width)
        moves = steps[:, :, first:].clone()
        moves[..., self.started] = 0.0
        said = self.gates(moves.flatten(1, 2)).unflatten(1, moves.shape[1:3])
        for number, frame in enumerate(said.unbind(2)):
            waits = max(0, len(starts) - 1 - number)  # opinions that begin later
            new = frame.unsqueeze(1).expand(-1, len(starts) - waits, -1, -1).flatten(1, 2)
            going = self.unit(new, h[:, waits:].flatten(1, 2)).unflatten(1, (len(starts) - waits, -1))
            h = torch.cat([h[:, :waits], going], dim=1)
        rest = self.others(x).repeat(1, len(starts), 1)
        told = self.layered(torch.cat([h.flatten(1, 2), rest], dim=-1))
        return told.unflatten(1, (len(starts), -1)).mean(1)

    # -- the linear parts, opinion by opinion ----------------------------------------------------

    def seen(self, x: Tensor) -> Tensor:
        return x if self.steps_back is None else x * self.masks[self.steps_back - 1]

    @torch.no_grad()
    def put_linear(self, weight: Tensor, bias: Tensor) -> None:
        if self.steps_back is None or self.steps_back == 1:
            super().put_linear(weight, bias)
            return
        width, older = weight.shape[-1], self.steps_back - 2
        for own, part in ((self.slopes[:, older], weight), (self.offsets[:, older], bias)):
            own.zero_()
            own[..., :width] = part

    def linear_parameters(self) -> list[nn.Parameter]:
        return [*super().linear_parameters(), self.slopes, self.offsets]

    def residual_parameters(self) -> list[nn.Parameter]:
        linear = {id(p) for p in self.linear_parameters()}
        return [p for p in self.parameters() if id(p) not in linear]
