"""The `lnscore` command.

Every command reads its options, calls one job, prints its summary and ends with its exit code.
Jobs are imported inside their commands, so that `--help` answers at once and a machine that
only scores never loads the trainer. `main` turns every refusal into its exit code.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from db.errors import DatabaseError
from engines.errors import EngineError
from ground.errors import CodedError
from lnscore.cli import engine, labels, pathology, stations, train
from lnscore.cli.from_options import takes
from lnscore.cli.options import AsJson, Db, Jobs, OneStudy
from lnscore.errors import EXIT_ENGINE, EXIT_ERROR, EXIT_LOCKED, LOCKED
from lnscore.ingest.options import IngestOptions
from lnscore.phantom.options import PhantomOptions
from lnscore.scoring.options import EngineOptions, ScoringOptions

INTERRUPTED = 130
"""Exit code of the command line library after Ctrl-C."""

app = typer.Typer(
    name="lnscore",
    help="Score every lymph node of a CT study for metastasis. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(engine.app, name="engine")
app.add_typer(stations.app, name="stations")
app.add_typer(labels.app, name="labels")
app.add_typer(pathology.app, name="pathology")
app.add_typer(train.app)


def _version(asked: bool) -> bool:
    if asked:
        from lnscore.cli.printing import say
        from lnscore.version import version

        say(f"lnscore {version()}")
        raise typer.Exit
    return asked


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Score every lymph node of a CT study for metastasis. Research use only."""


@app.command()
@takes(IngestOptions)
def ingest(
    options: IngestOptions,
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders, DICOM files, zip archives and DICOMDIR files to read."),
    ],
    db: Db = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Read every CT series and its node masks under PATHS into the database."""
    from lnscore import workers

    workers.start_server()  # it loads the parsers while this process loads the rest
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.ingest import job

    finish(job.run(paths, settings.load(db, jobs), options), as_json=as_json)


@app.command()
@takes(ScoringOptions, EngineOptions)
def score(
    nodes: ScoringOptions, engine: EngineOptions, db: Db = None, as_json: AsJson = False
) -> None:
    """Score lymph nodes that are in the database."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.scoring import job

    if sum([bool(nodes.study), nodes.pending, nodes.everything]) != 1:
        raise typer.BadParameter("give one of --study UID, --pending, --all")
    selection = job.Selection(nodes.study, again=nodes.everything)
    finish(job.run(settings.load(db), selection, engine), as_json=as_json)


@app.command()
def report(
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder for the pages and tables.")
    ],
    study: OneStudy = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Write a page for every study, and tables of all nodes, studies and problems."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.report import job

    finish(job.run(settings.load(db), out, study), as_json=as_json)


@app.command()
@takes(EngineOptions)
def nightly(
    engine: EngineOptions,
    inbox: Annotated[Path, typer.Argument(help="Folder that new scans arrive in.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the report.")],
    db: Db = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Ingest INBOX, score what is pending and write the report, under one lock.

    The command can be killed at any moment and run again.
    """
    from lnscore import workers

    workers.start_server()  # as in `ingest`
    from lnscore import nightly as job
    from lnscore import settings
    from lnscore.cli.printing import finish

    finish(job.run(inbox, out, settings.load(db, jobs), engine), as_json=as_json)


@app.command()
def status(
    db: Db = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="List what was refused, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the database holds, what waits and what was refused."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.doctor import job

    finish(job.status(settings.load(db), refused=refused), as_json=as_json)


@app.command()
def doctor(db: Db = None, as_json: AsJson = False) -> None:
    """Check this machine, the database and the engines, and show what to do."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.doctor import job

    finish(job.doctor(settings.load(db)), as_json=as_json)


@app.command()
@takes(PhantomOptions)
def phantom(options: PhantomOptions, jobs: Jobs = None, as_json: AsJson = False) -> None:
    """Make a cohort of phantoms whose truth is known."""
    from lnscore.cli.printing import finish
    from lnscore.phantom import job

    if (options.out is None) == (options.direct is None):
        raise typer.BadParameter("give one of --out FOLDER, --direct FILE|URL")
    if options.like_paper and options.direct is None:
        raise typer.BadParameter("--like-paper goes with --direct")
    if not 0.01 <= options.share <= 1 or (options.share < 1 and not options.like_paper):
        raise typer.BadParameter("--share is from 0.01 to 1 and goes with --like-paper")
    finish(job.run(options, jobs or 1), as_json=as_json)


def main() -> None:
    """Run the command; print a refusal as one sentence and end with its exit code."""
    try:
        app()
    except CodedError as error:
        _die(error, _exit_code(error))
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            stopped = "stopped; what was finished is kept, run the command again to go on"
            _die(InterruptedError(stopped), EXIT_ERROR)
        raise


def _exit_code(error: CodedError) -> int:
    if isinstance(error, EngineError):
        return EXIT_ENGINE
    locked = isinstance(error, DatabaseError) and error.code == LOCKED
    return EXIT_LOCKED if locked else EXIT_ERROR


def _die(error: Exception, code: int) -> None:
    from lnscore.cli.printing import fail

    fail(error)
    sys.exit(code)
