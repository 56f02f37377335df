"""The teacher is the average that eq. 2 says, of parameters and buffers."""

# ruff: noqa: TID253

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fake_training import TINY
from trainer.networks.registry import build
from trainer.semi_supervised.teacher import alpha_at, make_teacher, update_teacher


def linear(value: float) -> nn.Linear:
    unit = nn.Linear(1, 1, bias=False)
    nn.init.constant_(unit.weight, value)
    return unit


@pytest.mark.parametrize(
    ("steps", "wanted"), [(1, 0.001), (10, 0.009955), (693, 0.500100), (1000, 0.632305)]
)
def test_a_teacher_at_0_follows_a_student_at_1(steps: int, wanted: float) -> None:
    teacher, student = make_teacher(linear(0.0)), linear(1.0)
    for _ in range(steps):
        update_teacher(teacher, student, 0.999)
    assert teacher.weight.item() == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize(
    ("steps", "wanted"), [(1, 0.5), (9, 0.9), (998, 0.998999), (1000, 0.999001)]
)
def test_warmed_up_it_is_the_mean_of_the_first_students(steps: int, wanted: float) -> None:
    value = 0.0
    for step in range(steps):
        alpha = alpha_at(step, 0.999, warmup=True)
        value = alpha * value + 1 - alpha
    assert value == pytest.approx(wanted, abs=5e-7)


def test_without_warm_up_alpha_is_constant() -> None:
    assert {alpha_at(step, 0.999, warmup=False) for step in (0, 5, 5000)} == {0.999}


def test_torchs_own_average_agrees_once_its_first_copy_is_prevented() -> None:
    torch.manual_seed(0)
    network = build(TINY)
    teacher = make_teacher(network)
    other = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    other.n_averaged.fill_(1)
    for _ in range(3):
        with torch.no_grad():
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():
                    tensor.add_(0.1)
        update_teacher(teacher, network, 0.999)
        other.update_parameters(network)
    wanted = other.module.state_dict()
    for name, mine in teacher.state_dict().items():
        if mine.is_floating_point():
            assert torch.allclose(mine, wanted[name], atol=1e-6), name


def test_torchs_average_as_shipped_begins_by_copying_the_student() -> None:
    shipped = AveragedModel(linear(0.0), multi_avg_fn=get_ema_multi_avg_fn(0.999))
    mended = AveragedModel(linear(0.0), multi_avg_fn=get_ema_multi_avg_fn(0.999))
    mended.n_averaged.fill_(1)
    for average in (shipped, mended):
        average.update_parameters(linear(1.0))
    assert shipped.module.weight.item() == 1.0
    assert mended.module.weight.item() == pytest.approx(0.001)


def test_running_statistics_are_averaged_and_counts_copied() -> None:
    student = nn.BatchNorm1d(2)
    teacher = make_teacher(student)
    student.running_mean.fill_(10.0)
    student.num_batches_tracked.fill_(7)
    update_teacher(teacher, student, 0.9)
    assert torch.allclose(teacher.running_mean, torch.ones(2))
    assert teacher.num_batches_tracked.item() == 7


def test_a_teacher_is_in_evaluation_mode_and_takes_no_gradient() -> None:
    student = build(TINY).train()
    teacher = make_teacher(student)
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert student.training
