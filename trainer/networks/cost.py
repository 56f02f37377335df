"""What a network costs: parameters, and multiplications of one node.

Convolutions and linear layers are counted, as papers do; normalisation, pooling, activations
and the products inside an attention are not.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.patch import SPEC

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True)
class Cost:
    """Of one node's forward pass in evaluation mode."""

    parameters: int
    macs: int

    @property
    def flops(self) -> int:
        """A multiplication and its addition are two operations."""
        return 2 * self.macs


def cost(network: nn.Module) -> Cost:
    """Count one node's forward pass, on the device of the weights (`meta` computes nothing).

    Args:
        network: Takes HU of shape (node, 16, 64, 64), and the outline if it needs one.
    """
    counts: list[int] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        weight = module.get_parameter("weight")
        counts.append(out.numel() * weight[0].numel())

    layers = [module for module in network.modules() if isinstance(module, COUNTED)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training = network.training
    device = next(network.parameters()).device
    node = torch.ones(1, *SPEC.crop_vox, device=device)
    try:
        with torch.inference_mode():
            network.eval()(*([node] * (2 if network.needs_mask else 1)))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return Cost(sum(p.numel() for p in network.parameters()), sum(counts))
