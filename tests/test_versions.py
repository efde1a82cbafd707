"""What a run says it was made with."""

from __future__ import annotations

import os
import re

from revive.versions import device


def test_the_device_names_what_computes_and_how_many_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert re.fullmatch(rf"cpu, {cores} cores?", device("cpu"))
    assert re.fullmatch(rf"\S.*, {cores} cores?", device("gpu"))
