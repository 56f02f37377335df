"""The commands of `lnscore labels`; each calls one job and prints its summary."""

from pathlib import Path
from typing import Annotated

import typer

from lnscore.cli.from_options import takes
from lnscore.cli.options import AsJson, Db
from lnscore.labels.options import LabelOptions

app = typer.Typer(
    help="Import readers' labels of nodes; show their agreement.", no_args_is_help=True
)


@app.command("import")
@takes(LabelOptions)
def import_labels(
    options: LabelOptions,
    file: Annotated[Path, typer.Argument(help="Table (CSV, TSV, XLSX) or JSON file of labels.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Import labels of nodes. If FILE has errors, all are listed and nothing is imported."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.labels import importing as job

    finish(job.run(settings.load(db), file, options), as_json=as_json)


@app.command("status")
def labels_status(
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="Consensus rule: unanimous, majority, any_malignant, or the name of a reader.",
        ),
    ] = "unanimous",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Count the labels of each reader, and list the nodes on which readers differ."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.labels import status as job

    finish(job.run(settings.load(db), rule), as_json=as_json)
