"""`lnscore eval`: evaluate the predictions of runs, and write tables and pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnscore import console
from lnscore.errors import EXIT_DONE, Refusal
from lnscore.summary import ShownTable
from lnscore.train.evaluate_options import EvaluateOptions
from lnscore.train.extra import train_extra
from trainer.names import ROLES

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class EvaluationSummary:
    """The summary of an evaluation.

    Attributes:
        found: Evaluation with all tables.
        files: Names of the written files; empty without `--out`.
        out: Folder of these files.
    """

    found: "Evaluation"
    files: tuple[str, ...]
    out: Path | None

    exit_code = EXIT_DONE

    def lines(self) -> list[str | ShownTable]:
        """Return the tables, then notes and files."""
        from trainer.evaluation.tables import on_screen

        lines: list[str | ShownTable] = [ShownTable(*table) for table in on_screen(self.found)]
        lines += [f"note: {note}" for note in self.found.notes]
        if self.out is None:
            return [*lines, "Add --out FOLDER to write all tables and pictures."]
        return [*lines, f"Wrote {', '.join(self.files)} in {self.out}."]

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation in the form of `evaluation.json`, and the files."""
        from trainer.evaluation.files import as_dict

        return as_dict(self.found) | {"files": list(self.files)}


def run(folders: list[Path], options: EvaluateOptions) -> EvaluationSummary:
    """Evaluate runs.

    Args:
        folders: Folders of the runs; the first is compared with the others.
        options: What to evaluate, and where to write the tables.

    Raises:
        TrainerError: T20 to T26, T28 a run or the folder for the tables cannot be used.
        Refusal: T29 a library of the [train] extra is missing; U05 there is no such role.
    """
    with train_extra():
        from trainer.evaluation import evaluate, predicted_run
        from trainer.evaluation import files as evaluation_files
    role, out = options.role, options.out
    if role is not None and (options.last or role not in ROLES):
        asked = f"--role {role}" + (" with --last" if options.last else "")
        raise Refusal("U05", asked, "student or teacher, of the selected epoch", "Choose one.")
    called = predicted_run.names(folders)
    runs = [
        predicted_run.read(folder, name, partial=options.partial, last=options.last, role=role)
        for folder, name in zip(folders, called, strict=True)
    ]
    if out is not None:
        evaluation_files.open_folder(out)  # a faulty folder is refused before the long work
    models = evaluate.models(runs)
    with console.progress("evaluating", "models") as advance:
        found = evaluate.evaluate(runs, models, draws=options.draws, advance=advance)
    folder_of = dict(zip(called, folders, strict=True))
    files = () if out is None else _write(out, found, models, folder_of)
    return EvaluationSummary(found, files, out)


def _write(
    out: Path, found: "Evaluation", models: list, folders: dict[str, Path]
) -> tuple[str, ...]:
    from trainer.evaluation import figures
    from trainer.evaluation import files as evaluation_files

    files = evaluation_files.write(out, found)
    pictures = figures.draw(models, min(found.draws, figures.BAND_DRAWS), found.seed)
    for name, folder in folders.items():
        picture = figures.draw_learning(folder)
        if picture is not None:
            pictures[f"learning-{name.replace('/', '-')}.png"] = picture
    for name, content in pictures.items():
        evaluation_files.put(out / name, content)
    return (*files, *pictures)
