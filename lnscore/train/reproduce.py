"""`lnscore reproduce`: train the runs of a table of the paper, then make the table.

Each run is a call of `lnscore train` in a separate process. A finished run is never trained
again, so the command can be stopped and repeated.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnscore import console
from lnscore.errors import EXIT_DONE, EXIT_ERROR, Refusal
from lnscore.settings import Settings
from lnscore.summary import ShownTable
from lnscore.train.extra import train_extra
from lnscore.train.reproduce_options import ReproduceOptions, seeds_of

if TYPE_CHECKING:
    from trainer.reproduction.plan import PlannedRun
    from trainer.reproduction.recipe import Recipe
    from trainer.reproduction.rows import PaperTable


@dataclass(frozen=True, kw_only=True)
class ReproductionSummary:
    """The summary of a reproduction: state of the runs, and files.

    Attributes:
        table: Name of the table.
        runs: Name of each run to its state: done, missing or failed.
        failed: Name of each failed run to its error line.
        files: Names of the files written in `out`.
        out: Folder of runs and tables.
        commands: With `--plan`, the options with which each run is trained.
        tables: Tables of the finished runs.
    """

    table: str
    runs: dict[str, str]
    failed: dict[str, str]
    files: tuple[str, ...]
    out: Path
    commands: dict[str, str] = field(default_factory=dict)
    tables: tuple[ShownTable, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if a run failed and is missing in the table, else 0."""
        return EXIT_ERROR if self.failed else EXIT_DONE

    def lines(self) -> list[str | ShownTable]:
        """Return the tables, planned runs, failures, counts and files."""
        done = sum(state == "done" for state in self.runs.values())
        lines: list[str | ShownTable] = list(self.tables)
        lines += [f"{self.runs[name]}: {words}" for name, words in self.commands.items()]
        lines += [f"failed: {name}: {last_line}" for name, last_line in self.failed.items()]
        lines.append(f"{self.table}: {done} of {len(self.runs)} runs done in {self.out}")
        if self.files:
            lines.append(f"Wrote {', '.join(self.files)} in {self.out}.")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return {
            "table": self.table,
            "runs": self.runs,
            "failed": self.failed,
            "files": list(self.files),
            "out": str(self.out),
            "commands": self.commands,
        }


def run(name: str, options: ReproduceOptions, settings: Settings) -> ReproductionSummary:
    """Train the missing runs, and write the table of the finished runs.

    Args:
        name: Name of a table of `trainer.reproduction.rows.TABLES`.
        options: Which rows of the table are trained, and how.
        settings: Settings with the path of the database.

    Raises:
        TrainerError: T60, T61 the recipe is not valid, or is not the recipe of the folder; T62
            the runs are of two cohorts.
        Refusal: U05, an option does not fit; T29, a library of the [train] extra is missing.
    """
    with train_extra():
        from trainer.reproduction import output, plan, recipe

        table = _table(name)
        values = _recipe(options)
        names = _rows(options, table)
        plan.check(names, values)
        runs = plan.plan(names, values)
        if options.plan_only:
            return _listed(name, options, runs)
        recipe.keep(values, options.out)
        failed = _train(options, settings, runs)
        made = output.make(options.out, table, values, options.draws)
        return ReproductionSummary(
            table=table.name,
            runs=_states(options, runs, failed),
            failed=failed,
            files=made.files,
            out=options.out,
            tables=tuple(ShownTable(*shown) for shown in made.screen),
        )


def _table(name: str) -> "PaperTable":
    from trainer.reproduction.rows import TABLES

    if name not in TABLES:
        raise Refusal("U05", f"no table '{name}'", ", ".join(TABLES), "Name one of these.")
    return TABLES[name]


def _recipe(options: ReproduceOptions) -> "Recipe":
    """Return the recipe of the file, with the values that the command line replaces."""
    from trainer.reproduction import recipe

    values = recipe.Recipe() if options.recipe is None else recipe.read(options.recipe)
    given = {
        "profile": options.profile,
        "folds": options.folds,
        "seeds": seeds_of(options.seeds) or None,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    return recipe.changed(values, changed)


def _rows(options: ReproduceOptions, table: "PaperTable") -> tuple[str, ...]:
    if unknown := [name for name in options.only if name not in table.rows]:
        known = ", ".join(table.rows)
        raise Refusal("U05", f"--only {unknown[0]}", f"rows of {table.name}: {known}", "Name one.")
    return options.only or table.rows


def _listed(name: str, options: ReproduceOptions, runs: list["PlannedRun"]) -> ReproductionSummary:
    """Return the summary for `--plan`: the runs that would be trained."""
    states = _states(options, runs, {})
    commands = {run.name: f"{run.name} ({' '.join(run.options)})" for run in runs}
    return ReproductionSummary(
        table=name, runs=states, failed={}, files=(), out=options.out, commands=commands
    )


def _states(
    options: ReproduceOptions, runs: list["PlannedRun"], failed: dict[str, str]
) -> dict[str, str]:
    return {
        run.name: "done"
        if run.is_done(options.out)
        else ("failed" if run.name in failed else "missing")
        for run in runs
    }


def _train(
    options: ReproduceOptions, settings: Settings, runs: list["PlannedRun"]
) -> dict[str, str]:
    """Train the missing runs; return the error line of each failed run by its name."""
    from db.location import locate
    from lnscore.train import reproduce_runs

    missing = [run for run in runs if not run.is_done(options.out)]
    if not missing:
        return {}
    # Absolute paths, because a worker of a cluster may run in another folder.
    file, out = locate(settings.db).path, options.out.resolve()
    db = settings.db if file is None else str(file.resolve())
    jobs = [reproduce_runs.Job(run, out, db) for run in missing]
    with console.progress("reproducing", "runs") as advance:
        ended = (
            reproduce_runs.one_by_one(jobs)
            if options.workers == 1 and options.cluster is None
            else reproduce_runs.on_dask(jobs, options.workers, options.cluster)
        )
        failed = {}
        for number, end in enumerate(ended, start=1):
            advance(number, len(jobs), end.name)
            if end.last_line:
                failed[end.name] = end.last_line
                console.note(f"failed: {end.name}: {end.last_line}")
    return failed
