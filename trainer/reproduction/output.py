"""Write the files of a table from its finished runs, and show it in the terminal."""

from dataclasses import dataclass
from pathlib import Path

from ground.whole_files import put
from trainer.evaluation.tables import percent
from trainer.reproduction import figures, finished, results, tables
from trainer.reproduction.labels import HEADINGS, label
from trainer.reproduction.recipe import Recipe
from trainer.reproduction.results import TableResult
from trainer.reproduction.rows import PaperTable


@dataclass(frozen=True)
class TableFiles:
    """Names of the written files, and tables for the terminal as (title, headings, rows)."""

    files: tuple[str, ...]
    screen: tuple[tuple[str, list[str], list[list[str]]], ...]


def make(out: Path, table: PaperTable, recipe: Recipe, draws: int) -> TableFiles:
    """Write a table's Markdown, CSV and figures from the runs that are finished.

    Raises:
        TrainerError: T62 runs of two cohorts; T20 to T25 the predictions cannot be used.
    """
    done = finished.read(out, table.rows, recipe)
    if not done.runs:
        return TableFiles((), ())
    made = results.summarise(table, done.runs, draws, baseline=done.baseline)
    texts = tables.as_texts(made)
    texts[f"{table.name}-training.csv"] = finished.training_csv(done.folders)
    files = {name: text.encode() for name, text in texts.items()}
    files |= figures.draw(made, done.runs, done.baseline)
    for name, content in files.items():
        put(out / name, content)
    return TableFiles(tuple(files), (_on_screen(made),))


def _on_screen(made: TableResult) -> tuple[str, list[str], list[list[str]]]:
    head = ["Method", "seeds", *HEADINGS.values()]
    lines = [
        [
            label(made.table, one.row),
            str(len(one.seeds)),
            *(percent(one.figures[name]) if name in one.figures else "" for name in HEADINGS),
        ]
        for one in made.found
    ]
    return f"{made.table.title}, percent (95 % interval)", head, lines
