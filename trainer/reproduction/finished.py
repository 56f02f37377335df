"""Read the finished runs of a reproduction: their out-of-fold scores, all of one cohort."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.evaluation import predicted_run, scored
from trainer.evaluation.scored import OutOfFoldScores
from trainer.reproduction.plan import plan
from trainer.reproduction.recipe import Recipe
from trainer.runs.directory import DONE, LOG, read_facts, read_json, read_log

COLUMNS = ("run", "seed", "fold", "best_epoch", "epochs", "validation_auroc", "seconds")


@dataclass(frozen=True)
class FinishedRuns:
    """Scores of the finished runs; a row without a finished run is absent.

    Attributes:
        runs: Scores by name of the row and by seed.
        baseline: Scores of the short axis on the same nodes; None if it cannot be scored.
        folders: Folders of these runs, in the order of the plan.
    """

    runs: dict[str, dict[int, OutOfFoldScores]]
    baseline: OutOfFoldScores | None
    folders: tuple[Path, ...]


def read(out: Path, names: Iterable[str], recipe: Recipe) -> FinishedRuns:
    """Read the runs of the named rows, if they have all folds of the recipe.

    Raises:
        TrainerError: T62 two of them were trained on different cohorts; T20 to T24 the predictions
                cannot be used.
    """
    found: dict[str, dict[int, OutOfFoldScores]] = {}
    folders: list[Path] = []
    baseline = None
    wanted = set(names)
    for run in plan(wanted, recipe):
        if run.row not in wanted or not run.is_done(out):
            continue
        folder = run.folder(out)
        folders.append(folder)
        predicted = predicted_run.read(folder, run.name, partial=True)
        found.setdefault(run.row, {})[run.seed] = scored.of_run(predicted)
        baseline = baseline or scored.by_short_axis(predicted)
    _check_cohort(folders)
    return FinishedRuns(found, baseline, tuple(folders))


def _check_cohort(folders: Sequence[Path]) -> None:
    cohorts = {folder: read_facts(folder)["cohort_sha256"] for folder in folders}
    if len(set(cohorts.values())) > 1:
        first, *_ = folders
        other = next(one for one in folders if cohorts[one] != cohorts[first])
        raise TrainerError(
            "T62",
            f"{first.name} and {other.name} trained on different cohorts",
            "one cohort for all rows",
            "Reproduce into another folder with --out after the database has changed.",
        )


def training_csv(folders: Sequence[Path]) -> str:
    """Return a CSV with one row per run and fold: validation results and training time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(line for folder in folders for line in _folds(folder))
    return text.getvalue()


def _folds(folder: Path) -> list[list[Any]]:
    name, _, seed = folder.name.rpartition("-s")
    lines = []
    for place in sorted(folder.glob("fold-*")):
        if not (place / DONE).exists():
            continue
        done, log = read_json(place / DONE), read_log(place / LOG)
        best = max(
            (line["validation_auroc"] for line in log if "validation_auroc" in line), default=None
        )
        seconds = round(sum(line["seconds"] for line in log))
        reached = None if best is None else round(best, 4)
        fold = place.name.removeprefix("fold-")
        lines.append([name, seed, fold, done["best_epoch"], done["epochs"], reached, seconds])
    return lines
