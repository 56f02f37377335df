"""Live curves of a training in TensorBoard, if it is installed, beside the JSONL log."""

from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

NO_CURVE = ("epoch", "seconds")


class Tracker:
    """Writer of the numbers of log lines to TensorBoard."""

    def __init__(self, place: Path, *, writes: bool) -> None:
        """Open the curves of a fold; only the first process writes."""
        self._writer: Any = None
        if writes and find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(place / "tensorboard"))

    def add(self, line: dict[str, Any]) -> None:
        """Write the numbers of one epoch."""
        if self._writer is None:
            return
        for name in sorted(line.keys() - set(NO_CURVE)):
            self._writer.add_scalar(name, line[name], line["epoch"])

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
