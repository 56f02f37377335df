"""`lnscore train ledger`: count the pseudo-labels of a run and compare them with the truth."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnscore.errors import EXIT_DONE
from lnscore.settings import Settings
from lnscore.summary import ShownTable
from lnscore.train.extra import train_extra

if TYPE_CHECKING:
    import numpy as np

    from db.session import Session
    from trainer.semi_supervised.ledger_summary import FoldLedger

TABLE = "ledger.csv"


@dataclass(frozen=True)
class LedgerSummary:
    """The summary of the ledgers of a run.

    Attributes:
        folds: Ledger of each fold.
        truth: Reader whose labels are the truth; None if this reader did not label the nodes.
        files: Names of the files written.
        out: Folder of these files.
    """

    folds: "list[FoldLedger]"
    truth: str | None
    files: tuple[str, ...] = ()
    out: Path | None = None

    exit_code = EXIT_DONE

    def lines(self) -> list[str | ShownTable]:
        """Return two tables for each fold, then warnings and files."""
        lines: list[str | ShownTable] = []
        for one in self.folds:
            lines.append(ShownTable(f"Pseudo-labels, fold {one.fold}", *_epochs(one)))
            lines.append(ShownTable(f"Last epoch, fold {one.fold}", *_rules(one)))
        lines += [f"warning: {one.warning}" for one in self.folds if one.warning]
        if self.truth is None:
            lines.append("The pseudo-labels cannot be checked: no reader has labelled these nodes.")
        if self.out is not None:
            lines.append(f"Wrote {', '.join(self.files)} in {self.out}.")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the counts of every epoch and every rule, for `--json`."""
        folds = [
            {
                "fold": one.fold,
                "epochs": one.epochs.to_dicts(),
                "last_epoch": one.rules.to_dicts(),
                "warning": one.warning,
            }
            for one in self.folds
        ]
        return {"folds": folds, "truth": self.truth, "files": list(self.files)}


def run(folder: Path, reader: str, out: Path | None, settings: Settings) -> LedgerSummary:
    """Read the ledgers of a run, and write a table and pictures if a folder is named.

    Args:
        folder: Folder of the run.
        reader: Reader whose labels of the unlabelled nodes are taken as truth.
        out: Folder for the table and the pictures; None writes nothing.
        settings: Settings with the path of the database.

    Raises:
        TrainerError: T54, T55 there is no ledger that can be read.
        DatabaseError: The database or a patch cannot be read.
        Refusal: T29 a library of the [train] extra is missing.
    """
    with train_extra():
        from trainer.semi_supervised import ledger_summary
    from db import cohort
    from db.session import open_database

    with open_database(settings.db) as database, database.read() as session:
        truth = cohort.labels(session, reader)
        told = ledger_summary.read_run(folder, truth)
        known = any(one.last["truth"].count() for one in told)
        files = () if out is None else _write(out, told, session, settings)
    return LedgerSummary(told, reader if known else None, files, out)


def _write(
    out: Path, told: "list[FoldLedger]", session: "Session", settings: Settings
) -> tuple[str, ...]:
    import polars as pl

    from trainer.evaluation import files as evaluation_files
    from trainer.semi_supervised import ledger_figures

    out.mkdir(parents=True, exist_ok=True)
    rows = pl.concat([one.epochs.select(pl.lit(one.fold).alias("fold"), pl.all()) for one in told])
    contents = {
        TABLE: rows.write_csv(float_precision=4).encode(),
        "ledger.png": ledger_figures.draw_counts(told),
    }
    for one in told:
        chosen = ledger_figures.examples(one)
        wanted = {node for rows in chosen.values() for node in rows["node_id"].to_list()}
        patches = _patches(session, settings, wanted)
        shown = ledger_figures.draw_examples(chosen, patches)
        contents[f"examples-fold-{one.fold}.png"] = shown
    for name, content in contents.items():
        evaluation_files.put(out / name, content)
    return tuple(contents)


def _patches(
    session: "Session", settings: Settings, wanted: Iterable[int]
) -> "dict[int, np.ndarray]":
    """Return the patches of some nodes in HU, by node id."""
    from db import cohort
    from db.patchstore import PatchStore

    store, ids = PatchStore(settings.store_root), set(wanted)
    return {
        node.node_id: store.patches(node.patch_file_sha256)[node.patch_index]
        for node in cohort.nodes(session)
        if node.node_id in ids
    }


def _epochs(one: "FoldLedger") -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the first, the middle and the last epoch."""
    head = ["epoch", "malignant", "selected", "right", "benign", "selected", "right"]
    last = one.epochs.height - 1
    rows = [one.epochs.row(place, named=True) for place in sorted({0, last // 2, last})]
    cells = [
        [
            str(row["epoch"] + 1),
            *(
                cell
                for name in ("malignant", "benign")
                for cell in (
                    str(row[name]),
                    str(row[f"selected_{name}"]),
                    _share(row[f"right_{name}"]),
                )
            ),
        ]
        for row in rows
    ]
    return head, cells


def _rules(one: "FoldLedger") -> tuple[list[str], list[list[str]]]:
    head = ["station", "rule", "nodes", "right", "malignant in truth"]
    cells = [
        [
            row["station"],
            row["rule"],
            str(row["nodes"]),
            _share(row["right"]),
            _share(row["malignant"]),
        ]
        for row in one.rules.iter_rows(named=True)
    ]
    return head, cells


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
