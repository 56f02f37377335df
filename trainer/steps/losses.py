"""Losses against labels and pseudo-labels: pure functions of logits."""

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


def sharpening_loss(logits: Logits, label: Tensor, selected: Tensor, count: float) -> Tensor:
    """Eq. 1 against pseudo-labels, over the nodes that have one (third term of eq. 3).

    The three heads as for the labelled (ours: the paper writes one symbol), so that omega
    weighs like with like.

    Args:
        logits: Of the unlabelled nodes, shape (node,) each.
        label: 0 or 1 where selected, shape (node,), float.
        selected: 1 where the node has a pseudo-label this epoch, else 0; same shape, float.
        count: Selected nodes to average over, of several processes their mean; none gives 0.

    Returns:
        Scalar, float32.
    """
    terms = [
        functional.binary_cross_entropy_with_logits(head.float(), label, selected, reduction="sum")
        for head in logits
        if head is not None
    ]
    return torch.stack(terms).sum() / (count or 1.0)
