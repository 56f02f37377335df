"""`lnscore labels`: readers' labels of single nodes in, and how far the readers agree."""

from pathlib import Path
from typing import Annotated

import typer

from lnscore.cli.options import AsJson, Db

app = typer.Typer(
    help="Import readers' labels of nodes; show their agreement.", no_args_is_help=True
)


@app.command("import")
def import_labels(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, XLSX or JSON.")],
    reader: Annotated[
        str | None, typer.Option("--reader", help="Who labelled, where the file does not say.")
    ] = None,
    tolerance_mm: Annotated[
        float,
        typer.Option(
            "--tolerance-mm", min=0, max=50, help="From a point to its node's centroid, at most."
        ),
    ] = 5.0,
    coord: Annotated[
        str | None,
        typer.Option("--coord", help="Of points: LPS_MM, RAS_MM or IJK."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Import labels of nodes by readers: the whole FILE, or nothing and every error."""
    from lnscore import console, settings
    from lnscore.labels import importing as job

    options = job.LabelOptions(tolerance_mm, reader or "", coord or "")
    summary = job.run(settings.load(db), file, options)
    console.finish(summary, as_json=as_json)


@app.command("status")
def labels_status(
    rule: Annotated[
        str,
        typer.Option(
            "--rule", help="Consensus: unanimous, majority, any_malignant, or a reader's name."
        ),
    ] = "unanimous",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Count labels a reader, compare readers, list where they differ."""
    from lnscore import settings
    from lnscore.labels import status as job

    job.show(settings.load(db), rule, as_json=as_json)
