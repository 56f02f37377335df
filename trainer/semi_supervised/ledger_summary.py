"""What a ledger comes to: pseudo-labels by epoch, and how often they are right."""

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
    """The ledger of one fold.

    Attributes:
        fold: Its number.
        epochs: One row an epoch: `malignant` and `benign` pseudo-labels, `selected_malignant`
            and `selected_benign`, and with truth `right_malignant`, `right_benign`: shares,
            null where there is none to judge.
        rules: One row a station status and rule in the last epoch: `nodes`, and with truth
            `right` and `malignant`, the share that is malignant.
        last: The decisions of the last epoch, with a column `truth` (null unknown).
        thin: Longest row of epochs with fewer than ten malignant pseudo-labels.
    """

    fold: int
    epochs: pl.DataFrame
    rules: pl.DataFrame
    last: pl.DataFrame
    thin: int

    @property
    def warning(self) -> str | None:
        """What a user should know of a pool that stays nearly empty."""
        if self.thin < PATIENCE:
            return None
        return (
            f"fold {self.fold}: fewer than {FEWEST_MALIGNANT} malignant pseudo-labels in "
            f"{self.thin} epochs in a row; the teacher's scores seldom pass beta. See "
            "docs/method.md."
        )


def read_run(root: Path, truth: Mapping[int, int]) -> list[FoldLedger]:
    """The ledgers of a run, fold by fold.

    Args:
        root: The run's folder.
        truth: Node id to label, where it is known; may be empty.

    Raises:
        TrainerError: T54 a ledger cannot be read; T55 there is none.
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
    """Count a ledger, and judge it where the truth is known."""
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
