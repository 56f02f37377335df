"""Losses of logits against labels and pseudo-labels, without side effects."""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.networks.two_stream import Logits


def sup_loss(logits: Logits, target: Tensor) -> Tensor:
    """Sum the binary cross-entropy of the three heads (eq. 1), all weights 1.

    Li et al., MICCAI 2024, Sec. 2.1. For a network with one head the sum has one term.

    Args:
        logits: Fused, local and global logits, shape (node,) each.
        target: Labels 0 or 1, shape (node,), float.

    Returns:
        Scalar, mean over nodes, computed in float32 whatever the precision of the logits.
    """
    terms = [
        functional.binary_cross_entropy_with_logits(head.float(), target)
        for head in logits
        if head is not None
    ]
    return torch.stack(terms).sum()


def sharpening_loss(logits: Logits, label: Tensor, selected: Tensor, count: float) -> Tensor:
    """Compute the loss of eq. 1 for the nodes with a pseudo-label (third term of eq. 3).

    The three heads are summed as for labelled nodes (ours: the paper has one symbol), so that
    omega weights two losses of the same kind.

    Args:
        logits: Logits of the unlabelled nodes, shape (node,) each.
        label: Pseudo-labels 0 or 1 of the selected nodes, shape (node,), float.
        selected: 1 where the node has a pseudo-label this epoch, else 0; same shape, float.
        count: Number of selected nodes to average over (with several processes, the mean of their
            numbers). If it is 0, the loss is 0.

    Returns:
        Scalar, float32.
    """
    terms = [
        functional.binary_cross_entropy_with_logits(head.float(), label, selected, reduction="sum")
        for head in logits
        if head is not None
    ]
    return torch.stack(terms).sum() / (count or 1.0)
