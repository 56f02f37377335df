"""Write an evaluation to files: JSON for programs, Markdown for people, CSV for spreadsheets."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ground import whole_files
from trainer.errors import TrainerError
from trainer.evaluation.evaluate import Evaluation, EvaluationRow
from trainer.evaluation.tables import as_markdown

MARK = "evaluation.json"


def write(folder: Path, evaluation: Evaluation) -> list[str]:
    """Write `evaluation.json`, `evaluation.md`, `figures.csv` and `tests.csv`.

    Raises:
        TrainerError: T26 the folder holds other files, or cannot be written.
    """
    open_folder(folder)
    files = {
        MARK: json.dumps(as_dict(evaluation), indent=2, sort_keys=True, allow_nan=False) + "\n",
        "evaluation.md": as_markdown(evaluation),
        "figures.csv": as_csv(_figure_rows(evaluation.rows)),
        "tests.csv": as_csv([asdict(test) for test in evaluation.tests]),
    }
    for name, text in files.items():
        put(folder / name, text.encode())
    return list(files)


def open_folder(folder: Path) -> None:
    """Create the folder; it may hold an earlier evaluation, but no other files.

    Raises:
        TrainerError: T26 the folder holds other files, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = any(folder.iterdir()) and not (folder / MARK).exists()
    except OSError as error:
        raise _unwritable(folder, str(error)) from error
    if foreign:
        raise _unwritable(folder, "it holds other files")


def put(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises:
        TrainerError: T26 the file cannot be written.
    """
    try:
        whole_files.put(path, content)
    except OSError as error:
        raise _unwritable(path, str(error)) from error


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Convert an evaluation for JSON; an infinite threshold, which no score reaches, is null."""
    return {"evaluation_version": 1, **_finite(asdict(evaluation))}


def _figure_rows(rows: Sequence[EvaluationRow]) -> list[dict[str, Any]]:
    """Return one line per model, group and figure; groups without figures keep one for the note."""
    lines = []
    for row in rows:
        known = {
            key: getattr(row, key)
            for key in ("model", "by", "group", "nodes", "patients", "positives")
        }
        for name, figure in row.figures.items():
            at = row.achieved.get(name[-3:]) if "_at_" in name else None
            lines.append(
                known
                | {"figure": name, **asdict(figure), "threshold": at.threshold if at else None}
                | {"note": row.note}
            )
        if not row.figures:
            absent = dict.fromkeys(("figure", "value", "low", "high", "threshold"))
            lines.append(known | absent | {"note": row.note})
    return lines


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as CSV with the keys of the first row as columns; empty text without rows."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unwritable(path: Path, why: str) -> TrainerError:
    return TrainerError(
        "T26",
        f"{path} cannot be written ({why})",
        "a new folder, or one with an earlier evaluation",
        "Name another folder with --out.",
    )
