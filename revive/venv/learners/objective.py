"""What the multi-step learner minimises, and what it measures for that: losses of one and of several steps.

One-step: `L = -mean log p(y | parents)` per node (behaviour cloning of every learned node).
Multi-step: `L = mean_k Huber((yhat_k - y_k) / sigma) + w * NLL`, the rollout running through the model
with recorded decisions and exogenous values, differentiated through all K steps (simulation error
minimisation; Benechehab et al. 2023, arXiv:2310.05672, for the weighted form).
Filtered: the same Huber loss one step ahead of a latent state that observers estimate from all readings so far, through
which it is differentiated (the prediction-error method; Ljung 1999, System Identification, chapters 7 and 13). Under
measurement noise a one-step fit regresses on a noisy input and shrinks the state's coefficient; this does not. Where
the logs' controller answers to disturbances, it is not drawn to what recorded actions tell of them, as rollouts are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from revive.data.windows import Segments
from revive.venv.first_principles import WEIGHT
from revive.venv.judging import affordable, readings_of, rollout_errors, with_data
from revive.venv.observer import BURN_IN
from revive.venv.problem import VenvProblem
from revive.venv.virtual_env import VirtualEnv

LossKind = Literal["log_prob", "mae", "mse"]
TRIFLE = 0.02  # share of the rows
COST_ROWS = 8192  # per member: what seldom happens must be among them


class Objective:
    """Losses of all members at once, as sums of the members' own means.

    Args:
        problem: what is to be learned.
        venv: what is fitted; a learner that grows its network puts another one here.
        seen: the rows that each member learns from.
        window_batch: windows per member of a multi-step update, fewer where they are very large.
        loss: one-step loss of the nodes whose description names none.

    fitted: learned nodes with data. judged: transitions with data of their own.
    """

    def __init__(
        self,
        problem: VenvProblem,
        venv: VirtualEnv,
        seen: Segments,
        window_batch: int,
        loss: LossKind = "log_prob",
    ) -> None:
        self.problem, self.venv, self.rows, self.seen = problem, venv, problem.rows, seen
        self.window_batch, self.loss = window_batch, loss
        graph, known = problem.graph, with_data(problem.rows)
        self.fitted = [name for name in graph.learned if name in known and not graph[name].freeze]
        moving = [name for name in graph.transitions if name in known and graph.state_of(name) in known]
        self.judged = [name for name in moving if graph[name].history is None] or moving
        self.sigma: dict[str, Tensor] = {}

    def one_step(self, batch: dict[str, Tensor], index: Tensor, names: Sequence[str]) -> Tensor:
        """The loss of some nodes on the rows `index` (M, B) that `batch` holds."""
        batch = self.venv.completed(batch)
        loss = torch.zeros((), device=self.venv.device)
        for name in names:
            loss = loss + self.mean_cost(name, batch, index).sum()
        return loss

    def mean_cost(self, name: str, batch: dict[str, Tensor], index: Tensor) -> Tensor:
        """A node's one-step cost, averaged over what is known, rows by their weights: (M,)."""
        cost, weight = self._weighed(name, batch, index)
        if weight is None:
            return cost.mean((1, 2))
        return (cost * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1.0)

    def _weighed(self, name: str, batch: dict[str, Tensor], index: Tensor) -> tuple[Tensor, Tensor | None]:
        """A node's one-step cost and what it counts, (M, B, terms) each; None where all rows count alike."""
        cost, weight = self._cost(name, batch), self.rows.weight(name, index)
        if name in self.problem.row_weights:
            counts = self.problem.row_weights[name][index].unsqueeze(-1)
            weight = counts.expand_as(cost) if weight is None else weight * counts
        return cost, weight

    def _cost(self, name: str, batch: dict[str, Tensor]) -> Tensor:
        """What a node's one-step loss averages, (M, B, terms)."""
        x, current = self.venv.node_inputs(name, batch)
        model, kind = self.venv.model(name), self.venv.graph[name].loss_type or self.loss
        if name in self.problem.losses:
            cost = self.problem.losses[name](model(x, current), model.layout, batch)
        elif kind in ("mae", "mse"):
            cost = model.deviation(x, current, batch[name], kind)  # type: ignore[arg-type]
        else:
            cost = model.cost(x, current, batch[name])
        if model.principles is None or not model.principles.adds:
            return cost
        return cost + WEIGHT * model.added(x).square()

    @torch.no_grad()
    def costs_on(self, segments: Segments, names: Sequence[str]) -> dict[str, Tensor]:
        """One-step costs of nodes on other rows than those of training: (M,) each."""
        if not names:
            return {}
        index, _ = segments.sample(COST_ROWS, 1, torch.Generator(self.venv.device).manual_seed(0))
        batch = self.venv.completed(self.rows.at(index))
        return {name: self.mean_cost(name, batch, index) for name in names}

    def usual_costs(self, names: Sequence[str]) -> dict[str, float]:
        """What one nat is worth of each node: 1, or the entropy of a category that mostly has one value, in nats."""
        found = {}
        for name in names:
            layout, share = self.venv.codec.layout(name), self.rows.values[name].mean(0)
            entropy = -torch.special.xlogy(share, share.clamp_min(1e-12)).sum()
            found[name] = min(1.0, float(entropy)) if layout.choices and not layout.ordered else 1.0
        return found

    def multi_step(self, horizon: int, generator: torch.Generator) -> Tensor:
        """The loss of rollouts over `horizon` steps."""
        windows = self.seen.sample(self._windows(horizon), horizon, generator)
        return self._huber(rollout_errors(self.venv, self.rows, self.judged, windows, horizon))

    def filtered(self, horizon: int, generator: torch.Generator) -> Tensor:
        """The loss of predictions one step ahead of what the observers make of the readings, after some for a start."""
        start = horizon // 4  # a first reading is taken as it is
        windows = self.seen.sample(self._windows(horizon), horizon, generator)
        errors = rollout_errors(
            self.venv, self.rows, self.judged, windows, horizon - start, burn_in=start, filtered=True
        )
        return self._huber({name: (e[start:], weight[start:]) for name, (e, weight) in errors.items()})

    def starting(self, batch: dict[str, Tensor], index: Tensor, horizon: int) -> Tensor:
        """The one-step loss of observed nodes in the first rows of trajectories, which `filtered` leaves out.

        It counts by their share of the rows; where that is a trifle, it is 0.
        """
        start = horizon // 4
        loss = torch.zeros((), device=self.venv.device)
        if start * len(self.rows.starts) < TRIFLE * self.rows.count:
            return loss
        early = (index - self.rows.start_of(index) < start).to(torch.float32).unsqueeze(-1)  # (M, B, 1)
        batch = self.venv.completed(batch)
        for name in self.venv.observed:
            cost, weight = self._weighed(name, batch, index)
            counts = early.expand_as(cost) if weight is None else early * weight
            loss = loss + (cost * counts).mean((1, 2)).sum()
        return loss

    def _huber(self, errors: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
        loss = torch.zeros((), device=self.venv.device)
        for name, (error, weight) in errors.items():
            scaled = error / self.sigma[name]
            huber = torch.nn.functional.huber_loss(scaled, torch.zeros_like(scaled), reduction="none")
            total = (huber * weight).sum((0, 2, 3))
            loss = loss + (total / weight.sum((0, 2, 3)).clamp_min(1.0)).sum()
        return loss

    def _windows(self, horizon: int) -> int:
        width = sum(self.venv.codec.width(name) for name in self.venv.graph.nodes)
        width += 4 * len(self.judged) * sum(self.venv.spec.hidden or ())  # that autograd keeps
        return affordable(self.window_batch, self.venv.members * horizon * width)

    @torch.no_grad()
    def measure_sigma(self) -> None:
        """Take the rms over rows of the std that the model states, (M, 1, d), as the unit of rollout errors."""
        drawn, _ = self.seen.sample(512, 1, torch.Generator(self.venv.device).manual_seed(2))
        batch = self.venv.completed(self.rows.at(drawn))
        self.sigma = {
            name: self._sigma(name, batch) for name in self.judged
        }  # a new one: checkpoints hold the old

    def _sigma(self, name: str, batch: dict[str, Tensor]) -> Tensor:
        if name not in self.venv.models:
            return torch.ones(1, 1, 1, device=self.venv.device)
        out = self.venv.model(name)(*self.venv.node_inputs(name, batch))
        std = (2.0 * out.log_std).exp().mean(1, keepdim=True).sqrt()
        short = batch[name].shape[-1] - std.shape[-1]  # category dimensions
        return torch.nn.functional.pad(std, (0, short), value=1.0)

    @torch.no_grad()
    def start_linear(self, warm: Collection[str], generator: torch.Generator) -> None:
        """Put least squares into the linear skips of all nodes but `warm` ones."""
        index, _ = self.seen.sample(4096, 1, generator)
        batch = self.venv.completed(self.rows.at(index))
        for name in self.fitted:
            if name not in warm:
                x, current = self.venv.node_inputs(name, batch)
                self.venv.model(name).start_linear(x, current, batch[name], self._known(name, index, batch))

    @torch.no_grad()
    def refit_principles(self) -> None:
        """Fit the parameters of the user's functions to what the networks, as they are now, leave of the rows."""
        names = [name for name in self.fitted if self.venv.model(name).principles is not None]
        if not names:
            return
        index, _ = self.seen.sample(4096, 1, torch.Generator(self.venv.device).manual_seed(6))
        batch = self.venv.completed(self.rows.at(index))
        for name in names:
            x, _ = self.venv.node_inputs(name, batch)
            self.venv.model(name).refit_principles(x, batch[name], self._known(name, index, batch))

    @torch.no_grad()
    def refit_std(self, unseen: Segments) -> None:
        """Give every node the std of its residuals on rows that its members did not learn from."""
        index, _ = unseen.sample(2048, 1, torch.Generator(self.venv.device).manual_seed(1))
        batch = self.venv.completed(self.rows.at(index))
        for name in self.fitted:
            x, current = self.venv.node_inputs(name, batch)
            if name not in self.venv.observed:
                self.venv.model(name).refit_std(x, current, batch[name], self._known(name, index, batch))
        self._refit_observed(unseen)

    def _refit_observed(self, unseen: Segments) -> None:
        """The same of readings of a latent state: predicted from what a filter makes of the readings before."""
        if not self.venv.observed:
            return
        generator = torch.Generator(self.venv.device).manual_seed(4)
        first, stop = unseen.sample(64, 2 * BURN_IN, generator)
        index, valid = self.rows.windows(first, 2 * BURN_IN, stop)
        data = self.rows.at(index)
        readings = readings_of(self.venv, self.rows, index, data)
        rolled = self.venv.replay(data, self.rows.past(index[0]), readings=readings)
        for name in self.venv.observed:
            latent = self.venv.observer(name).update(rolled[name], data[name])
            data[self.venv.graph.state_of(name)][1:] = latent[:-1]
        batch = {name: _flat(value[BURN_IN:]) for name, value in data.items()}
        inside = _flat(valid[BURN_IN:].unsqueeze(-1))
        flat = _flat(index[BURN_IN:].unsqueeze(-1)).squeeze(-1)
        for name in self.venv.observed:
            x, current = self.venv.node_inputs(name, batch)
            known = self._known(name, flat, batch) * inside
            self.venv.model(name).refit_std(x, current, batch[name], known)

    def _known(self, name: str, index: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """0 where an ordered dimension of a node's target is missing, else the row's weight, (M, B, ordered)."""
        ordered, known = self.venv.model(name).layout.ordered, self.rows.weight(name, index)
        known = torch.ones_like(batch[name][..., :ordered]) if known is None else known[..., :ordered]
        counts = self.problem.row_weights.get(name)
        return known if counts is None else known * counts[index].unsqueeze(-1)


def _flat(value: Tensor) -> Tensor:
    """(T, M, B, d) -> (M, T * B, d)."""
    return value.transpose(0, 1).flatten(1, 2)
