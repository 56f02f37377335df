"""The consistency term and its weight (eq. 3): pure functions of logits."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def kl_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the student from the teacher, per node (eq. 3).

    p(log p - log q) + (1 - p)(log(1 - p) - log(1 - q)), in float32 from logits: finite at any
    logit. No gradient reaches the teacher.

    Args:
        teacher: Fused logits, shape (node,).
        student: Fused logits, same shape.

    Returns:
        Same shape, at least 0.
    """
    t, s = teacher.detach().float(), student.float()
    p = torch.sigmoid(t)
    yes = functional.logsigmoid(t) - functional.logsigmoid(s)
    no = functional.logsigmoid(-t) - functional.logsigmoid(-s)
    return p * yes + (1 - p) * no


def mse_loss(one: Tensor, other: Tensor) -> Tensor:
    """Squared difference of two probabilities, per node; both may have gradients.

    Equal to the mean over two classes of a softmax's squared difference (Laine and Aila 2017).

    Args:
        one: Probabilities, shape (node,).
        other: Same shape.
    """
    return (one.float() - other.float()).square()


def ramp(epoch: int, w_max: float, length: float) -> float:
    """w(k) of eq. 3: w_max exp(-5 (1 - k/T)^2), then w_max (Tarvainen and Valpola 2017).

    Args:
        epoch: k, from 0.
        w_max: The weight after the ramp.
        length: T in epochs; 0 has no ramp.
    """
    if epoch >= length:
        return w_max
    return w_max * math.exp(-5 * (1 - epoch / length) ** 2)
