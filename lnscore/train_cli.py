"""Commands of the trainer. What they need of it is imported inside them: a scoring box has none."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("eval")
def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs; the first is tested against the others.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for tables and pictures.")
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=100, help="Bootstrap draws of patients.")
    ] = 2000,
    partial: Annotated[
        bool, typer.Option("--partial", help="Go on where folds are missing.")
    ] = False,
    last: Annotated[
        bool, typer.Option("--last", help="The last epoch, not the one that validation selected.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how well trained networks tell malignant nodes, beside the short axis."""
    from lnscore import console
    from lnscore import eval_job as job

    summary = job.run(runs, out, draws, partial=partial, last=last, quiet=as_json)
    if as_json:
        console.print_json(summary.as_dict())
    else:
        for line in summary.lines():
            console.say(line)
    raise typer.Exit(summary.exit_code)
