"""The predictions of a run folder: `run.json` and `fold-*/predictions.parquet`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.runs import predictions
from trainer.runs.predictions import FILE, LAST_FILE, NETWORK_FILES, TEST, Predictions

FOLDS = 4  # the paper's cross-validation, where run.json does not say
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
"""What of `run.json` stands beside the run's name."""


@dataclass(frozen=True)
class PredictedRun:
    """One run.

    Attributes:
        name: Of the folder; what its rows are called.
        described: Network, profile, pretrained weights and so on, as far as `run.json` says.
        rows: Validation and test parts of every fold.
        missing: Folds without predictions; empty unless those were allowed.
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
    network: str | None = None,
) -> PredictedRun:
    """Read a run.

    Args:
        folder: The run's folder.
        name: What to call it.
        partial: Go on where folds are missing.
        last: The last epoch's predictions, not those of the selected weights.
        network: `student` or `teacher` of a semi-supervised run; None is the reported one.

    Raises:
        TrainerError: T20 no predictions; T21 folds missing; T22, T23 predictions that do not fit.
    """
    file = LAST_FILE if last else _file_of(folder, network)
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


def _file_of(folder: Path, network: str | None) -> str:
    """The reported network has the plain name, the other one its own."""
    if network is None:
        return FILE
    own = NETWORK_FILES[network]
    others = [file for file in NETWORK_FILES.values() if file != own]
    is_reported = any(next(folder.glob(f"fold-*/{file}"), None) for file in others)
    return FILE if is_reported else own


def names(folders: list[Path]) -> list[str]:
    """Short and different names: the folder's, with as many parents as it takes.

    Raises:
        TrainerError: T28 one folder named twice.
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
    """`run.json`; predictions alone are enough, so its absence is none of our business."""
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
