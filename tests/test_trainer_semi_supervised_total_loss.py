"""Eq. 3 by hand."""

# ruff: noqa: TID253

import pytest
import torch

from trainer.semi_supervised.total_loss import total_loss


def test_the_pseudo_labels_are_weighed_by_omega() -> None:
    assert total_loss(1.0, 0.25, 0.5, 0.6) == pytest.approx(1.55)


def test_gradients_reach_every_term() -> None:
    terms = [torch.tensor(value, requires_grad=True) for value in (1.0, 0.25, 0.5)]
    total_loss(*terms, 0.6).backward()
    assert [float(one.grad) for one in terms] == pytest.approx([1.0, 1.0, 0.6])
