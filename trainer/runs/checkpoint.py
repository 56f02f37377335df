"""Checkpoints: weights and optimiser state as safetensors files, each written as a whole."""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ground.whole_files import put
from trainer.errors import TrainerError

WEIGHTS, OPTIMIZER = "weights/", "optimizer/"


def save(file: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and a JSON document into one file.

    A reader never sees a part of a file: it is written under another name, synced and renamed.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    data = safetensors.torch.save(plain, metadata={"facts": json.dumps(facts, sort_keys=True)})
    put(file, data)


def load(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Raises:
        TrainerError: T09 the file is not a checkpoint.
    """
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            facts = json.loads((opened.metadata() or {})["facts"])
            return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainerError(
            "T09",
            f"'{file.name}' cannot be read as a checkpoint ({type(error).__name__})",
            "a checkpoint that lnscore wrote",
            "Restore the file, or start the run again under another name.",
        ) from error


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a network, by prefixed name."""
    return {WEIGHTS + name: value for name, value in network.state_dict().items()}


def optimizer_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state of every parameter, under the name of the parameter."""
    return {
        f"{OPTIMIZER}{name}/{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def restore(
    tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Restore what `weights_of` and `optimizer_of` returned."""
    network.load_state_dict(under(tensors, WEIGHTS))
    if optimizer is not None:
        restore_optimizer(tensors, network, optimizer)


def restore_optimizer(
    tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Restore what `optimizer_of` returned."""
    remembered = under(tensors, OPTIMIZER)
    for name, parameter in network.named_parameters():
        mine = {key: value for key, value in remembered.items() if key.rsplit("/", 1)[0] == name}
        state = {key.rsplit("/", 1)[1]: _placed(value, parameter) for key, value in mine.items()}
        if state:
            optimizer.state[parameter] = state


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name begins with a prefix, and remove the prefix."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    """Move an optimiser tensor to its parameter's device; torch keeps step counts on the CPU."""
    if value.ndim == 0:
        return value
    return value.to(parameter.device).to(memory_format=_format_of(parameter))


def _format_of(parameter: Tensor) -> torch.memory_format:
    four = parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if four else torch.contiguous_format
