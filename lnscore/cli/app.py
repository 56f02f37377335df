"""The `lnscore` command: options in, one job called, its exit code out.

Jobs are imported inside their commands, so that `--help` answers at once and a scoring box
never loads what it does not use. One handler turns every refusal into its exit code.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from db.errors import DatabaseError
from engines.errors import EngineError
from lnscore.cli import engine as engine_cli
from lnscore.cli import labels as labels_cli
from lnscore.cli import pathology as pathology_cli
from lnscore.cli import train as train_cli
from lnscore.cli.options import AsJson, Backend, Db, EngineName, Jobs, Precision, precision_of
from lnscore.cli.stations import stations_app
from lnscore.errors import EXIT_ENGINE, EXIT_ERROR, EXIT_LOCKED, LOCKED, Refusal
from lnscore.summary import Summary
from trainer.errors import TrainerError

INTERRUPTED = 130
"""What typer makes of Ctrl-C."""

app = typer.Typer(
    name="lnscore",
    help="Score every lymph node of a CT study for metastasis. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(engine_cli.app, name="engine")
app.add_typer(stations_app, name="stations")
app.add_typer(labels_cli.app, name="labels")
app.add_typer(pathology_cli.app, name="pathology")
app.add_typer(train_cli.app)


def _version(asked: bool) -> bool:
    if asked:
        from lnscore import console
        from lnscore.version import version

        console.say(f"lnscore {version()}")
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
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Folders, files, zips, DICOMDIRs.")],
    db: Db = None,
    masks: Annotated[
        list[Path] | None, typer.Option("--masks", help="NIfTI or NRRD label map of nodes.")
    ] = None,
    points: Annotated[
        list[Path] | None, typer.Option("--points", help="CSV, JSON or .mrk.json of points.")
    ] = None,
    coord: Annotated[
        str | None, typer.Option("--coord", help="Of --points: LPS_MM, RAS_MM or IJK.")
    ] = None,
    stations: Annotated[
        Path | None, typer.Option("--stations", help="Label map of stations, legend beside it.")
    ] = None,
    series: Annotated[
        str | None, typer.Option("--series", help="The CT series that --masks, --points are of.")
    ] = None,
    fill_gaps: Annotated[
        int, typer.Option("--fill-gaps", min=0, help="Missing slices to interpolate, flagged.")
    ] = 0,
    assume_hu: Annotated[
        bool, typer.Option("--assume-hu", help="Accept plausible HU without rescale tags.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Names of regions to use, as 'LN*'."),
    ] = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Read every CT series and its node masks under PATHS into the database."""
    from lnscore import workers

    workers.start_server()  # it loads the readers while this process loads the rest
    from lnscore import settings
    from lnscore.ingest import job
    from lnscore.ingest.task import IngestOptions

    options = IngestOptions.of(masks, points, coord, stations, series, fill_gaps, assume_hu, only)
    summary = job.run(paths, settings.load(db, jobs), options)
    _finish(summary, as_json)


@app.command()
def score(
    study: Annotated[
        list[str] | None, typer.Option("--study", metavar="UID", help="StudyInstanceUID.")
    ] = None,
    pending: Annotated[bool, typer.Option("--pending", help="What has no score yet.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every node; stored scores are checked, not replaced.")
    ] = False,
    engine: EngineName = None,
    backend: Backend = "auto",
    precision: Precision = "fp32",
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Score lymph nodes that are in the database."""
    from lnscore import settings
    from lnscore.scoring import job

    if sum([bool(study), pending, everything]) != 1:
        raise typer.BadParameter("give one of --study UID, --pending, --all")
    wanted = job.Selection(tuple(study or ()), again=everything)
    _finish(job.run(settings.load(db), wanted, engine, backend, precision_of(precision)), as_json)


@app.command()
def report(
    out: Annotated[Path, typer.Option("--out", help="Folder for the pages and tables.")],
    study: Annotated[str | None, typer.Option("--study", metavar="UID")] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Write nodes.csv, study.json and a page for every study."""
    from lnscore import settings
    from lnscore.report import job

    _finish(job.run(settings.load(db), out, study), as_json)


@app.command()
def nightly(
    inbox: Annotated[Path, typer.Argument(help="Folder that new scans arrive in.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")],
    engine: EngineName = None,
    backend: Backend = "auto",
    precision: Precision = "fp32",
    db: Db = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Ingest INBOX, score what is pending, report: one lock, safe to kill and repeat."""
    from lnscore import workers

    workers.start_server()  # as in `ingest`
    from lnscore import nightly as job
    from lnscore import settings

    wanted = precision_of(precision)
    _finish(job.run(inbox, out, settings.load(db, jobs), engine, backend, wanted), as_json)


@app.command()
def status(
    db: Db = None,
    refused: Annotated[bool, typer.Option("--refused", help="List what was refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the database holds, what waits and what was refused."""
    from lnscore import settings
    from lnscore.doctor import job

    job.status(settings.load(db), refused=refused, as_json=as_json)


@app.command()
def doctor(db: Db = None, as_json: AsJson = False) -> None:
    """Check this machine, the database and the engines; say what to do."""
    from lnscore import settings
    from lnscore.doctor import job

    raise typer.Exit(job.doctor(settings.load(db), as_json=as_json))


@app.command()
def phantom(
    patients: Annotated[int, typer.Option("--patients", min=1)] = 6,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for DICOM and CSV.")] = None,
    direct: Annotated[
        str | None, typer.Option("--direct", metavar="DB", help="Patches straight into DB.")
    ] = None,
    like_paper: Annotated[
        bool, typer.Option("--like-paper", help="With --direct: the paper's 1,052 patients.")
    ] = False,
    share: Annotated[
        float, typer.Option("--share", help="With --like-paper: of its patients and nodes.")
    ] = 1.0,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Make a cohort of phantoms whose truth is known."""
    from lnscore.phantom import job

    if (out is None) == (direct is None):
        raise typer.BadParameter("give one of --out DIR, --direct DB")
    if like_paper and direct is None:
        raise typer.BadParameter("--like-paper goes with --direct")
    if not 0.01 <= share <= 1 or (share < 1 and not like_paper):
        raise typer.BadParameter("--share is from 0.01 to 1 and goes with --like-paper")
    if out is not None:
        _finish(job.write_dicom(out, patients, seed, jobs or 1), as_json)
    elif direct is not None:
        of_paper = share if like_paper else None
        _finish(job.fill(direct, patients, seed, jobs or 1, like_paper=of_paper), as_json)


def _finish(summary: Summary, as_json: bool) -> None:
    from lnscore import console

    console.finish(summary, as_json=as_json)


def main() -> None:
    """Entry point: every refusal becomes one sentence and its exit code."""
    try:
        app()
    except EngineError as error:
        _die(error, EXIT_ENGINE)
    except DatabaseError as error:
        _die(error, EXIT_LOCKED if error.code == LOCKED else EXIT_ERROR)
    except (Refusal, TrainerError) as error:
        _die(error, EXIT_ERROR)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            stopped = "stopped; what was finished is kept, run again to go on"
            _die(InterruptedError(stopped), EXIT_ERROR)
        raise


def _die(error: Exception, code: int) -> None:
    from lnscore import console

    console.fail(error)
    sys.exit(code)
