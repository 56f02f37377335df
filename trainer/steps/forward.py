"""The outputs of a network in evaluation mode, without augmentation, in batches of fixed size."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from engines.patch import CROP
from trainer.data.cohort import Cohort
from trainer.networks.two_stream import Logits

EVALUATION_BATCH = 128


@torch.no_grad()
def logits_of(
    network: nn.Module,
    cohort: Cohort,
    index: np.ndarray,
    device: torch.device,
    autocast: Callable[[], torch.autocast],
) -> np.ndarray:
    """Compute the logits of some nodes.

    Args:
        network: The network; it is left in evaluation mode.
        cohort: Patches, and masks if the network needs them.
        index: Indices of the nodes in the cohort.
        device: Device of the network.
        autocast: Function that returns the precision context of the forward pass.

    Returns:
        Logits, float32, shape (node, 3): fused, local, global; nan for a head that does not exist.
    """
    network.eval()
    parts = [
        _heads(forward(network, *batch_of(cohort, part, device), autocast))
        for part in np.array_split(index, max(1, -(-len(index) // EVALUATION_BATCH)))
    ]
    return torch.cat(parts).cpu().numpy()


def batch_of(
    cohort: Cohort, index: np.ndarray, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Return the centred crops of some nodes and of their masks (0 to 1), float32."""
    places = torch.from_numpy(index).to(cohort.patches.device)
    hu = cohort.patches[places][CROP].to(device).float()
    if cohort.masks is None:
        return hu, None
    return hu, cohort.masks[places][CROP].to(device).float() / 255


def forward(
    network: nn.Module, hu: Tensor, mask: Tensor | None, autocast: Callable[[], torch.autocast]
) -> Logits:
    """Run one forward pass and return its logits in float32."""
    with autocast():
        logits = network(hu) if mask is None else network(hu, mask)
    local = None if logits.local is None else logits.local.float()
    global_ = None if logits.global_ is None else logits.global_.float()
    return Logits(logits.fused.float(), local, global_)


def _heads(logits: Logits) -> Tensor:
    nothing = torch.full_like(logits.fused, torch.nan)
    return torch.stack([nothing if head is None else head for head in logits], dim=1)
