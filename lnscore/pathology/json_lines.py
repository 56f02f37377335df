"""Reads JSON Lines: each line is one canonical row, by the published schema.

`lnscore/data/pathology.schema.json` is the JSON Schema of one line; it is made from `FindingLine`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from db.records import Neoadjuvant
from lnscore.pathology.rows import FIELDS, MANDATORY, SourceRow
from lnscore.tables.cells import shown
from lnscore.tables.messages import Message

LONGEST_LINE = 1_000_000

Written = str | int
"""Type of ids and codes: a station 7 and a station "7" are the same."""


class FindingLine(BaseModel):
    """One finding of one report, as one line of JSON."""

    model_config = ConfigDict(extra="ignore", title="Pathology row")

    patient_key: Written = Field(description="The patient's id, or the id of a key file.")
    report_id: Written = Field(description="The report's number; one report may have many rows.")
    report_date: str = Field(description="Date of the report, YYYY-MM-DD.")
    surgery_date: str | None = Field(None, description="Date of the surgery, YYYY-MM-DD.")
    station_system: str = Field(description="AJCC8, AJCC7, IASLC, JES11, JES12, CHN, NECK, ...")
    station: Written = Field(description="Code or alias; + joins stations of one specimen.")
    n_examined: int | str | None = Field(None, description="Nodes examined.")
    n_positive: int | str | None = Field(None, description="Number of these with metastasis.")
    status: Literal["positive", "negative", "not_sampled", "indeterminate"] | None = Field(
        None, description="Derived from the counts where absent."
    )
    neoadjuvant: Neoadjuvant | None = Field(
        None, description="Therapy before the surgery; unknown where absent."
    )
    source_row: Written | None = Field(None, description="Where the sender had it; not stored.")


def schema() -> dict[str, Any]:
    """Return the published JSON Schema of one line."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return head | FindingLine.model_json_schema()


def read_json_lines(path: Path) -> Iterator[SourceRow | Message]:
    """Read one row from each line; skip blank lines.

    Yields:
        Unchecked rows. P14 for a line that is not a JSON object of plain values, P15 once if
        no line has a mandatory member, P17 once for each member that is not used.
    """
    named: set[str] = set()
    count = 0
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) > LONGEST_LINE:
                yield _unusable(f"a line of more than {LONGEST_LINE} characters", number)
                return
            if line.strip():
                count += 1
                yield from _line(line, number, named)
    missing = [name for name in MANDATORY if name not in named]
    if not count or (missing and named):
        found = f"no line has {', '.join(missing)}" if count else "the file is empty"
        yield Message("P15" if count else "P14", "E", found)


def _line(line: bytes, number: int, named: set[str]) -> Iterator[SourceRow | Message]:
    try:
        members = json.loads(
            line.decode("utf-8"), object_pairs_hook=_once, parse_float=str, parse_constant=str
        )
    except UnicodeDecodeError:
        yield _unusable("the line is not UTF-8", number)
        return
    except RecursionError:
        yield _unusable("the line is nested too deeply", number)
        return
    except ValueError as error:
        yield _unusable(f"the line is not JSON ({error})", number)
        return
    if not isinstance(members, dict):
        yield _unusable("the line is not a JSON object", number)
        return
    for name in members.keys() - FIELDS - named:
        yield Message("P17", "W", "the member is not used", number, shown(name).strip("'"))
    named |= members.keys()
    values = {name: members[name] for name in FIELDS if name in members}
    for name, value in values.items():
        if isinstance(value, bool | dict | list):
            yield Message("P14", "E", "wanted a text or a number", number, name)
            return
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    yield SourceRow(texts, number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _unusable(found: str, row: int) -> Message:
    return Message("P14", "E", f"{found}; wanted one JSON object a line", row)
