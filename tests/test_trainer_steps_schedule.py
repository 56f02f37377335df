"""Closed forms of the learning rate."""

# ruff: noqa: TID253

import pytest
import torch

from trainer.steps.schedule import factor


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 3.2e-4), (75, 2.73137e-4), (150, 1.6e-4), (300, 0.0)]
)
def test_cosine_from_the_papers_rate(epoch: int, rate: float) -> None:
    assert 3.2e-4 * factor("cosine", epoch, 300) == pytest.approx(rate, abs=1e-9)


def test_one_cycle_is_torchs() -> None:
    unit = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([unit], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=50)
    theirs = []
    for _ in range(50):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(theirs) < 50:
            schedule.step()
    ours = [factor("onecycle", step, 50) for step in range(50)]
    assert ours == pytest.approx(theirs, abs=1e-9)
