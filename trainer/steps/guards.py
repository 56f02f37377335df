"""Helpers for the steps of any stage: progress, precision, and checks of loss and memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from trainer.errors import TrainerError

Autocast = Callable[[], torch.autocast]


CHECK_EVERY = 20  # steps between two checks of the loss: each check waits for the device


Watch = Callable[[int, int, str], None]
"""Function called after every step with (steps done, steps in total, a short note)."""


def autocast_of(device: torch.device, precision: str) -> torch.autocast:
    """Return the precision context: bf16 for `bf16`, and on a GPU for `auto`; else float32.

    Weights and losses are always float32.
    """
    wanted = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def check_loss(total: float, learning_rate: float) -> None:
    """Stop if the loss is not a finite number.

    Args:
        total: Loss, or a sum of losses.
        learning_rate: Peak learning rate, for the error message.

    Raises:
        TrainerError: T12 the loss is not finite.
    """
    if not np.isfinite(total):
        raise TrainerError(
            "T12",
            f"a loss of {total}",
            "a finite loss",
            f"Lower the learning rate (now {learning_rate:g}) or use --precision fp32; "
            "the last finished epoch is kept, --resume goes on from it.",
        )


@contextmanager
def out_of_memory(batch: int) -> Iterator[None]:
    """Replace the device's out-of-memory error by a `TrainerError`.

    Args:
        batch: Nodes of a batch, for the error message.

    Raises:
        TrainerError: T13 the device ran out of memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainerError(
            "T13",
            f"the device ran out of memory at a batch of {batch}",
            "a batch that fits",
            "Use a smaller --batch (scale the learning rate with it), a smaller network, or "
            "--precision bf16; the last finished epoch is kept.",
        ) from error
