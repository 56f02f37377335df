"""Equation 1, and the third term of equation 3."""

# ruff: noqa: TID253

import math

import pytest
import torch

from trainer.networks.two_stream import Logits
from trainer.steps.losses import sharpening_loss, sup_loss


def heads(*values: float) -> Logits:
    fused, local, global_ = (torch.tensor([value]) for value in values)
    return Logits(fused, local, global_)


def test_three_heads_by_hand() -> None:
    loss = sup_loss(heads(0.0, math.log(3), -math.log(3)), torch.ones(1))
    assert float(loss) == pytest.approx(2.367124, abs=1e-6)


def test_one_head_has_one_term() -> None:
    only = Logits(torch.zeros(4), None, None)
    assert float(sup_loss(only, torch.tensor([0.0, 1, 0, 1]))) == pytest.approx(math.log(2))


def test_mean_over_nodes() -> None:
    logits = torch.tensor([2.0, -1.0])
    target = torch.tensor([1.0, 0.0])
    both = sup_loss(Logits(logits, None, None), target)
    each = [sup_loss(Logits(logits[i : i + 1], None, None), target[i : i + 1]) for i in (0, 1)]
    assert float(both) == pytest.approx(float(sum(each)) / 2)


def test_certain_and_right_costs_nothing_and_certain_and_wrong_stays_finite() -> None:
    right = sup_loss(heads(80, 80, 80), torch.ones(1))
    wrong = sup_loss(heads(-80, -80, -80), torch.ones(1))
    assert float(right) == pytest.approx(0, abs=1e-6)
    assert float(wrong) == pytest.approx(240, rel=1e-5)


def test_half_precision_logits_are_summed_in_float32() -> None:
    half = Logits(torch.tensor([0.1], dtype=torch.bfloat16), None, None)
    assert sup_loss(half, torch.ones(1)).dtype == torch.float32


def test_sharpening_is_equation_1_over_the_selected_nodes() -> None:
    drawn = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    logits = Logits(drawn[0], drawn[1], drawn[2])
    label, selected = torch.tensor([1.0, 0, 1, 0, 1, 0]), torch.tensor([1.0, 0, 0, 1, 1, 0])
    some = selected.bool()
    wanted = sup_loss(Logits(drawn[0][some], drawn[1][some], drawn[2][some]), label[some])
    assert torch.allclose(sharpening_loss(logits, label, selected, 3.0), wanted)


def test_no_selected_node_gives_0_and_no_gradient() -> None:
    fused = torch.tensor([40.0, -40.0], requires_grad=True)
    loss = sharpening_loss(Logits(fused, None, None), torch.ones(2), torch.zeros(2), 0.0)
    loss.backward()
    assert loss.item() == 0.0
    assert fused.grad is not None
    assert fused.grad.tolist() == [0.0, 0.0]
