"""The consistency loss and its weight (eq. 3), as pure functions of logits."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def kl_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of the student from the teacher, per node (eq. 3).

    p(log p - log q) + (1 - p)(log(1 - p) - log(1 - q)), computed in float32 from logits so that
    it is finite for every logit. The teacher gets no gradient.

    Args:
        teacher: Fused logits of the teacher, shape (node,).
        student: Fused logits of the student, same shape.

    Returns:
        Divergence of each node, same shape, never negative.
    """
    t, s = teacher.detach().float(), student.float()
    p = torch.sigmoid(t)
    yes = functional.logsigmoid(t) - functional.logsigmoid(s)
    no = functional.logsigmoid(-t) - functional.logsigmoid(-s)
    return p * yes + (1 - p) * no


def mse_loss(one: Tensor, other: Tensor) -> Tensor:
    """Return the squared difference of two probabilities, per node; both may have gradients.

    This equals the mean squared difference of the two softmax outputs (Laine and Aila 2017).

    Args:
        one: Probabilities, shape (node,).
        other: Probabilities, same shape.
    """
    return (one.float() - other.float()).square()


def ramp(epoch: int, w_max: float, length: float) -> float:
    """Return the weight w(k) of eq. 3.

    It rises as w_max exp(-5 (1 - k/T)^2) and is w_max from epoch T on (Tarvainen and Valpola
    2017).

    Args:
        epoch: k, counted from 0.
        w_max: Weight after the ramp-up.
        length: T, the length of the ramp-up in epochs; 0 means no ramp-up.
    """
    if epoch >= length:
        return w_max
    return w_max * math.exp(-5 * (1 - epoch / length) ** 2)
