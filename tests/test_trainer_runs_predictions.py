"""Predictions on disk: what goes in comes out, and what cannot be is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fake_predictions import cohort, fold_of, predicted
from trainer.errors import TrainerError
from trainer.runs import predictions
from trainer.runs.predictions import DTYPES, TEST, VALIDATION, Predictions, concat

ROWS = predicted(cohort())


def changed(rows: Predictions, column: str, row: int, value: object) -> Predictions:
    values = getattr(rows, column).copy()
    values[row] = value
    return replace(rows, **{column: values})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    predictions.write(tmp_path / "p.parquet", ROWS)
    again = predictions.read(tmp_path / "p.parquet")
    for name in DTYPES:
        np.testing.assert_array_equal(getattr(again, name), getattr(ROWS, name))


def test_null_measures_are_nan(tmp_path: Path) -> None:
    table = pl.DataFrame({name: getattr(ROWS, name) for name in DTYPES}, schema=DTYPES)
    table = table.with_columns(local=pl.lit(None, pl.Float64), station=pl.lit(None, pl.String))
    table.write_parquet(tmp_path / "p.parquet")
    again = predictions.read(tmp_path / "p.parquet")
    assert np.isnan(again.local).all()
    assert set(again.station) == {""}


def test_parts_of_all_folds_are_all_rows() -> None:
    assert len(ROWS.of(TEST)) + len(ROWS.of(VALIDATION)) == len(ROWS)
    assert len(ROWS.of(TEST, 0)) == len(fold_of(cohort(), 0).of(TEST))


@pytest.mark.parametrize(
    ("column", "value", "code", "said"),
    [
        ("label", 2, "T22", "labels other than 0 and 1, first in row 5"),
        ("part", "train", "T22", "parts other than validation and test"),
        ("logit", np.nan, "T22", "logits that are not finite"),
        ("probability", 1.5, "T22", "probabilities outside 0 to 1"),
        ("logit", 9.0, "T22", "wanted the sigmoid of the logit"),
    ],
)
def test_what_no_network_says_is_refused(column: str, value: object, code: str, said: str) -> None:
    with pytest.raises(TrainerError, match=said) as refused:
        changed(ROWS, column, 5, value)
    assert refused.value.code == code


def test_a_node_twice_in_one_part_is_refused() -> None:
    with pytest.raises(TrainerError, match="twice in one part") as refused:
        concat([ROWS, ROWS.of(TEST, 1)])
    assert refused.value.code == "T23"


def test_a_patient_in_two_test_parts_is_refused() -> None:
    rows = ROWS.of(TEST)
    other = int(np.flatnonzero(rows.fold == 1)[0])
    with pytest.raises(TrainerError, match="in the test parts of two folds"):
        changed(rows, "patient_id", other, rows.patient_id[rows.fold == 0][0])


def test_a_patient_in_validation_and_test_of_one_fold_is_refused() -> None:
    rows = ROWS.take(ROWS.fold == 0)
    validation = int(np.flatnonzero(rows.part == VALIDATION)[0])
    patient = rows.patient_id[rows.part == TEST][0]
    with pytest.raises(TrainerError, match="in validation and test of fold 0"):
        changed(rows, "patient_id", validation, patient)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"no")
    with pytest.raises(TrainerError, match="T22"):
        predictions.read(tmp_path / "p.parquet")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    pl.DataFrame({"node_id": [1]}).write_parquet(tmp_path / "p.parquet")
    with pytest.raises(TrainerError, match="without columns tracking_uid, patient_id"):
        predictions.read(tmp_path / "p.parquet")
