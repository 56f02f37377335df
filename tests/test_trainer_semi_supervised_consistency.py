"""The consistency term and its ramp: values worked out by hand, limits, references."""

# ruff: noqa: TID253

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from trainer.semi_supervised.consistency import kl_loss, mse_loss, ramp


def logit(*p: float) -> torch.Tensor:
    return torch.logit(torch.tensor(p, dtype=torch.float64)).float()


@pytest.mark.parametrize(
    ("epoch", "wanted"),
    [(0, 0.006738), (1, 0.007629), (20, 0.060055), (40, 0.286505), (60, 0.731616),
     (79, 0.999219), (80, 1.0), (299, 1.0)],
)  # fmt: skip
def test_the_ramp_over_80_epochs(epoch: int, wanted: float) -> None:
    assert ramp(epoch, 1.0, 80 / 300 * 300) == pytest.approx(wanted, abs=5e-7)


def test_no_ramp_is_the_whole_weight_at_once() -> None:
    assert ramp(0, 10.0, 0.0) == 10.0


@pytest.mark.parametrize(
    ("p", "q", "wanted"), [(0.9, 0.6, 0.226289), (0.6, 0.9, 0.311239), (0.05, 0.2, 0.093943)]
)
def test_kl_of_two_probabilities(p: float, q: float, wanted: float) -> None:
    assert kl_loss(logit(p), logit(q)).item() == pytest.approx(wanted, abs=1e-6)


def test_the_students_gradient_of_kl_is_q_minus_p_and_the_teachers_is_none() -> None:
    teacher, student = logit(0.9).requires_grad_(), logit(0.6).requires_grad_()
    kl_loss(teacher, student).sum().backward()
    assert student.grad is not None
    assert student.grad.item() == pytest.approx(-0.3, abs=1e-6)
    assert teacher.grad is None


@pytest.mark.parametrize("t", [-40.0, 0.0, 40.0])
@pytest.mark.parametrize("s", [-40.0, 0.0, 40.0])
def test_kl_and_its_gradient_are_finite_at_any_logit(t: float, s: float) -> None:
    student = torch.tensor([s], requires_grad=True)
    value = kl_loss(torch.tensor([t]), student)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_kl_agrees_with_torchs_of_two_classes(t: float, s: float) -> None:
    teacher, student = torch.tensor([t]), torch.tensor([s])
    pair = [torch.stack([functional.logsigmoid(x), functional.logsigmoid(-x)], 1)
            for x in (student, teacher)]  # fmt: skip
    wanted = functional.kl_div(*pair, reduction="sum", log_target=True)
    assert kl_loss(teacher, student).item() == pytest.approx(wanted.item(), abs=1e-5)
    assert kl_loss(teacher, student).item() >= -1e-6


def test_half_precision_logits_are_computed_in_float32() -> None:
    half = kl_loss(torch.tensor([3.0]).bfloat16(), torch.tensor([-3.0]).bfloat16())
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(kl_loss(torch.tensor([3.0]), torch.tensor([-3.0])).item())


def test_squared_difference_equals_that_of_two_softmax_classes() -> None:
    a, b = torch.tensor([0.4, -2.0]), torch.tensor([1.5, 0.1])
    zeros = torch.zeros(2)
    two = [torch.softmax(torch.stack([zeros, x], 1), 1) for x in (a, b)]
    wanted = (two[0] - two[1]).square().mean(1)
    assert torch.allclose(mse_loss(torch.sigmoid(a), torch.sigmoid(b)), wanted)


def test_mse_has_a_gradient_through_both() -> None:
    one, other = torch.tensor([0.2], requires_grad=True), torch.tensor([0.7], requires_grad=True)
    mse_loss(one, other).sum().backward()
    assert one.grad is not None
    assert other.grad is not None
    assert math.isclose(one.grad.item(), -other.grad.item())
