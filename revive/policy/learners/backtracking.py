"""Copies that earn less in their own venv than what they started from go back to their best, and step shorter.

While a critic knows little, a few updates may lead out of all that was logged, to where no gradient leads back. A line
search would refuse such steps (Nocedal and Wright 2006, chapter 3); here it is looked at every some iterations, on
fixed starts and noise, so that nothing is drawn and copies that learn well do not notice. A copy that was taken back
waits while its critic learns on, then takes shorter steps, and longer ones again as it gets better.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from revive.policy.evaluation import mean_reward
from revive.policy.policy import Policy
from revive.policy.problem import PolicyProblem

MARGIN = 0.5  # spreads of the logged reward per step that a copy may lose; see docs/decisions.md
# what its steps are multiplied by when it is taken back, and when it then is at its best
SHORTER, LONGER = 0.5, 1.5
