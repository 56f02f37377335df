"""Options and arguments that several commands have."""

from typing import Annotated

import typer

from lnscore.command_options import DEFAULT_DB, DEFAULT_JOBS

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        help="Study database: an SQLite file or the URL of a PostgreSQL database.",
        show_default=DEFAULT_DB,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Number of worker processes.",
        show_default=str(DEFAULT_JOBS),
    ),
]
EngineArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of an engine, or folder of a bundle.")
]
OneStudy = Annotated[
    str | None,
    typer.Option("--study", metavar="UID", help="StudyInstanceUID of the only study to use."),
]
