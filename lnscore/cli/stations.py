"""`lnscore stations`: options in, one command called."""

from typing import Annotated

import typer

from lnscore.cli.options import AsJson

stations_app = typer.Typer(help="List, show and explain lymph node stations.", no_args_is_help=True)


@stations_app.command("list")
def stations_list(
    system: Annotated[str | None, typer.Argument(help="As AJCC8; all systems without.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the station systems, or the stations of one."""
    from lnscore.stations import commands as job

    if system is None:
        job.list_systems(as_json=as_json)
    else:
        job.list_stations(system, as_json=as_json)


@stations_app.command("show")
def stations_show(
    station: Annotated[str, typer.Argument(metavar="SYSTEM:CODE", help="As AJCC8:4R.")],
    crosswalk: Annotated[
        str | None, typer.Option("--crosswalk", metavar="NAME", help="As AJCC8-JES11.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a station, and what it is in another system."""
    from lnscore.stations import commands as job

    job.show(station, crosswalk, as_json=as_json)


@stations_app.command("explain")
def stations_explain(
    text: Annotated[str, typer.Argument(help="As somebody typed it.")],
    as_json: AsJson = False,
) -> None:
    """Say what a text can mean in every system, and what looks like it."""
    from lnscore.stations import commands as job

    job.explain(text, as_json=as_json)
