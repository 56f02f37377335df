"""Cut long lists into pieces, because a statement has a limited number of parameters."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_PARAMETERS = 10_000
"""Largest number of values in one piece; SQLite allows 32,766 parameters, PostgreSQL 65,535."""


def batches(values: Sequence[T]) -> list[Sequence[T]]:
    """Cut a list into pieces that fit one statement; an empty list gives no piece."""
    return [values[i : i + MAX_PARAMETERS] for i in range(0, len(values), MAX_PARAMETERS)]
