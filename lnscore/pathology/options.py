"""The options of `lnscore pathology import` and `preview`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from db.station_rule import MAX_DAYS
from lnscore.command_options import Option
from lnscore.tables.dates import ORDERS, Order

Format = Literal["auto", "table", "jsonl", "hl7", "fhir"]
FORMATS: tuple[Format, ...] = ("auto", "table", "jsonl", "hl7", "fhir")


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Options for reading a file."""

    format: Annotated[
        Format,
        Option(
            help=f"Format of the file: {', '.join(FORMATS)}. With auto it is found from the "
            "content.",
            metavar="NAME",
            choices=FORMATS,
        ),
    ] = "auto"
    mapping: Annotated[
        Path | None,
        Option(
            help="Mapping file that assigns the columns of a table. `lnscore pathology draft` "
            "proposes one. Without it the table must have the headings of docs/pathology.md.",
            metavar="FILE",
            recorded="flag",
        ),
    ] = None
    sheet: Annotated[
        str | None,
        Option(help="Name of the worksheet of a workbook.", metavar="NAME", default="the only one"),
    ] = None
    id_column: Annotated[
        str | None,
        Option(
            help="Heading of the column with the patient ids.",
            metavar="NAME",
            default="patient_key",
        ),
    ] = None
    layout: Annotated[
        Path | None,
        Option(help="Layout file for HL7 messages.", metavar="FILE", recorded="flag"),
    ] = None
    encoding: Annotated[
        str | None,
        Option(
            help="Character encoding of a text file, for example cp1252.",
            metavar="NAME",
            default="detected from the bytes",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Options for assigning the file to patients, and for accepting its content.

    Attributes:
        options: Options for reading the file.
    """

    options: TableOptions = field(default_factory=TableOptions)
    issuer: Annotated[
        str | None,
        Option(
            help="IssuerOfPatientID of the CT studies, if they have one.",
            metavar="TEXT",
            recorded="flag",
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        Option(
            help="Table that gives each id of the file its patient_id (and issuer) in the CT "
            "studies, or its pseudo_key in the database.",
            metavar="FILE",
            recorded="flag",
        ),
    ] = None
    allow_pending: Annotated[
        bool,
        Option(
            help="Accept patients who have no study in the database. Their findings wait for it.",
            recorded="argv",
        ),
    ] = False
    max_days: Annotated[
        int,
        Option(
            help="Days from CT to surgery above which a warning is given.",
            metavar="DAYS",
            minimum=0,
            recorded="argv",
        ),
    ] = MAX_DAYS
    order: Annotated[
        Order,
        Option(
            help="Order of day and month in dates like 03/04/2020: DMY or MDY. The order is never "
            "guessed.",
            flag="--dates",
            metavar="ORDER",
            choices=ORDERS,
            default="not stated",
        ),
    ] = ""
