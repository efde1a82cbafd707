"""The tensors of a network, from what a description says of its shape: the networks of `revive.nn`, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from revive.errors import UserError

Sizes = tuple[int, ...]
Frame = tuple[int, int, bool]
"""Of a history among the inputs: how many frames, how wide, and whether it is that of a state."""


def net_tensors(
    members: int,
    inputs: int,
    outputs: int,
    network: Mapping[str, Any],
    frames: Sequence[Frame] = (),
    blocks: int = 0,
) -> Iterator[tuple[str, Sizes]]:
    """Name -> sizes of every tensor. `network`: `NetworkSpec` as JSON. blocks: kinds of outputs of a monotone one."""
    backbone, hidden = network.get("backbone", "mlp"), list(network["hidden"] or ())
    over_time = backbone in ("gru", "lstm", "any_step")
    if over_time and not frames:
        backbone, over_time = "mlp", False
    if backbone == "monotone" and not blocks:
        backbone = "mlp"
    if backbone != "mlp" and not hidden:
        raise UserError(f"a network of the kind '{backbone}' has no hidden layers")
    yield from _linear("skip", members, inputs, outputs)
    length, width = max((f[0] for f in frames), default=0), sum(f[1] for f in frames)
    rest = inputs - sum(count * wide for count, wide, _ in frames)
    made = {
        "mlp": lambda: _perceptron(members, inputs, hidden, network.get("norm") == "layer"),
        "residual": lambda: _residual(members, inputs, hidden),
        "gru": lambda: _recurrent(members, width, rest, hidden),
        "lstm": lambda: _recurrent(members, width, rest, hidden, gates=4),
        "any_step": lambda: _any_step(members, (inputs, outputs), frames, rest, hidden),
        "monotone": lambda: _monotone(members, inputs, hidden, blocks),
        "transformer": lambda: _transformer(members, inputs, (length, width), rest, hidden),
    }[backbone]
    last = hidden[0] if backbone in ("residual", "transformer") else [inputs, *hidden][-1]
    if over_time and len(hidden) == 1:
        last = hidden[0] + rest
    yield from made()
    yield "last", (members, last, outputs)


def _linear(at: str, members: int, inputs: int, outputs: int) -> Iterator[tuple[str, Sizes]]:
    yield f"{at}.weight", (members, inputs, outputs)
    yield f"{at}.bias", (members, 1, outputs)


def _norm(at: str, members: int, width: int) -> Iterator[tuple[str, Sizes]]:
    yield f"{at}.weight", (members, 1, width)
    yield f"{at}.bias", (members, 1, width)


def _perceptron(members: int, inputs: int, hidden: list[int], norm: bool) -> Iterator[tuple[str, Sizes]]:
    for number, (before, after) in enumerate(pairwise([inputs, *hidden])):
        yield from _linear(f"layers.{number}", members, before, after)
        if norm:
            yield from _norm(f"norms.{number}", members, after)


def _residual(members: int, inputs: int, hidden: list[int]) -> Iterator[tuple[str, Sizes]]:
    yield from _linear("into", members, inputs, hidden[0])
    for number, inner in enumerate(hidden):
        yield from _linear(f"inner.{number}", members, hidden[0], inner)
        yield from _linear(f"back.{number}", members, inner, hidden[0])
        yield from _norm(f"norms.{number}", members, hidden[0])


def _recurrent(
    members: int, width: int, rest: int, hidden: list[int], gates: int = 3
) -> Iterator[tuple[str, Sizes]]:
    yield from _linear("gates", members, width, gates * hidden[0])
    yield from _linear("again", members, hidden[0], gates * hidden[0])
    for number, (before, after) in enumerate(pairwise([hidden[0] + rest, *hidden[1:]])):
        yield from _linear(f"layers.{number}", members, before, after)


def _any_step(
    members: int, sizes: tuple[int, int], frames: Sequence[Frame], rest: int, hidden: list[int]
) -> Iterator[tuple[str, Sizes]]:
    inputs, outputs = sizes
    older = max(count for count, _, _ in frames) - 1
    yield "slopes", (members, older, inputs, outputs)
    yield "offsets", (members, older, 1, outputs)
    yield from _linear("begin", members, sum(wide for _, wide, state in frames if state), hidden[0])
    yield from _recurrent(members, sum(wide for _, wide, _ in frames), rest, hidden)


def _monotone(members: int, inputs: int, hidden: list[int], blocks: int) -> Iterator[tuple[str, Sizes]]:
    for block in range(blocks):
        at = f"blocks.{block}"
        yield from _linear(f"{at}.embed", members, inputs, hidden[0])
        yield from _linear(f"{at}.into", members, hidden[0], hidden[0])
        yield f"{at}.direct", (members, inputs, hidden[0])
        for number, (before, after) in enumerate(pairwise(hidden)):
            yield from _linear(f"{at}.layers.{number}", members, before, after)


def _transformer(
    members: int, inputs: int, frames: tuple[int, int], rest: int, hidden: list[int]
) -> Iterator[tuple[str, Sizes]]:
    width, (length, frame_width) = hidden[0], frames
    if length:
        yield from _linear("embed", members, frame_width, width)
        yield from _linear("ending", members, rest, width)
    else:
        yield "columns", (members, 1, inputs, width)
    yield "places", (members, 1, (length or inputs) + 1, width)
    for number in range(len(hidden)):
        yield from _norm(f"norms.{2 * number}", members, width)
        yield from _norm(f"norms.{2 * number + 1}", members, width)
        yield from _linear(f"asked.{number}", members, width, 3 * width)
        yield from _linear(f"mixed.{number}", members, width, width)
        yield from _linear(f"inner.{number}", members, width, 2 * width)
        yield from _linear(f"back.{number}", members, 2 * width, width)
