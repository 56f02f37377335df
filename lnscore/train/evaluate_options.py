"""The options of `lnscore eval`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lnscore.command_options import Option
from trainer.names import ROLES


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How finished runs are evaluated."""

    out: Annotated[
        Path | None, Option(help="Folder to write tables and pictures into.", metavar="FOLDER")
    ] = None
    draws: Annotated[
        int,
        Option(
            help="Number of times that the patients are drawn for the bootstrap.",
            metavar="N",
            minimum=100,
        ),
    ] = 2000
    partial: Annotated[bool, Option(help="Accept runs that do not have all folds.")] = False
    last: Annotated[
        bool,
        Option(
            help="Evaluate the weights of the last epoch, not those that the validation part "
            "selected."
        ),
    ] = False
    role: Annotated[
        str | None,
        Option(
            help=f"Evaluate this one of the two networks of semi-supervised runs: "
            f"{' or '.join(ROLES)}.",
            metavar="NAME",
            default="the one that the run reports",
        ),
    ] = None
