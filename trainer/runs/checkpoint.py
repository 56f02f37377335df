"""Checkpoints: weights and optimiser state as safetensors, written whole or not at all."""

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
    """Write tensors and a JSON document beside them in one file.

    A reader never sees half a file: it is written under another name, synced, renamed.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    data = safetensors.torch.save(plain, metadata={"facts": json.dumps(facts, sort_keys=True)})
    put(file, data)


def load(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Raises:
        TrainerError: T09 it is not one.
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
    """Parameters and buffers of a network."""
    return {WEIGHTS + name: value for name, value in network.state_dict().items()}


def optimizer_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers of every parameter, under the parameter's name."""
    return {
        f"{OPTIMIZER}{name}/{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def restore(
    tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Put back what `weights_of` and `optimizer_of` took."""
    network.load_state_dict(under(tensors, WEIGHTS))
    if optimizer is not None:
        restore_optimizer(tensors, network, optimizer)


def restore_optimizer(
    tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put back what `optimizer_of` took."""
    remembered = under(tensors, OPTIMIZER)
    for name, parameter in network.named_parameters():
        mine = {key: value for key, value in remembered.items() if key.rsplit("/", 1)[0] == name}
        state = {key.rsplit("/", 1)[1]: _placed(value, parameter) for key, value in mine.items()}
        if state:
            optimizer.state[parameter] = state


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    """A step count stays on the CPU, where torch keeps it; moments go to their parameter."""
    if value.ndim == 0:
        return value
    return value.to(parameter.device).to(memory_format=_format_of(parameter))


def _format_of(parameter: Tensor) -> torch.memory_format:
    four = parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if four else torch.contiguous_format
