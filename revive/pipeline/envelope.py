"""What was logged of what a policy sees, for its bundle: a plant is held against it later."""

from __future__ import annotations

from typing import Any

from revive.data.split import Split
from revive.policy.policy import Policy
from revive.runtime.envelope import Envelope
from revive.runtime.policy import Policy as NumpyPolicy


def envelope_of(policy: Policy, parts: Split, seed: int) -> dict[str, Any]:
    """The operating envelope, as a bundle holds it; its distances are those that the numpy runtime will find."""
    tensors = {name: value.detach().cpu().numpy() for name, value in policy.state_dict().items()}
    acting = NumpyPolicy(policy.graph, policy.target, policy.spec.activation, tensors)
    return Envelope.fit(acting, parts.train.arrays, parts.validation.arrays, seed).to_json()
