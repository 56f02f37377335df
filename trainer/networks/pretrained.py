"""Pretrained weights of backbones, read from a file or got from torchvision or timm.

The source of the weights is a short text that manifests and tables record: `none`,
`file:<sha256>`, `torchvision:<weights>` or `timm:<name>`. Only the last two may download, and
only if the user named them. This module itself never unpickles a file.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from trainer.errors import TrainerError

NONE = "none"


def load_source(network: nn.Module, source: str) -> str:
    """Load the weights of a library into every backbone; `none` loads nothing.

    Args:
        network: The network, changed in place.
        source: `none`, `torchvision:<weights>` such as
            `torchvision:MobileNet_V3_Large_Weights.IMAGENET1K_V2`, or `timm:<name>` such as
            `timm:mobilevitv2_100.cvnets_in1k` (under Apple's licence).

    Returns:
        The source.

    Raises:
        TrainerError: T43 there are no such weights, or they cannot be downloaded; T03 they are of
            another network.
    """
    library, _, name = source.partition(":")
    if source == NONE:
        return source
    if library not in LIBRARIES or not name:
        raise _unavailable(source, "none, torchvision:<weights> or timm:<name>")
    try:
        weights = LIBRARIES[library](name)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise _unavailable(f"{source}: {error}", "weights in the cache or a connection") from error
    fill_backbones(network, weights, source)
    return source


def backbones(network: nn.Module) -> dict[str, nn.Module]:
    """Return the parts called `backbone`, by their place in the network."""
    return {
        name: part for name, part in network.named_modules() if name.split(".")[-1] == "backbone"
    }


def _torchvision(name: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_weight

    return get_weight(name).get_state_dict(progress=False, check_hash=True)


def _timm(name: str) -> Mapping[str, Tensor]:
    import timm

    return timm.create_model(name, pretrained=True).state_dict()


LIBRARIES = {"torchvision": _torchvision, "timm": _timm}


def _unavailable(found: str, wanted: str) -> TrainerError:
    fix = "Save the weights as safetensors where there is a connection and name the file."
    return TrainerError("T43", f"pretrained weights {found}", wanted, fix)


def read_weights(file: Path, sha256: str) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, after a check of its SHA-256.

    Raises:
        TrainerError: T03 the file is missing, has another hash, or is no safetensors file.
    """
    fix = "Save the model's state dict with safetensors.torch.save_file and name its hash."
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


def fill_backbones(network: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Load weights into all backbones or, if one does not fit, into none.

    Args:
        network: The network, changed in place.
        weights: Tensors, named as inside a backbone or as in the whole network.
        name: Name of the weights, for the error message.

    Raises:
        TrainerError: T03 a weight is missing or has another shape.
    """
    fitting = [
        (backbone, _of_place(weights, place, backbone, name))
        for place, backbone in backbones(network).items()
    ]
    for backbone, kept in fitting:
        backbone.load_state_dict(kept, strict=False)


def _of_place(
    weights: Mapping[str, Tensor], place: str, backbone: nn.Module, name: str
) -> dict[str, Tensor]:
    own = {k.removeprefix(f"{place}."): v for k, v in weights.items() if k.startswith(f"{place}.")}
    given = own or weights
    wanted = backbone.state_dict()
    unfit = [
        key
        for key, value in wanted.items()
        if not key.endswith("num_batches_tracked")
        and (key not in given or given[key].shape != value.shape)
    ]
    if unfit:
        raise TrainerError(
            "T03",
            f"{name} has no fitting {unfit[0]} ({len(unfit)} of {len(wanted)} weights do not fit)",
            "weights of the network's own backbone",
            "Choose the other variant or another file.",
        )
    return {key: given[key] for key in wanted if key in given}
