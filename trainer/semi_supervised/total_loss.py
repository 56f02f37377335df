"""The total loss of the semi-supervised stage (eq. 3), as a pure function of its terms."""

from typing import TypeVar

from torch import Tensor

Term = TypeVar("Term", Tensor, float)


def total_loss(supervised: Term, unsupervised: Term, sharpened: Term, omega: float) -> Term:
    """Sum the terms: supervised + unsupervised + omega * sharpened (eq. 3).

    Li et al., MICCAI 2024, Sec. 2.2.

    Args:
        supervised: Loss of the labelled nodes (eq. 1), a scalar.
        unsupervised: Loss of the method, with its weight w(k), a scalar; for PGLS the consistency
            of student and teacher.
        sharpened: Loss of the nodes with a pseudo-label, a scalar.
        omega: Weight of the pseudo-labels.
    """
    return supervised + unsupervised + omega * sharpened
