"""Options that several commands have, declared once."""

from typing import Annotated, Literal

import typer

Db = Annotated[
    str | None,
    typer.Option("--db", metavar="FILE|URL", help="Study database [default: lnscore.db]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes.")]
EngineName = Annotated[
    str | None,
    typer.Option("--engine", help="Engine's name, a bundle's folder, or auto [default: auto]."),
]
EngineArgument = Annotated[str, typer.Argument(help="Engine's name, or a bundle's folder.")]
Backend = Annotated[str, typer.Option("--backend", help="auto, or the back end to insist on.")]
Precision = Annotated[str, typer.Option("--precision", help="fp32 or fp16, of the engine's graph.")]


def precision_of(name: str) -> Literal["fp32", "fp16"]:
    """The precision that was named; a usage error for another."""
    if name not in ("fp32", "fp16"):
        raise typer.BadParameter(f"--precision {name}: give one of fp32, fp16")
    return name
