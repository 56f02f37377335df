"""The body: a network without its heads. Pretraining makes it; a later stage starts from it."""

import hashlib
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from ground.whole_files import put
from trainer.errors import TrainerError

HEADS = ("fused_head", "local_head", "global_head")


def swap_heads(network: nn.Module, outputs: int) -> None:
    """Replace the last layer of every head by one with `outputs` outputs; keep the dropout."""
    for name in HEADS:
        if (head := getattr(network, name, None)) is not None:
            head[-1] = nn.Linear(head[-1].in_features, outputs)


def body_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers outside the heads."""
    return {
        name: value.detach().cpu().contiguous()
        for name, value in network.state_dict().items()
        if name.split(".")[0] not in HEADS
    }


def save_body(network: nn.Module, file: Path) -> str:
    """Write the body of a network to a safetensors file.

    Returns:
        SHA-256 of the file.
    """
    data = safetensors.torch.save(body_weights(network), metadata={"lnscore": "body"})
    put(file, data)
    return hashlib.sha256(data).hexdigest()


def is_body(file: Path) -> bool:
    """Tell whether `save_body` wrote a safetensors file; the caller has checked the file's hash."""
    with safetensors.safe_open(file, framework="pt") as opened:
        return (opened.metadata() or {}).get("lnscore") == "body"


def load_body(network: nn.Module, weights: dict[str, Tensor], name: str) -> frozenset[str]:
    """Load a pretrained body into a network.

    Args:
        network: The network; it is changed in place.
        weights: Tensors that `save_body` wrote, by name.
        name: Name of the file, for the error message.

    Returns:
        Names of the parameters that were not loaded: those of the heads.

    Raises:
        TrainerError: T03 the body belongs to another network; nothing was changed.
    """
    wanted = body_weights(network)
    unfit = [
        key
        for key, value in wanted.items()
        if key not in weights or weights[key].shape != value.shape
    ]
    if unfit or weights.keys() - wanted.keys():
        raise TrainerError(
            "T03",
            f"'{name}' has no fitting {(unfit or ['set of layers'])[0]}",
            "weights of the same network and the same knobs",
            "Pretrain this network, or train the one that the file was made for.",
        )
    network.load_state_dict(weights, strict=False)
    return heads_of(network)


def heads_of(network: nn.Module) -> frozenset[str]:
    """Return the names of the parameters of the heads."""
    return frozenset(key for key, _ in network.named_parameters() if key.split(".")[0] in HEADS)
