"""What follows from what, for one node: a distribution around a linear-skip network, per member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from revive.data.declared import DeclaredEffect, patterns
from revive.data.layout import Frames, Layout
from revive.nn import heads
from revive.nn.backbones import USUAL_HIDDEN, Backbone, make_net
from revive.nn.ensemble import Activation, SkipNet, ridge
from revive.nn.family_heads import HeadName, Said, family_head, with_family
from revive.nn.gaussian import soft_clamp
from revive.nn.heads import Outputs
from revive.venv.custom import CustomNet, MakeNetwork
from revive.venv.first_principles import Principles


@dataclass(frozen=True)
class NetworkSpec:
    """The shape of a node's network; plain data, so that a bundle can say it in JSON.

    `std` is one number per column ("constant") or a second output of the network ("conditioned"). `hidden` None
    leaves the size to the learner. `head`: distribution of continuous columns, of `components` where it is a
    mixture. `norm`: of an mlp's layers. A network that is normalised, or has another backbone, keeps its size.
    `transition`: whether a change is predicted, or the next value itself.
    """

    hidden: tuple[int, ...] | None = (64, 64)
    activation: Activation = "silu"
    std: Literal["constant", "conditioned"] = "constant"
    head: HeadName = "normal"
    components: int = 5
    backbone: Backbone = "mlp"
    norm: Literal["layer"] | None = None
    transition: Literal["residual", "absolute"] = "residual"

    @property
    def layers(self) -> tuple[int, ...]:
        """`hidden`, empty where the learner has not chosen it yet."""
        return self.hidden or ()

    @property
    def kind(self) -> tuple[Any, ...]:
        """What must be the same for the weights of one network to mean the same in another of equal shapes."""
        return (self.head, self.backbone, self.norm, self.transition)

    @property
    def grows(self) -> bool:
        """Whether hidden layers can be widened without a change of what is said."""
        return self.backbone == "mlp" and self.norm is None

    def sized(self) -> NetworkSpec:
        """With hidden layers, where it needs some and was given none."""
        return self if self.grows or self.hidden else replace(self, hidden=USUAL_HIDDEN)

    def to_json(self) -> dict[str, Any]:
        """Without what is as it always was before there was a choice."""
        said = asdict(self)
        usual = {field.name: field.default for field in fields(self)[_ALWAYS_SAID:]}
        return {key: value for key, value in said.items() if key not in usual or value != usual[key]}

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> NetworkSpec:
        hidden = spec["hidden"]
        return cls(**{**spec, "hidden": None if hidden is None else tuple(hidden)})


IN_TURN = 5  # rounds of fitting a function's parameters and the linear part, each with the other as it is
_ALWAYS_SAID = 3  # of the fields: hidden, activation, std


class NodeModel(nn.Module):
    """`p(node | inputs)` in model space, M members at once.

    The ordered dimensions of a transition are learned as a change: `mean = current + scale * net(x)`, with
    `scale` the robust spread of the change, so that the network's outputs are of order one whatever the
    sampling rate. Any other node is predicted itself (`current` None, `scale` one). `custom` makes a network of
    the user, with its file, in place of ours. `seen` (inputs,) is false for the inputs that the network gets as 0
    always. `atom` (continuous,) is where the values of a zero-inflated head are stuck, in model space;
    `frames` are the histories among the inputs; `effects` are what is declared, for a network that is monotone in them.
    `principles` is a function of the user that stands in place of the current value.
    """

    scale: Tensor
    seen: Tensor | None
    hold_std = False  # no gradient of samples reaches their spread: a matcher would be deceived by less noise

    def __init__(
        self,
        members: int,
        inputs: int,
        layout: Layout,
        spec: NetworkSpec,
        scale: Sequence[float],
        custom: tuple[MakeNetwork, Path] | None = None,
        seen: Sequence[bool] | None = None,
        atom: Tensor | None = None,
        frames: Sequence[Frames] = (),
        effects: Sequence[DeclaredEffect] = (),
        principles: Principles | None = None,
    ) -> None:
        super().__init__()
        self.layout, self.spec, self.principles = layout, spec, principles
        ordered = layout.ordered
        stds = ordered if spec.std == "conditioned" else 0
        self.head = family_head(spec.head, members, layout.continuous, spec.components, atom)
        self._sizes = [ordered, stds, layout.width - ordered, 0 if self.head is None else self.head.outputs]
        outputs = sum(self._sizes)
        self.net: SkipNet | CustomNet
        if custom is None:
            self.net = make_net(
                spec.backbone,
                members,
                inputs,
                outputs,
                hidden=spec.layers,
                activation=spec.activation,
                norm=spec.norm is not None,
                frames=frames,
                signs=patterns(effects, inputs, outputs),
                shift=_shift(effects, inputs, outputs, scale) if spec.transition == "residual" else None,
            )
        else:
            self.net = CustomNet(members, inputs, outputs, *custom)
        self.free_log_std = nn.Parameter(torch.zeros(members, 1, ordered))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))
        mask = None if seen is None else torch.as_tensor(seen, dtype=torch.float32)
        self.register_buffer("seen", mask, persistent=False)  # the graph of a bundle says it

    def forward(self, x: Tensor, current: Tensor | None) -> Outputs:
        """x (M, B, inputs), current (M, B, width) or None -> the distribution of the node."""
        out, logits, extra = self.net(self._visible(x)), None, None
        log_std: Tensor = self.free_log_std
        if len(out[0, 0]) > self._sizes[0]:
            out, conditioned, logits, extra = out.split(self._sizes, dim=-1)
            logits = logits if self._sizes[2] else None
            if self._sizes[1]:
                log_std = log_std + soft_clamp(conditioned)
        base = self._base(x, current)
        mean = out * self._unit if base is None else torch.addcmul(base, out, self._unit)
        said = Outputs(mean, log_std + self.scale.log(), logits)
        return said if self.head is None else with_family(said, self.head, self.layout.continuous, extra)

    def mean(self, x: Tensor) -> Tensor:
        """The ordered dimensions' mean (for a transition: of its change), (M, B, ordered), model space.

        Of a zero-inflated head that of values that are not stuck.
        """
        added = self.net(self._visible(x))[..., : self._sizes[0]] * self._unit
        return added if self.principles is None else added + self.principles(x)

    def added(self, x: Tensor) -> Tensor:
        """What the network adds to the mean, in units of the change: (M, B, ordered)."""
        return self.net(self._visible(x))[..., : self._sizes[0]]

    @property
    def _unit(self) -> Tensor:
        """Of what the network says of the mean; 0 where a function of the user says all of it."""
        return self.scale if self.principles is None or self.principles.adds else torch.zeros_like(self.scale)

    def _base(self, x: Tensor, current: Tensor | None) -> Tensor | None:
        """What the network's answer is added to, (M, B, ordered); None for nothing."""
        ordered = self._sizes[0]
        if self.principles is not None:
            return self.principles(x)[..., :ordered]
        if current is None or self.spec.transition == "absolute":
            return None
        return (self.net.base(x, current) if isinstance(self.net, SkipNet) else current)[..., :ordered]

    def _visible(self, x: Tensor) -> Tensor:
        return x if self.seen is None else x * self.seen

    def mode(self, x: Tensor, current: Tensor | None) -> Tensor:
        """The likeliest value, (M, B, width)."""
        return heads.mode(self(x, current), self.layout)

    def value(self, x: Tensor, current: Tensor | None, eps: Tensor | None) -> Tensor:
        """A sample where there is noise, the likeliest value where `eps` is None; (M, B, width)."""
        return self.drawn(self(x, current), eps)

    def drawn(self, out: Outputs, eps: Tensor | None) -> Tensor:
        """The same of a distribution."""
        if self.hold_std and eps is not None:
            out = out._replace(log_std=out.log_std.detach())
        return heads.mode(out, self.layout) if eps is None else heads.sample(out, self.layout, eps)

    def cost(self, x: Tensor, current: Tensor | None, target: Tensor) -> Tensor:
        """`-log p` per ordered dimension and category column, in units of the change, so that nodes weigh alike."""
        cost = heads.terms(self(x, current), self.layout, target)
        shift = nn.functional.pad(self.scale.log(), (0, cost.shape[-1] - len(self.scale)))
        return cost + shift * (torch.arange(len(shift), device=shift.device) < self.layout.continuous)

    def deviation(
        self, x: Tensor, current: Tensor | None, target: Tensor, kind: Literal["mae", "mse"]
    ) -> Tensor:
        """Absolute or squared error of the ordered dimensions in units of the change; categories as in `cost`."""
        out, ordered = self(x, current), self.layout.ordered
        error = (target[..., :ordered] - out.mean) / self.scale
        likely = heads.terms(out, self.layout, target)[..., ordered:]
        return torch.cat([error.abs() if kind == "mae" else error.square(), likely], dim=-1)

    @torch.no_grad()
    def start_linear(self, x: Tensor, current: Tensor | None, target: Tensor, known: Tensor) -> None:
        """Put the ridge solution into the skip: x (M, N, inputs), target and current (M, N, width).

        known (M, N, ordered): 0 where the target is missing; rows with a missing target do not count.
        """
        ordered = self.layout.ordered
        if self.principles is not None:
            self._start_principles(x, target, known)
        if isinstance(self.net, SkipNet):
            if self.head is not None:
                c = self.layout.continuous
                known = torch.cat(
                    [known[..., :c] * self.head.counts(target[..., :c]), known[..., c:]], dim=-1
                )
            rows = known.amin(-1, keepdim=True) if ordered else None
            for back in self.net.opinions:
                self.net.steps_back = back
                base = self._base(x, current)
                wanted = (target[..., :ordered] - (0.0 if base is None else base)) / self.scale
                self.net.put_linear(*ridge(self.net.seen(self._visible(x)), wanted, rows=rows))
            self.net.steps_back = None
        self.refit_std(x, current, target, known)

    def _start_principles(self, x: Tensor, target: Tensor, known: Tensor) -> None:
        """Fit the parameters of the user's function; in turn with the linear part, where that sees other inputs."""
        assert self.principles is not None
        principles, wanted, weight = (
            self.principles,
            target[..., : self.layout.ordered],
            known / self.scale.square(),
        )
        principles.fit(x, wanted, weight)
        apart = self.seen is not None and principles.adds and isinstance(self.net, SkipNet)
        for _ in range(IN_TURN if apart else 0):
            seen = self._visible(x)
            linear, bias = ridge(seen, wanted - principles(x), rows=known.amin(-1, keepdim=True))
            principles.fit(x, wanted - seen @ linear - bias, weight)

    @torch.no_grad()
    def refit_principles(self, x: Tensor, target: Tensor, known: Tensor) -> None:
        """Fit the parameters of the user's function to what the network leaves; as of `start_linear`."""
        assert self.principles is not None
        left = target[..., : self.layout.ordered] - self.added(x) * self._unit
        self.principles.fit(x, left, known / self.scale.square())

    @torch.no_grad()
    def refit_std(self, x: Tensor, current: Tensor | None, target: Tensor, weight: Tensor) -> None:
        """Scale the std so that the one-step residuals of (M, N, ...) rows have a mean square of one std.

        weight (M, N, ordered): 0 where the target is missing. Families but Gaussians have their own way.
        """
        out, ordered = self(x, current), self.layout.ordered
        standard = ((target[..., :ordered] - out.mean) * (-out.log_std).exp()).square() * weight
        ratio = standard.sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(1.0)
        wider = ratio.clamp_min(1e-8).log() * 0.5
        if self.head is not None and out.family is not None:
            c = self.layout.continuous
            said = Said(out.mean[..., :c], out.log_std[..., :c], out.family)
            wider[..., :c] = self.head.spread(said, target[..., :c], weight[..., :c])
        self.free_log_std.add_(wider)


def _shift(effects: Sequence[DeclaredEffect], inputs: int, outputs: int, scale: Sequence[float]) -> Tensor:
    """What the present value, to which the change is added, adds to the network's slopes: (inputs, outputs)."""
    shift = torch.zeros(inputs, outputs)
    for effect in effects:
        if effect.present and effect.sign:
            shift[effect.column, effect.output] = 1.0 / scale[effect.output]
    return shift
