"""The learning rate as a formula of the step, so that a run can resume at any step."""

import math
from typing import Literal

Schedule = Literal["cosine", "onecycle"]

WARM_UP = 0.3  # share of the steps; Smith and Topin 2019, torch's OneCycleLR
FIRST, LAST = 1 / 25, 1 / 25e4  # factors of the peak at the first and last step; as in torch


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """Return the factor by which the peak learning rate is multiplied at a step.

    Args:
        schedule: `cosine` falls from 1 to 0 (paper Sec. 3.1); `onecycle` rises first.
        step: Number of the step, from 0.
        steps: Number of steps of the whole run.
    """
    if schedule == "cosine":
        return _cosine(1.0, 0.0, step / steps)
    peak = WARM_UP * steps - 1
    if step <= peak:
        return _cosine(FIRST, 1.0, step / peak)
    return _cosine(1.0, LAST, (step - peak) / (steps - 1 - peak))


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
