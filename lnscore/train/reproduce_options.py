"""The options of `lnscore reproduce`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lnscore.command_options import Option
from trainer.names import PROFILES

RECIPE_VALUE = "the recipe's value"


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """Options of a reproduction: which rows of a table are trained, and how.

    Attributes:
        only: Rows of the table to train; empty for all. The table shows all finished runs.
        plan_only: Whether the runs are only listed, and none is trained.
    """

    recipe: Annotated[
        Path | None,
        Option(help="YAML file with sizes, seeds and values of the stages.", metavar="FILE"),
    ] = None
    profile: Annotated[
        str | None,
        Option(
            help=f"Set of values to train with: {', '.join(PROFILES)}.",
            metavar="NAME",
            default="the recipe's value; without a recipe, paper",
        ),
    ] = None
    seeds: Annotated[
        str,
        Option(
            help="Seeds to train with, separated by commas.", metavar="N,N", default=RECIPE_VALUE
        ),
    ] = ""
    folds: Annotated[
        int | None,
        Option(
            help="Train only the first N of the four folds.",
            metavar="N",
            default=RECIPE_VALUE,
            minimum=1,
        ),
    ] = None
    only: Annotated[
        tuple[str, ...],
        Option(
            help="Train only this row of the table. Repeat the option for several rows.",
            metavar="ROW",
        ),
    ] = ()
    out: Annotated[Path, Option(help="Folder of runs and tables.", metavar="FOLDER")] = Path(
        "reproduction"
    )
    workers: Annotated[
        int,
        Option(help="Number of runs that are trained at once, by Dask.", metavar="N", minimum=1),
    ] = 1
    cluster: Annotated[
        str | None,
        Option(
            help="Address of a Dask scheduler whose workers can use the same folders.",
            metavar="ADDRESS",
        ),
    ] = None
    plan_only: Annotated[bool, Option(help="List the runs and train none.", flag="--plan")] = False
    draws: Annotated[
        int,
        Option(
            help="Number of times that the patients are drawn for the bootstrap.",
            metavar="N",
            minimum=100,
        ),
    ] = 2000


def seeds_of(text: str) -> tuple[int, ...]:
    """Return the seeds of a text like `0,1,2`; empty for an empty text.

    Raises:
        ValueError: A seed is not a whole number.
    """
    return tuple(int(one) for one in text.split(",") if one.strip())
