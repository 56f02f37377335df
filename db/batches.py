"""Long lists in short pieces: a statement has a limited number of parameters."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_PARAMETERS = 10_000
"""SQLite allows 32,766, PostgreSQL 65,535."""


def batches(values: Sequence[T]) -> list[Sequence[T]]:
    """Cut a list into pieces that fit one statement; none of an empty list."""
    return [values[i : i + MAX_PARAMETERS] for i in range(0, len(values), MAX_PARAMETERS)]
