"""What watches over the steps of any stage: the loss, the precision, the memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from trainer.errors import TrainerError

Autocast = Callable[[], torch.autocast]


CHECK_EVERY = 20  # steps between two looks at the loss: each look waits for the device


Watch = Callable[[int, int, str], None]
"""Told of every step: (done, total, a few words)."""


def autocast_of(device: torch.device, precision: str) -> torch.autocast:
    """bf16 where asked for, or on a GPU by `auto`; weights and losses stay float32."""
    wanted = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def check_loss(total: float, learning_rate: float) -> None:
    """Stop where the loss is no number any more.

    Raises:
        TrainerError: T12.
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
    """Turn the device's error into ours.

    Raises:
        TrainerError: T13.
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
