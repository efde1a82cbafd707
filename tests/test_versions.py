"""What a run says it was made with."""

from __future__ import annotations

import importlib.metadata
import os
import re

import revive
from revive.versions import device, versions


def test_the_device_names_what_computes_and_how_many_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert re.fullmatch(rf"cpu, {cores} cores?", device("cpu"))
    assert re.fullmatch(rf"\S.*, {cores} cores?", device("gpu"))


def test_a_run_says_which_version_of_revive_and_torch_made_it() -> None:
    found = versions()
    assert found["revive-logs"] == revive.__version__, "what is installed is another version of the package"
    assert found["torch"] == importlib.metadata.version("torch")
