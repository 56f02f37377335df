"""`lnscore pathology`: options in, one job called."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from db.station_rule import MAX_DAYS
from lnscore.cli.options import AsJson, Db

if TYPE_CHECKING:
    from lnscore.pathology.reading import Format
    from lnscore.tables.dates import Order

app = typer.Typer(
    help="Import surgical pathology, station by station; join it to the nodes.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(help="CSV, TSV, XLSX, JSON Lines, HL7 v2 or FHIR.")]
MappingFile = Annotated[Path | None, typer.Option("--mapping", help="Mapping file (see `draft`).")]
SheetName = Annotated[str | None, typer.Option("--sheet", help="Of a workbook.")]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", metavar="NAME", help="Column of the patients' ids.")
]
Issuer = Annotated[
    str | None, typer.Option("--issuer", metavar="TEXT", help="IssuerOfPatientID of the CTs.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="Table of id and patient_id, or pseudo_key.")
]
AllowPending = Annotated[
    bool, typer.Option("--allow-pending", help="Take patients whose study is still to come.")
]
MaxDays = Annotated[
    int, typer.Option("--max-days", min=0, help="From CT to surgery, before it is told.")
]
FileFormat = Annotated[str, typer.Option("--format", help="auto, table, jsonl, hl7 or fhir.")]
Dates = Annotated[
    str | None, typer.Option("--dates", help="DMY or MDY, where dates like 03/04/2020 are.")
]
Layout = Annotated[Path | None, typer.Option("--layout", help="Layout file of HL7 messages.")]
Encoding = Annotated[str | None, typer.Option("--encoding", metavar="NAME", help="Of a text file.")]


@app.command("import")
def import_file(
    file: File,
    mapping: MappingFile = None,
    sheet: SheetName = None,
    id_column: IdColumn = None,
    issuer: Issuer = None,
    key_file: KeyFile = None,
    allow_pending: AllowPending = False,
    max_days: MaxDays = MAX_DAYS,
    format_: FileFormat = "auto",
    dates: Dates = None,
    layout: Layout = None,
    encoding: Encoding = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Import FILE whole, or nothing of it and every error."""
    from lnscore import console, settings
    from lnscore.pathology import importing as job
    from lnscore.pathology.reading import TableOptions

    options = TableOptions(
        format=_kind(format_),
        mapping=mapping,
        sheet=sheet,
        id_column=id_column,
        layout=layout,
        encoding=encoding,
    )
    wanted = job.ImportRequest(
        options=options,
        issuer=issuer,
        key_file=key_file,
        allow_pending=allow_pending,
        max_days=max_days,
        order=_order(dates),
    )
    console.finish(job.run(file, settings.load(db), wanted), as_json=as_json)


@app.command()
def preview(
    file: File,
    mapping: MappingFile = None,
    sheet: SheetName = None,
    id_column: IdColumn = None,
    issuer: Issuer = None,
    key_file: KeyFile = None,
    allow_pending: AllowPending = False,
    max_days: MaxDays = MAX_DAYS,
    format_: FileFormat = "auto",
    dates: Dates = None,
    layout: Layout = None,
    encoding: Encoding = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show what an import would store and say; nothing is written."""
    from lnscore import console, settings
    from lnscore.pathology import preview as job
    from lnscore.pathology.importing import ImportRequest
    from lnscore.pathology.reading import TableOptions

    options = TableOptions(
        format=_kind(format_),
        mapping=mapping,
        sheet=sheet,
        id_column=id_column,
        layout=layout,
        encoding=encoding,
    )
    wanted = ImportRequest(
        options=options,
        issuer=issuer,
        key_file=key_file,
        allow_pending=allow_pending,
        max_days=max_days,
        order=_order(dates),
    )
    shown = job.run(file, settings.load(db), wanted)
    if not as_json:
        console.print_table("Findings", *shown.table())
    console.finish(shown, as_json=as_json)


@app.command()
def draft(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or XLSX.")],
    sheet: SheetName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Mapping file to write; printed without.")
    ] = None,
) -> None:
    """Propose a mapping file from the headings of FILE; what is not sure is marked."""
    from lnscore.pathology import drafting as job

    job.run(file, sheet, out)


@app.command()
def status(
    study: Annotated[str | None, typer.Option("--study", metavar="UID")] = None,
    crosswalk: Annotated[
        str | None,
        typer.Option("--crosswalk", metavar="NAME", help="Between station systems; none without."),
    ] = None,
    max_days: MaxDays = MAX_DAYS,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Join pathology to the nodes, study by study: what fits, what does not."""
    from lnscore import console, settings
    from lnscore.pathology import status as job

    console.finish(job.run(settings.load(db), study, crosswalk, max_days), as_json=as_json)


def _kind(name: str) -> "Format":
    from lnscore.pathology.reading import FORMATS

    for one in FORMATS:
        if one == name.lower():
            return one
    raise typer.BadParameter(f"--format is one of {', '.join(FORMATS)}")


def _order(name: str | None) -> "Order":
    from lnscore.tables.dates import ORDERS

    for one in ORDERS:
        if one == (name or "").upper():
            return one
    raise typer.BadParameter("--dates is DMY or MDY")
