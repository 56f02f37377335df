"""The commands of `lnscore pathology`; each calls one job and prints its summary."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from db.station_rule import MAX_DAYS
from lnscore.cli.from_options import takes
from lnscore.cli.options import AsJson, Db, OneStudy
from lnscore.pathology.options import ImportRequest, TableOptions

app = typer.Typer(
    help="Import surgical pathology by station, and join it to the nodes.",
    no_args_is_help=True,
)

File = Annotated[
    Path,
    typer.Argument(help="Table (CSV, TSV, XLSX), JSON Lines, HL7 v2 messages or FHIR resources."),
]


@app.command("import")
@takes(TableOptions, ImportRequest)
def import_file(
    table: TableOptions,
    request: ImportRequest,
    file: File,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Import pathology reports. If FILE has errors, all are listed and nothing is imported."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.pathology import importing as job

    finish(job.run(file, settings.load(db), replace(request, options=table)), as_json=as_json)


@app.command()
@takes(TableOptions, ImportRequest)
def preview(
    table: TableOptions,
    request: ImportRequest,
    file: File,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show what an import would store and report; nothing is written."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.pathology import preview as job

    finish(job.run(file, settings.load(db), replace(request, options=table)), as_json=as_json)


@app.command()
def draft(
    file: Annotated[Path, typer.Argument(help="Table (CSV, TSV or XLSX).")],
    sheet: Annotated[
        str | None,
        typer.Option(
            "--sheet",
            metavar="NAME",
            help="Name of the worksheet of a workbook.",
            show_default="the only one",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="New file for the mapping. Without it the mapping is printed.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Propose a mapping file from the headings of FILE. Uncertain places are marked."""
    from lnscore import console
    from lnscore.cli.printing import finish
    from lnscore.pathology import drafting as job

    summary = job.run(file, sheet, out)
    for line in summary.notes:
        console.note(line)
    finish(summary, as_json=as_json)


@app.command()
def status(
    study: OneStudy = None,
    crosswalk: Annotated[
        str | None,
        typer.Option(
            "--crosswalk",
            metavar="NAME",
            help="Crosswalk between station systems to use. Without it none is used.",
        ),
    ] = None,
    max_days: Annotated[
        int,
        typer.Option(
            "--max-days",
            metavar="DAYS",
            min=0,
            help="Days from CT to surgery above which a warning is given.",
        ),
    ] = MAX_DAYS,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Join pathology to the nodes of every study, and show what fits and what does not."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.pathology import status as job

    finish(job.run(settings.load(db), study, crosswalk, max_days), as_json=as_json)
