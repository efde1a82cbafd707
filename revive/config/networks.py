"""The networks that a config may ask for."""

from __future__ import annotations

from typing import Literal

from revive.config.fields import Count, Section


class Network(Section):
    """The shape of a network."""

    hidden: list[Count]
    activation: Literal["silu", "tanh", "relu", "gelu"]


class PolicyNetwork(Network):
    """The network of a policy: numpy, C and ONNX run what stands here."""

    backbone: Literal["mlp", "gru"]


NodeActivation = Literal["silu", "tanh", "relu", "gelu", "elu", "leaky_relu", "sigmoid"]
Backbone = Literal["mlp", "residual", "gru", "lstm", "transformer", "any_step", "monotone"]
Head = Literal["normal", "student_t", "mixture", "zero_inflated"]


class NodeNetwork(Network):
    """The network of a node of the venv; without `hidden` its size follows from the data."""

    hidden: list[Count] | None  # type: ignore[assignment]
    activation: NodeActivation  # type: ignore[assignment]
    backbone: Backbone
    norm: Literal["layer"] | None
    transition: Literal["residual", "absolute"] | None
    std: Literal["constant", "conditioned"]
    head: Head
    components: Count


class OwnNetwork(Section):
    """What the network of one node has in place of `venv.network`."""

    hidden: list[Count] | None = None
    activation: NodeActivation | None = None
    backbone: Backbone | None = None
    norm: Literal["layer"] | None = None
    transition: Literal["residual", "absolute"] | None = None
    std: Literal["constant", "conditioned"] | None = None
    head: Head | None = None
    components: Count | None = None
