"""`lnscore engine`: options in, one job called."""

from pathlib import Path
from typing import Annotated

import typer

from lnscore.cli.options import AsJson, Backend, Db, EngineArgument, Precision

app = typer.Typer(
    help="List, show, build, verify, import, promote and compare engines.", no_args_is_help=True
)


@app.command("list")
def engine_list(as_json: AsJson = False) -> None:
    """List the engines that are here."""
    from lnscore import settings
    from lnscore.engine_commands import commands as engine_commands

    engine_commands.list_all(settings.load(), as_json=as_json)


@app.command("show")
def engine_show(name: EngineArgument, as_json: AsJson = False) -> None:
    """Show an engine's manifest."""
    from lnscore import settings
    from lnscore.engine_commands import commands as engine_commands

    engine_commands.show(settings.load(), name, as_json=as_json)


@app.command("build")
def engine_build(
    name: EngineArgument,
    backend: Annotated[str, typer.Option("--backend", help="tensorrt or tensorrt-rtx.")],
    precision: Precision = "fp32",
    max_batch: Annotated[
        int, typer.Option("--max-batch", min=1, max=4096, help="Most nodes of one run.")
    ] = 256,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build again; needed where a plan was altered.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build an engine's plan for the GPU of this machine; TensorRT-RTX needs none to build."""
    from lnscore import settings
    from lnscore.engine_commands import build as job

    job.run(settings.load(), name, backend, precision, max_batch, rebuild=rebuild, as_json=as_json)


@app.command("verify")
def engine_verify(
    name: EngineArgument,
    backend: Backend = "auto",
    db: Annotated[
        str | None,
        typer.Option("--db", metavar="FILE|URL", help="Check the held-out nodes of this database."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run an engine's golden inputs on every back end; exit 4 if it does not reproduce them."""
    from lnscore import settings
    from lnscore.engine_commands import commands as engine_commands

    code = engine_commands.verify(
        settings.load(db), name, backend, held_out=db is not None, as_json=as_json
    )
    raise typer.Exit(code)


@app.command("import")
def engine_import(
    bundle: Annotated[Path, typer.Argument(help="Folder or zip of a bundle.")],
    sha256: Annotated[str | None, typer.Option("--sha256", help="Of the zip file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy an engine bundle to this machine, after checking every hash."""
    from lnscore import settings
    from lnscore.engine_commands import commands as engine_commands

    engine_commands.import_bundle(settings.load(), bundle, sha256, as_json=as_json)


@app.command("promote")
def engine_promote(
    name: Annotated[str, typer.Argument(help="Engine's name.")],
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Make an engine the default, if parity and held-out AUROC hold here; exit 4 if not."""
    from lnscore import settings
    from lnscore.engine_commands import commands as engine_commands

    engine_commands.promote(settings.load(db), name, as_json=as_json)


@app.command("diff")
def engine_diff(
    first: Annotated[str, typer.Argument(help="Engine's name, or its key in a report.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    study: Annotated[
        str | None, typer.Option("--study", metavar="UID", help="Only this study.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV of the nodes.")] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """List the nodes whose call flips between two engines, from stored scores."""
    from lnscore import console, settings
    from lnscore.engine_commands import diff as job

    found = job.run(settings.load(db), first, second, study, out)
    if not as_json:
        job.show(found)
    console.finish(found, as_json=as_json)
