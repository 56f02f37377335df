"""Column types that mean the same on SQLite and on PostgreSQL."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import REAL, Double, Text, TypeDecorator
from sqlalchemy.engine import Dialect


class UtcTime(TypeDecorator[datetime]):
    """A UTC instant as ISO 8601 text: sorts as text, the same on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Refuse a naive time: a clock change must not reorder runs."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime; wanted one with a time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Text back to an aware datetime."""
        return None if value is None else datetime.fromisoformat(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text with sorted keys (STRICT tables have no JSON type)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401
        """Serialise; NaN is refused, JSON has none."""
        return None if value is None else json.dumps(value, sort_keys=True, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Parse."""
        return None if value is None else json.loads(value)


class CleanText(TypeDecorator[str]):
    """Text that both databases can hold.

    File names and headers of hostile input carry NUL and lone surrogates; one such path must
    cost one row, not the run.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write NUL as U+FFFD and a lone surrogate as its escape."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "backslashreplace").decode("utf-8")


class Finite(TypeDecorator[float]):
    """A finite number in 8 bytes: SQLite would store NaN as null, PostgreSQL as a value."""

    impl = Double().with_variant(REAL(), "sqlite")  # REAL: 8 bytes on SQLite, 4 on PostgreSQL
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """Refuse NaN and infinity; numpy's scalars become plain numbers."""
        if value is None:
            return None
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be stored; wanted a finite number")
        return float(value)
