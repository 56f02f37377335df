"""Summarise ledgers: the number of pseudo-labels in each epoch, and how many are right."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trainer.errors import TrainerError
from trainer.semi_supervised import ledger
from trainer.semi_supervised.sharpen import FEWEST_MALIGNANT

PATIENCE = 5  # epochs


@dataclass(frozen=True)
class FoldLedger:
    """Summary of the ledger of one fold.

    Attributes:
        fold: Number of the fold.
        epochs: One row per epoch with the counts `malignant` and `benign` of pseudo-labels,
            `selected_malignant` and `selected_benign`; with a known truth also `right_malignant`
            and `right_benign`, the share of right pseudo-labels (null if none can be judged).
        rules: One row per station status and rule of the last epoch: `nodes`, and with a known
            truth `right` and `malignant`, the share of malignant nodes.
        last: Decisions of the last epoch, with a column `truth` (null if unknown).
        thin: Largest number of successive epochs with fewer than ten malignant pseudo-labels.
    """

    fold: int
    epochs: pl.DataFrame
    rules: pl.DataFrame
    last: pl.DataFrame
    thin: int

    @property
    def warning(self) -> str | None:
        """Warning to the user if there are hardly any malignant pseudo-labels, else None."""
        if self.thin < PATIENCE:
            return None
        return (
            f"fold {self.fold}: fewer than {FEWEST_MALIGNANT} malignant pseudo-labels in "
            f"{self.thin} epochs in a row; the teacher's scores seldom pass beta. See "
            "docs/method.md."
        )


def read_run(root: Path, truth: Mapping[int, int]) -> list[FoldLedger]:
    """Read and summarise the ledgers of a run, in the order of the folds.

    Args:
        root: Folder of the run.
        truth: Known labels by node id; may be empty.

    Raises:
        TrainerError: T54 a ledger cannot be read; T55 the run has no ledger.
    """
    files = sorted(root.glob(f"fold-*/{ledger.FILE}"))
    if not files:
        raise TrainerError(
            "T55",
            f"{root} without fold-*/{ledger.FILE}",
            "a run with --method pgls",
            "Name such a run; other methods give no pseudo-labels from pathology.",
        )
    return [
        summarise(int(file.parent.name.removeprefix("fold-")), ledger.read(file), truth)
        for file in files
    ]


def summarise(fold: int, told: pl.DataFrame, truth: Mapping[int, int]) -> FoldLedger:
    """Count the pseudo-labels of a ledger and compare them with the truth where it is known."""
    known = pl.DataFrame(
        {"node_id": list(truth), "truth": list(truth.values())},
        schema={"node_id": pl.Int64, "truth": pl.Int8},
    )
    rows = told.join(known, on="node_id", how="left", maintain_order="left")
    epochs = rows.group_by("epoch", maintain_order=True).agg(*_counts())
    last = rows.filter(pl.col("epoch") == pl.col("epoch").max())
    rules = (
        last.group_by("station", "rule")
        .agg(
            pl.len().alias("nodes"),
            (pl.col("label") == pl.col("truth")).mean().alias("right"),
            pl.col("truth").cast(pl.Float64).mean().alias("malignant"),
        )
        .with_columns(pl.when(pl.col("rule") != "none").then(pl.col("right")).alias("right"))
        .sort("station", "rule")
    )
    return FoldLedger(fold, epochs, rules, last, _longest_thin(epochs))


def _counts() -> list[pl.Expr]:
    found = []
    for name, label in (("malignant", 1), ("benign", 0)):
        mine = pl.col("label") == label
        judged = pl.col("truth").filter(mine)
        found += [
            mine.sum().alias(name),
            (mine & pl.col("selected")).sum().alias(f"selected_{name}"),
            (judged == label).mean().alias(f"right_{name}"),
        ]
    return found


def _longest_thin(epochs: pl.DataFrame) -> int:
    longest = now = 0
    for malignant in epochs["malignant"].to_list():
        now = now + 1 if malignant < FEWEST_MALIGNANT else 0
        longest = max(longest, now)
    return longest
