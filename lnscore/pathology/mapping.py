"""The mapping file: says which column of a site's table is which field of a canonical row."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from lnscore.errors import Refusal

MOST_BYTES = 1_000_000

DATE_FORMATS = {
    "iso": "%Y-%m-%d",
    "day/month/year": "%d/%m/%Y",
    "month/day/year": "%m/%d/%Y",
    "year/month/day": "%Y/%m/%d",
}
"""Patterns of date formats, by name.

`-`, `.` and blanks are accepted in place of `/`. A mapping may also give a pattern with `%`.
"""

Text = Annotated[str, Field(min_length=1)]
Status = Literal["positive", "negative", "not_sampled", "indeterminate", "skip"]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


class MappingPart(BaseModel):
    """Base of all parts of a mapping: an unknown key is an error, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FieldText(MappingPart):
    """Source of a field's text: a column, a template of columns, or one text for all rows.

    `values` translates words of the table; a word that is not in it stays as it is.
    """

    column: Text | None = None
    template: Text | None = None
    value: Text | None = None
    values: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _plain_text_is_for_all(cls, data: object) -> object:
        return {"value": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _exactly_one(self) -> "FieldText":
        if sum(one is not None for one in (self.column, self.template, self.value)) != 1:
            raise ValueError("wanted exactly one of column, template, value")
        return self


class DateColumn(MappingPart):
    """A column of dates and their format; the order of day and month is stated, never guessed."""

    column: Text
    format: Text

    @field_validator("format")
    @classmethod
    def _known(cls, written: str) -> str:
        if written not in DATE_FORMATS and "%" not in written:
            raise ValueError(f"wanted one of {', '.join(DATE_FORMATS)}, or a pattern as %d.%m.%y")
        return written


class RowCondition(MappingPart):
    """A condition on rows: rows that do not meet it are left out."""

    column: Text
    is_: Texts | None = Field(None, alias="is")
    is_not: Texts | None = None
    filled: bool | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "RowCondition":
        if sum(one is not None for one in (self.is_, self.is_not, self.filled)) != 1:
            raise ValueError("wanted exactly one of is, is_not, filled")
        return self


class StationColumns(MappingPart):
    """Base of columns of one station, or of several taken as one specimen (`105+108`)."""

    station: Text
    side: str = ""


class ExaminedAndPositive(StationColumns):
    """Two columns of one station: number of examined nodes and of positive nodes."""

    total: Text
    positive: Text


class CountColumn(StationColumns):
    """One column of numbers of one station; `holds` says what they count."""

    column: Text
    holds: Literal["positive", "total", "positive/total"]


class CodeColumn(StationColumns):
    """One column of words or marks of one station; `values` gives the status that each means."""

    column: Text
    values: dict[str, Status] = Field(min_length=1)


class LongTable(MappingPart):
    """A table in which each row is one finding."""

    station: FieldText
    joined_by: str = ""
    side: FieldText | None = None
    n_examined: FieldText | None = None
    n_positive: FieldText | None = None
    status: FieldText | None = None


class TumourSide(MappingPart):
    """The column with the side of the tumour, by which ipsi and contra become R or L."""

    column: Text
    right: Texts
    left: Texts


class LeftOut(MappingPart):
    """A finding to leave out, as it is wrong in the table and cannot be corrected there."""

    row: Annotated[int, Field(ge=1)]
    column: Text
    because: Text


class Mapping(MappingPart):
    """A mapping file of version 1."""

    version: Annotated[int, Field(ge=1, le=1)]
    sheet: Text | None = None
    header_rows: Annotated[int, Field(ge=1, le=20)] | None = None
    skip_rows: Annotated[int, Field(ge=0, le=1000)] | None = None
    encoding: Text | None = None
    delimiter: Text | None = None
    rows: tuple[RowCondition, ...] = ()
    patient_key: FieldText
    report_id: FieldText
    report_date: DateColumn
    surgery_date: DateColumn | None = None
    station_system: FieldText
    neoadjuvant: FieldText | None = None
    long: LongTable | None = None
    pairs: tuple[ExaminedAndPositive, ...] = ()
    counts: tuple[CountColumn, ...] = ()
    codes: tuple[CodeColumn, ...] = ()
    zero_means: Literal["zero", "not_sampled", "refuse"] | None = None
    aliases: dict[str, str] = {}
    sides: dict[str, Literal["R", "L", "ipsi", "contra"]] = {}
    tumour_side: TumourSide | None = None
    left_out: tuple[LeftOut, ...] = ()
    ignored: Texts = ()

    @model_validator(mode="after")
    def _whole(self) -> "Mapping":
        if self.patient_key.value or self.report_id.value:
            raise ValueError("patient_key and report_id need a column or a template")
        if not (self.long or self.pairs or self.counts or self.codes):
            raise ValueError("nothing says where the findings are: long, pairs, counts or codes")
        if (self.pairs or self.counts) and self.zero_means is None:
            raise ValueError(
                "zero_means must say what a 0 in pairs and counts is: zero, not_sampled or refuse"
            )
        return self


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        Refusal: P18 with line and key, or F10 if the file is missing.
    """
    if not path.is_file():
        raise Refusal("F10", f"{path} is not there", "a mapping file", "Correct the path")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise _unusable(f"{path.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unusable(f"{path.name} is not UTF-8") from None
    if len(content) > MOST_BYTES:
        raise _unusable(f"{path.name} is larger than {MOST_BYTES // 1000} kB")
    return parse_mapping(text, path.name)


def parse_mapping(text: str, name: str = "the mapping") -> Mapping:
    """Read the text of a mapping file; every value is read as text, also `no` and `1`.

    Raises:
        Refusal: P18 with line and key.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = _plain(root, set())
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _unusable(f"{name}{line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise _unusable(f"{name}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _unusable(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise _unusable(f"{name}, {error}") from None
    try:
        return Mapping.model_validate(data)
    except ValidationError as error:
        problems = [f"{_place(root, one['loc'])}{_reason(one)}" for one in error.errors()]
        raise _unusable(f"{name}, {'; '.join(problems[:5])}") from None


def _plain(node: yaml.Node | None, seen: set[int]) -> object:
    """Turn a YAML tree into dictionaries, lists and texts."""
    if node is None:
        return {}
    if id(node) in seen:  # nested aliases could expand to a billion nodes
        raise ValueError(f"line {node.start_mark.line + 1}: an alias (*) is not understood here")
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(one, seen) for one in node.value]
    found: dict[str, object] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {key.start_mark.line + 1}: a key is not a word")
        if key.value in found:
            raise ValueError(f"line {key.start_mark.line + 1}: {key.value} is there twice")
        found[key.value] = _plain(value, seen)
    return found


def _place(root: yaml.Node | None, location: tuple[int | str, ...]) -> str:
    """Return the place of a value or its nearest parent, as `line 12, key pairs.3.total: `."""
    line, node = 1, root
    for part in location:
        below = _below(node, part)
        if below is None:
            break
        node, line = below
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in location)
    return f"line {line}, key {key}: " if key else f"line {line}: "


def _below(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        for one in node.value[part : part + 1]:
            return one, one.start_mark.line + 1
    return None


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    message = error["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _unusable(found: str) -> Refusal:
    return Refusal(
        "P18",
        found,
        "a mapping file of version 1",
        "Correct the line; `lnscore pathology draft FILE` proposes a mapping",
    )
