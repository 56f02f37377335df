"""The computational cost of a network: parameters, and multiplications for one node.

Only convolutions and linear layers are counted, as is usual in papers. Normalisation, pooling,
activations and the products inside an attention are not counted.
"""

# ruff: noqa: TID253

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.patch import SPEC

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True)
class Cost:
    """Cost of the forward pass of one node in evaluation mode.

    Attributes:
        parameters: Number of parameters of the network.
        macs: Number of multiplications, each with one addition.
    """

    parameters: int
    macs: int

    @property
    def flops(self) -> int:
        """Number of operations: a multiplication and its addition count as two."""
        return 2 * self.macs


def cost(network: nn.Module) -> Cost:
    """Count the cost of the forward pass of one node.

    It runs on the device of the weights; on the device `meta` nothing is really computed.

    Args:
        network: A network that takes HU of shape (node, 16, 64, 64), and the mask if it needs one.
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
