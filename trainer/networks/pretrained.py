"""Backbone weights from a local file; nothing is ever downloaded, nothing unpickled."""

import hashlib
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from trainer.errors import TrainerError
from trainer.networks.two_stream import Stream, TwoStream


def load_backbones(network: TwoStream, file: Path, sha256: str) -> None:
    """Give every stream's backbone the same pretrained weights.

    Args:
        network: The network, changed in place.
        file: Safetensors of a torchvision MobileNetV3 of the network's variant (its
            classifier is not used).
        sha256: What the file's bytes must hash to.

    Raises:
        TrainerError: T03 the file is missing, other, no safetensors, or of another network.
    """
    weights = _read(file, sha256)
    streams = [network.global_stream]
    if network.config.two_stream:
        streams.append(network.local_stream)
    for stream in streams:
        _fill(stream, weights, file.name)


def _read(file: Path, sha256: str) -> dict[str, Tensor]:
    fix = "Save torchvision's state dict with safetensors.torch.save_file and name its hash."
    if not file.is_file():
        raise TrainerError("T03", f"no file '{file.name}'", "pretrained weights", fix)
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
        raise TrainerError("T03", f"'{file.name}' with SHA-256 {found}", sha256.lower(), fix)
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise TrainerError("T03", f"'{file.name}': {error}", "a safetensors file", fix) from error


def _fill(stream: Stream, weights: dict[str, Tensor], name: str) -> None:
    wanted = stream.backbone.state_dict()
    unfit = [
        key
        for key, value in wanted.items()
        if not key.endswith("num_batches_tracked")
        and (key not in weights or weights[key].shape != value.shape)
    ]
    if unfit:
        raise TrainerError(
            "T03",
            f"'{name}' without a fitting {unfit[0]} ({len(unfit)} of {len(wanted)} do not fit)",
            "weights of the network's own MobileNetV3 variant",
            "Choose the other variant or another file.",
        )
    kept = {key: weights[key] for key in wanted if key in weights}
    stream.backbone.load_state_dict(kept, strict=False)
