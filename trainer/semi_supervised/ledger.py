"""The ledger: all pseudo-label decisions of a fold, one row per node and epoch, as Parquet.

The file is always replaced as a whole, so that a reader never sees a part of it. If a run was
killed during an epoch, the resumed run decides that epoch again and replaces its rows.
"""

from pathlib import Path

import numpy as np
import polars as pl

from trainer.data.cohort import Cohort
from trainer.errors import TrainerError
from trainer.runs.parquet import put_parquet
from trainer.semi_supervised.sharpen import RULES, PseudoLabels
from trainer.semi_supervised.unlabelled import CODES, Unlabelled

FILE = "ledger.parquet"
NAMES = {code: name for name, code in CODES.items()}
SCHEMA: dict[str, pl.DataType] = {
    "epoch": pl.Int32(),
    "node_id": pl.Int64(),
    "score": pl.Float32(),
    "station": pl.Enum(sorted(CODES)),
    "weak": pl.Boolean(),
    "rule": pl.Enum(RULES),
    "label": pl.Int8(),
    "selected": pl.Boolean(),
}
"""`station` is the status of the node's station; `label` is -1 for no pseudo-label."""


def rows(
    cohort: Cohort,
    known: Unlabelled,
    epoch: int,
    score: np.ndarray,
    given: PseudoLabels,
    selected: np.ndarray,
) -> pl.DataFrame:
    """Return the decisions of one epoch, one row per node.

    Args:
        cohort: The cohort, for the ids of the nodes.
        known: The unlabelled nodes.
        epoch: Number of the epoch, from 0.
        score: The teacher's probabilities, shape (node,).
        given: Pseudo-labels and the rules that gave them.
        selected: True for nodes that are trained on in this epoch, shape (node,).
    """
    return pl.DataFrame(
        {
            "epoch": np.full(len(score), epoch, np.int32),
            "node_id": np.array([cohort.nodes[i].node_id for i in known.index], np.int64),
            "score": score.astype(np.float32),
            "station": [NAMES[code] for code in known.status.tolist()],
            "weak": known.weak,
            "rule": [RULES[place] for place in given.rule.tolist()],
            "label": given.label.astype(np.int8),
            "selected": selected,
        },
        schema=SCHEMA,
    )


def append(file: Path, decided: pl.DataFrame) -> None:
    """Add the rows of an epoch; rows of the same or a later epoch in the file are dropped."""
    first = int(decided["epoch"][0])
    if file.exists():
        before = read(file).filter(pl.col("epoch") < first)
        decided = pl.concat([before, decided])
    put_parquet(file, decided)


def read(file: Path) -> pl.DataFrame:
    """Read a ledger.

    Raises:
        TrainerError: T54 the file cannot be read.
    """
    try:
        return pl.read_parquet(file).select(
            pl.col(name).cast(kind) for name, kind in SCHEMA.items()
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TrainerError(
            "T54",
            f"{file} cannot be read ({type(error).__name__})",
            "the ledger of a run with --method pgls",
            "Name such a run, or restore its folder.",
        ) from error
