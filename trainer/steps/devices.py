"""Choice of the device to train on: the CPU, or the GPU of this process."""

import torch
from torch import device as Device

from trainer.errors import TrainerError
from trainer.steps.distributed import Ranks

__all__ = ["Device", "choose"]


def choose(wanted: str, ranks: Ranks) -> Device:
    """Return the device that the user asked for; `auto` takes a GPU if there is one.

    Raises:
        TrainerError: T48 this machine has no such device.
    """
    usable = torch.cuda.is_available()
    if wanted not in ("auto", "cpu", "cuda") or (wanted == "cuda" and not usable):
        raise TrainerError(
            "T48",
            f"device '{wanted}' and {'a' if usable else 'no'} usable GPU",
            "auto, cpu or, with a GPU, cuda",
            "Use --device cpu, or see `lnscore doctor`.",
        )
    if wanted == "cpu" or not usable:
        return torch.device("cpu")
    return torch.device("cuda", ranks.local)
