"""The commands of the trainer: `train`, `train ledger`, `eval` and `reproduce`.

The trainer is imported inside them, because a machine that only scores does not have it.
"""

from pathlib import Path
from typing import Annotated

import typer

from lnscore.cli.from_options import takes
from lnscore.cli.options import AsJson, Db
from lnscore.command_options import DEFAULT_DB
from lnscore.train.evaluate_options import EvaluateOptions
from lnscore.train.options import TrainOptions
from lnscore.train.reproduce_options import ReproduceOptions, seeds_of
from trainer.names import TABLES

app = typer.Typer()
train_app = typer.Typer()
app.add_typer(train_app, name="train")


@train_app.callback(invoke_without_command=True)
@takes(TrainOptions)
def train(
    options: TrainOptions, context: typer.Context, db: Db = None, as_json: AsJson = False
) -> None:
    """Train a network on the nodes of the database, and make an engine from it."""
    if context.invoked_subcommand:
        _refuse_options(context)
        return
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.train import job

    finish(job.run(options, settings.load(db)), as_json=as_json)


@train_app.command("ledger")
def ledger(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run that was trained with --method pgls.")
    ],
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            metavar="READER",
            help="Reader whose labels the pseudo-labels are compared with, if this reader labelled "
            "the nodes.",
        ),
    ] = "phantom-truth",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Folder to write a table and pictures into."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Show which unlabelled nodes got pseudo-labels, and how many of these were right."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.train import ledger as job

    finish(job.run(run, truth, out, settings.load(db)), as_json=as_json)


@app.command("eval")
@takes(EvaluateOptions)
def evaluate(
    options: EvaluateOptions,
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs. The first is compared with the others."),
    ],
    as_json: AsJson = False,
) -> None:
    """Report how well trained networks separate malignant from benign nodes.

    The short axis of the nodes is evaluated for comparison.
    """
    from lnscore.cli.printing import finish
    from lnscore.train import evaluate as job

    finish(job.run(runs, options), as_json=as_json)


@app.command()
@takes(ReproduceOptions)
def reproduce(
    options: ReproduceOptions,
    table: Annotated[str, typer.Argument(help=f"Name of the table: {', '.join(TABLES)}.")],
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            "--cohort",
            metavar="FILE|URL",
            help="Study database: an SQLite file or the URL of a PostgreSQL database.",
            show_default=DEFAULT_DB,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a table of the paper: train the missing runs, and evaluate the finished runs."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.train import reproduce as job

    try:
        seeds_of(options.seeds)
    except ValueError as error:
        told = f"--seeds {options.seeds}: give whole numbers, as 0,1,2"
        raise typer.BadParameter(told) from error
    finish(job.run(table, options, settings.load(db)), as_json=as_json)


def _refuse_options(context: typer.Context) -> None:
    """Refuse options of `train` before the name of a subcommand, where they have no effect."""
    given = [
        option.opts[0]
        for option in context.command.params
        if getattr(context.get_parameter_source(option.name or ""), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(
            f"{', '.join(given)} before {context.invoked_subcommand}: its options must follow it"
        )
