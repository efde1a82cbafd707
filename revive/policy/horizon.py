"""How far training rollouts reach: as far as an action needs to show, no farther than the venv can be trusted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from revive.data.duration import in_time, steps_told
from revive.data.scaling import robust_scale
from revive.data.windows import Rows
from revive.graph.joint import decided_by
from revive.policy.reward import Reward
from revive.venv.validation import RolloutError
from revive.venv.virtual_env import VirtualEnv

SHORTEST, USUAL, PER_DEAD_TIME = 10, 30, 5
LOOKED_AT = 100  # steps after an action
CLEAR = 0.5  # share of what one step's noise does to the reward, that a response must reach
SMALLEST = 0.01  # share of the largest response that it must reach
AGREED = 2.0  # times its spread over members that a response must reach
MOST = 0.8  # of a response that settles, that a training rollout is to see
SETTLED = 0.25  # of its peak: what is left of such a response at most, in the last tenth of what is looked at


@dataclass(frozen=True)
class Response:
    """What the reward shows of an action.

    dead_time: steps until it first shows, counted from 1; None where it never does. settled: steps by which `MOST` of
    the response has come; None where it does not die away within what is looked at.
    """

    dead_time: int | None
    settled: int | None


@dataclass(frozen=True)
class Horizon:
    """steps of a training rollout, and what they follow from.

    dead_time, settled: as of `Response`.
    trusted: steps over which the venv's error stays below that of "nothing changes".
    longest: of a trajectory. given: by the user.
    """

    steps: int
    dead_time: int | None
    settled: int | None
    trusted: int
    longest: int
    given: bool = False

    @classmethod
    def of(cls, shown: Response, trusted: int, longest: int, wanted: int | None) -> Horizon:
        """`wanted` steps, or what the figures allow.

        These are the largest of 30, 5 dead times, and what most of a response takes, within what can be trusted.
        """
        if wanted is not None:
            return cls(wanted, shown.dead_time, shown.settled, trusted, longest, True)
        needed = max(USUAL, PER_DEAD_TIME * (shown.dead_time or 1), shown.settled or 1)
        steps = max(SHORTEST, min(needed, trusted))
        return cls(min(steps, longest), shown.dead_time, shown.settled, trusted, longest)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def told(self, step_seconds: float | None = None) -> str:
        """One line for the output. step_seconds: how long a step takes, where that is known."""

        def so_many(steps: int) -> str:
            return f"{steps}{in_time(steps, step_seconds)}"

        delay = (
            "how soon an action shows in the reward cannot be told"
            if self.dead_time is None
            else f"dead time {so_many(self.dead_time)}"
        )
        if self.settled is not None:
            delay += f", most of the response within {so_many(self.settled)}"
        reach = f"the venv can be trusted for {so_many(self.trusted)}"
        if self.given:
            return f"{steps_told(self.steps, step_seconds)} as given; {delay}, {reach}"
        return f"{steps_told(self.steps, step_seconds)}: {delay}, {reach}"


def trusted_steps(errors: RolloutError) -> int:
    """The first steps of which the venv's error is below that of "nothing changes" in either half.

    Errors at a step, in spreads of each column, averaged over columns. All steps that were judged where it never is
    worse; with one step of grace, because a single step of a slow plant can hardly be told from standing still.
    """
    venv, still = (_in_spreads(errors, table) for table in (errors.venv, errors.persistence))
    worse = ((venv >= still) & (venv > 0)).any(0)  # both are zero where nothing is known of a step
    worse[:2] = False
    return int(worse.float().argmax()) if bool(worse.any()) else len(worse)


def _in_spreads(errors: RolloutError, table: dict[str, Any]) -> Tensor:
    """(halves, T), the mean over all columns."""
    parts = []
    for name, value in table.items():
        spread = torch.as_tensor(errors.spread[name]).clamp_min(1e-9)
        parts.append(torch.as_tensor(value).nan_to_num(0.0, posinf=1e9) / spread)
    return torch.cat(parts, dim=-1).mean(-1)


@torch.no_grad()
def response(venv: VirtualEnv, rows: Rows, target: str, reward: Reward, within: int) -> Response:
    """How a change of the action shows in what the reward reads of the states.

    Two open-loop rollouts of the recorded actions, one of them with the first action moved by half a spread. What
    the reward charges for the action itself is left out. A response shows where it stands out of the noise: half
    of what one step's noise does to the reward, a hundredth of the largest response within `within` steps, and twice
    its own spread over the members.
    """
    per_half = venv.members // venv.halves
    horizon = min(LOOKED_AT, within, int(rows.lengths.max()))
    spread = [torch.linspace(p.start, p.stop - 1, 33, device=rows.device)[:-1].long() for p in rows.parts]
    first = torch.cat([half.expand(per_half, -1) for half in spread])
    index, valid = rows.windows(first, horizon)
    data, past = rows.at(index), rows.past(first)
    moved = {**data, target: data[target].clone()}
    moved[target][0] = _elsewhere(venv, target, data[target][0])

    def rewards(windows: dict[str, Tensor], noise: dict[str, Tensor] | None = None) -> Tensor:
        rolled = venv.replay(windows, past, noise)
        own = {name: data[name] for name in (target, *decided_by(venv.graph, target)) if name in data}
        return reward(venv.codec.decode({**rolled, **own})).nan_to_num(0.0)

    usual = rewards(data)
    usually = robust_scale(usual[valid].double().cpu().numpy()[:, None])[0]  # a cliff is no measure of noise
    jolted = rewards(data, _one_step_noise(venv, horizon, first.shape[1]))
    floor = float((jolted[0] - usual[0]).abs().clamp_max(usually).mean())
    effect = (rewards(moved) - usual).clamp(-usually, usually) * valid
    size = effect.abs().sum((1, 2)) / valid.sum((1, 2)).clamp_min(1)  # (T,)
    by_member = effect.reshape(horizon, venv.halves, per_half, -1)
    doubt = by_member.std(2, unbiased=False).mean((1, 2)) / per_half**0.5
    agreed = by_member.mean(2).abs().mean((1, 2)) >= AGREED * doubt
    clear = (size >= max(CLEAR * floor, SMALLEST * float(size.max()))) & agreed & (size > 0)
    if not bool(clear.any()):
        return Response(None, None)
    return Response(int(clear.float().argmax()) + 1, _settled(size))


def _one_step_noise(venv: VirtualEnv, horizon: int, branches: int) -> dict[str, Tensor]:
    """Noise of the first step alone; of a reading only what stays in the latent state behind it."""
    noise = venv.noise(1, branches, torch.Generator(venv.device).manual_seed(0))
    for name in venv.observed:
        noise[name] = noise[name] * venv.observer(name).gain
    later = (0, 0, 0, 0, 0, 0, 0, horizon - 1)
    return {name: torch.nn.functional.pad(eps, later) for name, eps in noise.items()}


def _settled(size: Tensor) -> int | None:
    """Steps by which most of a response (T,) has come; None where it does not die away."""
    last = size[-max(1, len(size) // 10) :].mean()
    if len(size) < LOOKED_AT or float(last) > SETTLED * float(size.max()):
        return None
    return int((size.cumsum(0) < MOST * size.sum()).sum()) + 1


def _elsewhere(venv: VirtualEnv, target: str, action: Tensor) -> Tensor:
    """Half a spread more of the ordered dimensions, the next value of every category."""
    layout = venv.codec.layout(target)
    parts = [action[..., : layout.ordered] + 0.5]
    parts += [action[..., a:b].roll(1, dims=-1) for a, b in layout.blocks]
    return torch.cat(parts, dim=-1)
