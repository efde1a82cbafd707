"""Names of runs."""

from __future__ import annotations

import random
import re
from datetime import datetime

_MOODS = ("amber", "brisk", "calm", "deft", "eager", "glad", "keen", "mild", "quiet", "swift")
_ANIMALS = ("crane", "finch", "hare", "heron", "ibex", "lynx", "otter", "seal", "swan", "wren")

_FRESH = re.compile(r".+-(?P<when>[12]\d{3}[01]\d[0-3]\d-[0-2]\d[0-5]\d[0-5]\d)-(?P<words>[a-z]+-[a-z]+)$")


def fresh_name(experiment: str) -> str:
    """A readable name that sorts by time, such as `refrigerator-20261122-101500-calm-otter`."""
    pick = random.SystemRandom()
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{experiment}-{now}-{pick.choice(_MOODS)}-{pick.choice(_ANIMALS)}"


def readable_name(name: str) -> str:
    """A fresh name with what tells it from others in front: `calm-otter 2026-11-22 10:15`; any other as it is."""
    found = _FRESH.match(name)
    if found is None:
        return name
    when = datetime.strptime(found["when"], "%Y%m%d-%H%M%S")
    return f"{found['words']} {when:%Y-%m-%d %H:%M}"
