"""Losses of the supervised stage: pure functions of logits; nothing else is known here."""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.networks.two_stream import Logits


def sup_loss(logits: Logits, target: Tensor) -> Tensor:
    """Sum the binary cross-entropy of the three heads (eq. 1), all weights 1.

    Li et al., MICCAI 2024, Sec. 2.1. A network with one head has its one term.

    Args:
        logits: Fused, local and global logits, shape (node,) each.
        target: 0 or 1, shape (node,), float.

    Returns:
        Scalar, mean over nodes; computed in float32 whatever the logits' precision.
    """
    terms = [
        functional.binary_cross_entropy_with_logits(head.float(), target)
        for head in logits
        if head is not None
    ]
    return torch.stack(terms).sum()
