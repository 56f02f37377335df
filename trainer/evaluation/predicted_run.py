"""Read the predictions of a run folder: `run.json` and `fold-*/predictions.parquet`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.runs import predictions
from trainer.runs.predictions import FILE, LAST_FILE, ROLE_FILES, TEST, Predictions

FOLDS = 4  # folds of the paper's cross-validation, used if run.json has no number
DESCRIBED = (
    "network",
    "profile",
    "stage",
    "method",
    "from",
    "pretrained",
    "labelled_share",
    "reader",
    "seed",
)
"""Facts of `run.json` that tables show beside the name of the run."""


@dataclass(frozen=True)
class PredictedRun:
    """One run with its predictions.

    Attributes:
        name: Name of the run in tables, taken from its folder.
        described: Network, profile, pretrained weights and so on, as far as `run.json` has them.
        rows: Validation and test parts of every fold.
        missing: Folds without predictions; empty unless missing folds were allowed.
    """

    name: str
    described: dict[str, str]
    rows: Predictions
    missing: tuple[int, ...]


def read(
    folder: Path,
    name: str,
    *,
    partial: bool = False,
    last: bool = False,
    role: str | None = None,
) -> PredictedRun:
    """Read the predictions of a run.

    Args:
        folder: Folder of the run.
        name: Name of the run in tables.
        partial: Whether missing folds are allowed.
        last: Whether to read the predictions of the last epoch, not those of the selected weights.
        role: `student` or `teacher` of a semi-supervised run; None is the reported one.

    Raises:
        TrainerError: T20 no predictions; T21 folds missing; T22, T23 predictions that do not fit.
    """
    file = LAST_FILE if last else _file_of(folder, role)
    files = {_fold(path.parent): path for path in sorted(folder.glob(f"fold-*/{file}"))}
    if not files:
        raise TrainerError(
            "T20",
            f"{folder} without fold-*/{file}" if folder.is_dir() else f"no folder {folder}",
            "the folder of a trained run",
            "Name a folder that `lnscore train` wrote, and let it finish.",
        )
    facts = _facts(folder / "run.json")
    missing = tuple(fold for fold in range(_folds(facts)) if fold not in files)
    if missing and not partial:
        raise TrainerError(
            "T21",
            f"{folder} without predictions of fold {', '.join(map(str, missing))}",
            f"all {_folds(facts)} folds",
            "Train the missing folds, or pass --partial to evaluate those that are there.",
        )
    rows = predictions.concat([_read_fold(path, fold) for fold, path in sorted(files.items())])
    described = {key: str(facts[key]) for key in DESCRIBED if _is_plain(facts.get(key))}
    return PredictedRun(name, described, rows, missing)


def _file_of(folder: Path, role: str | None) -> str:
    """Return the file name for a role: the reported network has the plain name."""
    if role is None:
        return FILE
    own = ROLE_FILES[role]
    others = [file for file in ROLE_FILES.values() if file != own]
    is_reported = any(next(folder.glob(f"fold-*/{file}"), None) for file in others)
    return FILE if is_reported else own


def names(folders: list[Path]) -> list[str]:
    """Return short, unique names: the folder's name, with as many parent folders as needed.

    Raises:
        TrainerError: T28 one folder is given twice.
    """
    whole = [folder.resolve() for folder in folders]
    if len(set(whole)) < len(whole):
        raise TrainerError("T28", "one run named twice", "different runs", "Name each run once.")
    for depth in range(1, max(len(path.parts) for path in whole) + 1):
        short = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(short)) == len(short):
            return short
    return [str(path) for path in whole]


def _read_fold(path: Path, fold: int) -> Predictions:
    rows = predictions.read(path)
    if set(rows.folds) != {fold}:
        raise TrainerError(
            "T22",
            f"{path} with rows of folds {rows.folds}",
            f"rows of fold {fold}",
            "Write the predictions of that fold again.",
        )
    if not (rows.part == TEST).any():
        raise TrainerError(
            "T20", f"{path} without test rows", "test predictions", "Let the fold finish."
        )
    return rows


def _fold(folder: Path) -> int:
    number = folder.name.removeprefix("fold-")
    if not number.isdecimal():
        raise TrainerError(
            "T20", f"folder {folder}", "folders fold-0, fold-1 and so on", "Rename or remove it."
        )
    return int(number)


def _facts(path: Path) -> dict[str, Any]:
    """Read `run.json`; it may be missing, because predictions alone are enough."""
    if not path.exists():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainerError(
            "T22", f"{path} unreadable ({error})", "JSON", "Restore or remove it."
        ) from error
    return facts if isinstance(facts, dict) else {}


def _folds(facts: dict[str, Any]) -> int:
    stated = facts.get("folds")
    if isinstance(stated, list):
        return len(stated)
    return stated if isinstance(stated, int) and stated > 0 else FOLDS


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)
