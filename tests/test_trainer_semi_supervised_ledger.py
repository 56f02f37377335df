"""The ledger and what it comes to: appended whole, judged only where the truth is known."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fake_training import make_cohort, make_unlabelled
from trainer.errors import TrainerError
from trainer.semi_supervised import ledger, ledger_figures
from trainer.semi_supervised.ledger_summary import read_run, summarise
from trainer.semi_supervised.sharpen import Rules, sharpen

COHORT = make_cohort(patients=12, hidden=4)
KNOWN = make_unlabelled(COHORT)  # malignant and benign in turn; nodes 0 and 5 unknown


def epoch(number: int, score: float = 0.9) -> pl.DataFrame:
    """All nodes score alike: those of malignant stations are labelled, those of benign not."""
    scores = np.full(len(KNOWN.index), score, np.float32)
    given = sharpen(scores, KNOWN.status, KNOWN.bags, Rules())
    return ledger.rows(COHORT, KNOWN, number, scores, given, given.label == 1)


def test_epochs_are_appended_and_a_repeated_one_replaces_what_follows(tmp_path: Path) -> None:
    file = tmp_path / ledger.FILE
    for number in range(3):
        ledger.append(file, epoch(number))
    ledger.append(file, epoch(1, 0.1))
    told = ledger.read(file)
    assert told["epoch"].unique().to_list() == [0, 1]
    assert told.filter(pl.col("epoch") == 1)["score"].unique().to_list() == pytest.approx([0.1])
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ledger.FILE
    file.write_text("no Parquet")
    with pytest.raises(TrainerError, match=r"^T54: .*ledger.parquet cannot be read"):
        ledger.read(file)


def test_labels_are_counted_and_judged() -> None:
    ids = [COHORT.nodes[i].node_id for i in KNOWN.index]
    truth = dict.fromkeys(ids, 1) | {ids[2]: 0}
    told = summarise(0, epoch(0), truth)
    row = told.epochs.row(0, named=True)
    assert (KNOWN.status == 1).sum() == 3
    assert (row["malignant"], row["selected_malignant"], row["benign"]) == (3, 3, 0)
    assert row["right_malignant"] == pytest.approx(2 / 3)
    assert row["right_benign"] is None
    rules = {(r["station"], r["rule"]): r for r in told.rules.iter_rows(named=True)}
    assert rules["malignant", "malignant>beta"]["right"] == pytest.approx(2 / 3)
    assert rules["benign", "none"]["right"] is None
    assert rules["benign", "none"]["malignant"] == 1.0


def test_without_truth_nothing_is_judged() -> None:
    told = summarise(0, epoch(0), {})
    assert told.epochs["right_malignant"].to_list() == [None]
    assert told.last["truth"].null_count() == told.last.height


def test_five_thin_epochs_on_end_are_warned_of_and_four_are_not() -> None:
    thin = [pl.concat([epoch(number, 0.1) for number in range(count)]) for count in (4, 5)]
    assert summarise(0, thin[0], {}).warning is None
    warning = summarise(2, thin[1], {}).warning
    assert warning is not None
    assert warning.startswith("fold 2: fewer than 10 malignant pseudo-labels in 5 epochs in a row")


def test_a_run_without_ledgers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"^T55: "):
        read_run(tmp_path, {})


def test_pictures_are_drawn_with_and_without_truth() -> None:
    truth = {COHORT.nodes[i].node_id: 1 for i in KNOWN.index}
    patches = {COHORT.nodes[i].node_id: COHORT.patches[int(i)].numpy() for i in KNOWN.index}
    for known in ({}, truth):
        told = summarise(0, epoch(0), known)
        chosen = ledger_figures.examples(told)
        assert chosen["labelled malignant"].height == 3
        for picture in (
            ledger_figures.draw_counts([told]),
            ledger_figures.draw_examples(chosen, patches),
        ):
            assert picture.startswith(b"\x89PNG")
