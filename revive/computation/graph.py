"""The base class of custom nodes under REVIVE's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from revive.computation.modules import MLP, DistributionWrapper, Parameters, joined


class NetworkDecisionNode:
    """A node of the decision flow graph whose network the user writes.

    A subclass makes `self.network` in `initialize_network` and uses it in `__call__`. What it is asked for are rows in
    model space, categories as one-hot vectors; it is made once for every member of the ensemble.

    name: of the node. input_names: its inputs. input_descriptions: the columns of each of them, name -> attributes.
    """

    node_type = "network"

    def __init__(
        self, name: str, input_names: Sequence[str], input_descriptions: Sequence[Mapping[str, Any]]
    ) -> None:
        self.name = name
        self.input_names, self.input_descriptions = list(input_names), list(input_descriptions)
        self.network: nn.Module | None = None

    def initialize_network(
        self,
        input_dim: int,
        output_dim: int,
        hidden_features: int,
        hidden_layers: int,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Make `self.network`. input_dim: of all inputs side by side. output_dim: parameters of the distribution."""
        body = MLP(input_dim, output_dim, hidden_features, hidden_layers)
        self.network = nn.Sequential(body, DistributionWrapper("mix"))

    def __call__(self, data: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> Parameters | Tensor:
        """data: input -> (B, d) -> the parameters of the node's distribution, (B, output_dim)."""
        assert self.network is not None
        found: Parameters | Tensor = self.network(joined([data[name] for name in self.input_names]))
        return found

    def get_network(self) -> nn.Module | None:
        """The network."""
        return self.network

    def set_network(self, network: nn.Module) -> None:
        """Take another network."""
        self.network = network

    def reset(self) -> None:
        """Forget what was kept from earlier steps; networks here keep nothing."""
