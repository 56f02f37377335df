"""The commands of `lnscore engine`; each calls one job and prints its summary."""

from pathlib import Path
from typing import Annotated

import typer

from engines.back_ends import AUTO, BACKENDS, PRECISIONS
from lnscore.cli.options import AsJson, Db, EngineArgument, OneStudy

app = typer.Typer(
    help="List, show, build, verify, import, promote and compare engines.", no_args_is_help=True
)


@app.command("list")
def engine_list(as_json: AsJson = False) -> None:
    """List the engines that are shipped or imported here."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import commands

    finish(commands.list_all(settings.load()), as_json=as_json)


@app.command("show")
def engine_show(name: EngineArgument, as_json: AsJson = False) -> None:
    """Show what an engine states about itself, after checking its files."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import commands

    finish(commands.show(settings.load(), name), as_json=as_json)


@app.command("build")
def engine_build(
    name: EngineArgument,
    backend: Annotated[
        str,
        typer.Option(
            "--backend", metavar="NAME", help="Library to build for: tensorrt or tensorrt-rtx."
        ),
    ],
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help=f"Precision of the plan: {' or '.join(PRECISIONS)}.",
        ),
    ] = "fp32",
    max_batch: Annotated[
        int,
        typer.Option(
            "--max-batch",
            metavar="N",
            min=1,
            max=4096,
            help="Largest number of nodes that the plan scores at once.",
        ),
    ] = 256,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Build even if there is a plan. This is needed if the plan was altered.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build a TensorRT plan of an engine for this machine.

    A plan for tensorrt-rtx can be built on a machine without a GPU.
    """
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import build as job

    summary = job.run(settings.load(), name, backend, precision, max_batch, rebuild=rebuild)
    finish(summary, as_json=as_json)


@app.command("verify")
def engine_verify(
    name: EngineArgument,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            metavar="NAME",
            help=f"Back end to check: {', '.join(BACKENDS)}; or {AUTO} for all of them.",
        ),
    ] = AUTO,
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="FILE|URL",
            help="Also score the held-out nodes of the engine, which are in this study database.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the golden inputs of an engine and compare the outputs.

    The exit code is 4 if they are not reproduced.
    """
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import commands

    summary = commands.verify(settings.load(db), name, backend, held_out=db is not None)
    finish(summary, as_json=as_json)


@app.command("import")
def engine_import(
    bundle: Annotated[Path, typer.Argument(help="Folder or zip archive of an engine bundle.")],
    sha256: Annotated[
        str | None,
        typer.Option(
            "--sha256",
            metavar="HEX",
            help="SHA-256 that the zip archive, or the manifest of the folder, must have.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy an engine bundle to this machine, after checking every hash."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import commands

    finish(commands.import_bundle(settings.load(), bundle, sha256), as_json=as_json)


@app.command("promote")
def engine_promote(
    name: Annotated[str, typer.Argument(help="Name of an engine.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Make an engine the default, if it reproduces its outputs and its held-out AUROC here.

    Otherwise the exit code is 4 and the default stays as it is.
    """
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import promotion

    finish(promotion.promote(settings.load(db), name), as_json=as_json)


@app.command("diff")
def engine_diff(
    first: Annotated[str, typer.Argument(help="Name of an engine, or its key in a report.")],
    second: Annotated[str, typer.Argument(help="Name or key of another engine.")],
    study: OneStudy = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="File to write these nodes to, as CSV table."),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """List the nodes that two engines call differently, from stored scores."""
    from lnscore import settings
    from lnscore.cli.printing import finish
    from lnscore.engine_commands import diff as job

    finish(job.run(settings.load(db), first, second, study, out), as_json=as_json)
