"""The [train] extra: whether it is installed, said before anything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lnscore.errors import Refusal

if TYPE_CHECKING:
    pass


EXTRA = frozenset(
    {
        "monai",
        "onnxscript",
        "safetensors",
        "sklearn",
        "tensorboard",
        "timm",
        "torch",
        "torchvision",
    }
)
"""What only the [train] extra brings."""


@contextmanager
def train_extra() -> Iterator[None]:
    """Say how to get what an import inside this block lacks.

    Raises:
        Refusal: T29.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        raise Refusal(
            "T29",
            f"{package} is not installed",
            "the libraries of the trainer",
            "Install them with: pip install 'lnscore[train]'",
        ) from error
