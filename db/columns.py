"""Column types that mean the same on SQLite and on PostgreSQL."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import REAL, Double, Text, TypeDecorator
from sqlalchemy.engine import Dialect


class UtcTime(TypeDecorator[datetime]):
    """A UTC time stored as ISO 8601 text, which sorts the same way on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Convert to text; refuse a time without a zone: a clock change could reorder runs."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime; wanted one with a time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Convert text to a datetime with a time zone."""
        return None if value is None else datetime.fromisoformat(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value stored as text with sorted keys (STRICT tables have no JSON type)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401
        """Convert to JSON text; refuse NaN, which JSON does not have."""
        return None if value is None else json.dumps(value, sort_keys=True, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Parse the JSON text."""
        return None if value is None else json.loads(value)


class CleanText(TypeDecorator[str]):
    """Text that both databases can hold.

    File names and headers can hold NUL and lone surrogates, by accident or on purpose. One such
    path may spoil one row, but must not stop the run.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write NUL as U+FFFD and a lone surrogate as its escape."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "backslashreplace").decode("utf-8")


class Finite(TypeDecorator[float]):
    """A finite 8-byte number; NaN is refused: SQLite would store it as null, PostgreSQL as NaN."""

    impl = Double().with_variant(REAL(), "sqlite")  # REAL: 8 bytes on SQLite, 4 on PostgreSQL
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """Convert to a Python float; refuse NaN and infinity."""
        if value is None:
            return None
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be stored; wanted a finite number")
        return float(value)
