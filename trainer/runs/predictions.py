"""Predictions of a network for each node, with the node's facts that evaluation needs.

There is one Parquet file per fold. Calibration and operating points are fitted on its
validation part; results are reported on its test part. A missing measure is NaN, a missing
station is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl

from trainer.errors import TrainerError
from trainer.runs.parquet import put_parquet

VALIDATION, TEST = "validation", "test"
PROBABILITY_TOLERANCE = 0.01  # half-precision logits are rounded
FILE = "predictions.parquet"
"""Predictions of the weights that validation selected."""

LAST_FILE = "predictions-last.parquet"
"""Predictions of the weights of the last epoch."""

ROLE_FILES = {"student": "predictions-student.parquet", "teacher": "predictions-teacher.parquet"}
"""Predictions of the network that a semi-supervised run does not report, at the same epoch.

Each fold has one of these files.
"""

DTYPES: dict[str, type[pl.DataType]] = {
    "node_id": pl.Int64,
    "tracking_uid": pl.String,
    "patient_id": pl.Int64,
    "fold": pl.Int64,
    "part": pl.String,
    "label": pl.Int64,
    "logit": pl.Float64,
    "probability": pl.Float64,
    "local": pl.Float64,
    "global_": pl.Float64,
    "short_axis_mm": pl.Float64,
    "long_axis_mm": pl.Float64,
    "volume_mm3": pl.Float64,
    "slice_mm": pl.Float64,
    "station": pl.String,
}


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions with one row per node and part; every array has shape (row,).

    Attributes:
        node_id: Database id of the node, `lymph_node.id`.
        tracking_uid: Tracking UID of the node, which differs between databases.
        patient_id: Database id of the patient, `patient.id`; nodes of one patient correlate.
        fold: Cross-validation fold whose network made the prediction.
        part: `validation` or `test`.
        label: 1 malignant, 0 benign.
        logit: Raw fused logit.
        probability: sigmoid(logit), the score that thresholds apply to.
        local: Logit of the local head, NaN if the network has none.
        global_: Logit of the global head, NaN if the network has none.
        short_axis_mm: Short axis, NaN if the node is marked by a point only.
        long_axis_mm: Long axis, NaN if the node is marked by a point only.
        volume_mm3: Volume, NaN if the node is marked by a point only.
        slice_mm: Slice spacing of the source series, NaN if unknown.
        station: Station as `SYSTEM:CODE`, empty if unknown.
    """

    node_id: np.ndarray
    tracking_uid: np.ndarray
    patient_id: np.ndarray
    fold: np.ndarray
    part: np.ndarray
    label: np.ndarray
    logit: np.ndarray
    probability: np.ndarray
    local: np.ndarray
    global_: np.ndarray
    short_axis_mm: np.ndarray
    long_axis_mm: np.ndarray
    volume_mm3: np.ndarray
    slice_mm: np.ndarray
    station: np.ndarray

    def __post_init__(self) -> None:
        """Refuse values that no network can give.

        Raises:
            TrainerError: T22 columns that do not fit together; T23 a node or patient occurs in two
                parts that must not share it.
        """
        lengths = {len(getattr(self, name)) for name in DTYPES}
        if len(lengths) != 1:
            raise _unfit(f"columns of {sorted(lengths)} rows", "columns of one length")
        _check_values(self)
        _check_places(self)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.node_id)

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return some of the rows, by index or by a bool mask of shape (row,)."""
        return Predictions(**{name: getattr(self, name)[rows] for name in DTYPES})

    def of(self, part: str, fold: int | None = None) -> "Predictions":
        """Return the rows of one part, of all folds or of one fold."""
        wanted = self.part == part
        return self.take(wanted if fold is None else wanted & (self.fold == fold))

    @property
    def folds(self) -> tuple[int, ...]:
        """Folds of these rows, in ascending order."""
        return tuple(int(fold) for fold in np.unique(self.fold))


def concat(parts: Sequence[Predictions]) -> Predictions:
    """Join the rows of several predictions and check them together."""
    columns = {
        name: np.concatenate([getattr(one, name) for one in parts])
        for name in (field.name for field in fields(Predictions))
    }
    return Predictions(**columns)


def write(path: Path, predictions: Predictions) -> None:
    """Write a Parquet file as a whole or not at all."""
    columns = {name: getattr(predictions, name) for name in DTYPES}
    put_parquet(path, pl.DataFrame(columns, schema=DTYPES))


def read(path: Path) -> Predictions:
    """Read a Parquet file.

    Raises:
        TrainerError: T22 unreadable, or other columns; T23 a node or patient in two parts that
            must not share it.
    """
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unfit(f"{path} unreadable ({error})", "a Parquet file") from error
    table = table.rename({"context": "global_"}, strict=False)  # its name before 2026-12
    missing = [name for name in DTYPES if name not in table.columns]
    if missing:
        raise _unfit(f"{path} without columns {', '.join(missing)}", "the columns of a prediction")
    try:
        table = table.select(pl.col(name).cast(kind) for name, kind in DTYPES.items())
    except pl.exceptions.PolarsError as error:
        raise _unfit(f"{path} with values of another type ({error})", "predictions") from error
    measures = [name for name, kind in DTYPES.items() if kind is pl.Float64]
    table = table.with_columns(pl.col(measures).fill_null(np.nan), pl.col("station").fill_null(""))
    empty = [name for name in DTYPES if table[name].null_count()]
    if empty:
        raise _unfit(f"{path} with empty cells in {', '.join(empty)}", "a value in each row")
    return Predictions(**{name: table[name].to_numpy() for name in DTYPES})


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Return the probability of a logit, float64, without overflow; same shape."""
    small = np.exp(-np.abs(logit.astype(np.float64)))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def _check_values(rows: Predictions) -> None:
    checks = {
        "labels other than 0 and 1": ~np.isin(rows.label, (0, 1)),
        "parts other than validation and test": ~np.isin(rows.part, (VALIDATION, TEST)),
        "logits that are not finite": ~np.isfinite(rows.logit),
        "probabilities outside 0 to 1": ~((rows.probability >= 0) & (rows.probability <= 1)),
    }
    for found, wrong in checks.items():
        if wrong.any():
            raise _unfit(f"{found}, first in row {int(np.argmax(wrong))}", "predictions")
    apart = np.abs(rows.probability - sigmoid(rows.logit))
    if len(rows) and apart.max() > PROBABILITY_TOLERANCE:
        worst = int(np.argmax(apart))
        raise _unfit(
            f"probability {rows.probability[worst]:.4f} beside logit {rows.logit[worst]:.4f}",
            "the sigmoid of the logit",
        )


def _check_places(rows: Predictions) -> None:
    """Check that a node occurs once per part and that parts share no patient.

    Validation parts of different folds may overlap. A patient may be in the test part of one fold
    only, and there not in its validation part.
    """
    keys = np.stack([rows.node_id, np.where(rows.part == TEST, -1, rows.fold)])
    _, first, count = np.unique(keys, axis=1, return_index=True, return_counts=True)
    if (count > 1).any():
        node = rows.node_id[first[np.argmax(count > 1)]]
        raise _leak(f"node {node} twice in one part", "every node once")
    in_test = {(int(f), int(p)) for f, p in _pairs(rows, TEST)}
    patients = [patient for _, patient in in_test]
    if len(set(patients)) < len(patients):
        twice = next(one for one in patients if patients.count(one) > 1)
        raise _leak(f"patient {twice} in the test parts of two folds", "every patient in one")
    both = in_test & {(int(f), int(p)) for f, p in _pairs(rows, VALIDATION)}
    if both:
        fold, patient = min(both)
        raise _leak(
            f"patient {patient} in validation and test of fold {fold}",
            "parts without a common patient",
        )


def _pairs(rows: Predictions, part: str) -> np.ndarray:
    chosen = rows.part == part
    return np.unique(np.stack([rows.fold[chosen], rows.patient_id[chosen]], axis=1), axis=0)


def _unfit(found: str, wanted: str) -> TrainerError:
    return TrainerError("T22", found, wanted, "Write the predictions of that fold again.")


def _leak(found: str, wanted: str) -> TrainerError:
    return TrainerError(
        "T23", found, wanted, "Make the split again; results with a leak mean nothing."
    )
