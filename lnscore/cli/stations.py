"""The commands of `lnscore stations`; each calls one job and prints its summary."""

from typing import Annotated

import typer

from lnscore.cli.options import AsJson

app = typer.Typer(help="List, show and explain lymph node stations.", no_args_is_help=True)


@app.command("list")
def stations_list(
    system: Annotated[
        str | None,
        typer.Argument(help="Name of one system, for example AJCC8. Without it all are listed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the station systems, or the stations of one system."""
    from lnscore.cli.printing import finish
    from lnscore.stations import commands

    answer = commands.list_systems() if system is None else commands.list_stations(system)
    finish(answer, as_json=as_json)


@app.command("show")
def stations_show(
    station: Annotated[
        str, typer.Argument(metavar="SYSTEM:CODE", help="System and code, for example AJCC8:4R.")
    ],
    crosswalk: Annotated[
        str | None,
        typer.Option(
            "--crosswalk", metavar="NAME", help="Name of a crosswalk, for example AJCC8-JES11."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a station, and the stations of another system that it corresponds to."""
    from lnscore.cli.printing import finish
    from lnscore.stations import commands

    finish(commands.show(station, crosswalk), as_json=as_json)


@app.command("explain")
def stations_explain(
    text: Annotated[str, typer.Argument(help="Name of a station as it is written in a report.")],
    as_json: AsJson = False,
) -> None:
    """Show which station a text can mean in each system, or which stations look similar."""
    from lnscore.cli.printing import finish
    from lnscore.stations import commands

    finish(commands.explain(text), as_json=as_json)
