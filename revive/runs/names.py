"""Names of runs."""

from __future__ import annotations

import random
from datetime import datetime

_MOODS = ("amber", "brisk", "calm", "deft", "eager", "glad", "keen", "mild", "quiet", "swift")
_ANIMALS = ("crane", "finch", "hare", "heron", "ibex", "lynx", "otter", "seal", "swan", "wren")


def fresh_name(experiment: str) -> str:
    """A readable name that sorts by time, such as `refrigerator-20261122-101500-calm-otter`."""
    pick = random.SystemRandom()
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{experiment}-{now}-{pick.choice(_MOODS)}-{pick.choice(_ANIMALS)}"
