"""Rows of the halves are told as rows of the logs."""

from __future__ import annotations

import numpy as np

from revive.config.compose import load_settings
from revive.pipeline.inputs import gather, row_numbers
from tests.pipeline.conftest import Write


def test_rows_of_the_halves_are_those_of_the_logs(tank: Write) -> None:
    tank()
    settings = load_settings(["experiment=tank", "seed=3"])
    inputs = gather(settings)
    place = row_numbers(settings, inputs).arrays["place"].astype(int)
    both = np.concatenate([inputs.parts.train.arrays["tank"], inputs.parts.validation.arrays["tank"]])
    assert np.array_equal(both, inputs.logs.arrays["tank"][place[:, 0]])
    assert np.array_equal(place[:, 1], place[:, 0] // 80)
