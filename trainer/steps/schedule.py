"""Learning rate as a function of the step: closed forms, so that a run can go on anywhere."""

import math
from typing import Literal

Schedule = Literal["cosine", "onecycle"]

WARM_UP = 0.3  # share of the steps; Smith and Topin 2019, torch's OneCycleLR
FIRST, LAST = 1 / 25, 1 / 25e4  # of the peak; as torch's


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the peak learning rate is multiplied by.

    Args:
        schedule: `cosine` falls from 1 to 0 (paper Sec. 3.1); `onecycle` rises first.
        step: From 0.
        steps: Of the whole run.
    """
    if schedule == "cosine":
        return _cosine(1.0, 0.0, step / steps)
    peak = WARM_UP * steps - 1
    if step <= peak:
        return _cosine(FIRST, 1.0, step / peak)
    return _cosine(1.0, LAST, (step - peak) / (steps - 1 - peak))


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
