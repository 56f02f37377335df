"""Plan the runs that a table needs, in their order, and find which of them are done."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainer.bundle.run_commands import setting
from trainer.networks.config import GroupedConfig
from trainer.networks.registry import NETWORKS, named
from trainer.reproduction.recipe import Recipe, Values, unfit
from trainer.reproduction.rows import ROWS, Training
from trainer.runs.directory import DONE, read_json
from trainer.semi_supervised.config import PROFILES, SslConfig
from trainer.supervised.pretraining_run import BODY

RUNS = "runs"


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run, made by one call of `lnscore train`.

    Attributes:
        name: Name of its folder in `OUT/runs`.
        row: Name of the row; "" for pretraining.
        seed: Random seed of initialisation, sampling and augmentation.
        needs: Names of the runs that it starts from.
        options: Options of `lnscore train`, without folders and database.
        folds: Number of folds that it trains; 0 for pretraining.
    """

    name: str
    row: str
    seed: int
    needs: tuple[str, ...]
    options: tuple[str, ...]
    folds: int

    def folder(self, out: Path) -> Path:
        """Return the folder of the run."""
        return out / RUNS / self.name

    def is_done(self, out: Path) -> bool:
        """Return whether every fold of the run is finished."""
        folder = self.folder(out)
        places = [folder / f"fold-{fold}" for fold in range(self.folds)] or [folder]
        return all((place / DONE).exists() for place in places)

    def arguments(self, out: Path, db: str) -> list[str]:
        """Return the arguments of `lnscore` that begin or resume the run.

        The runs that it starts from must be done.
        """
        words = ["train", *self.options, "--name", self.name, "--out", str(out / RUNS)]
        words += ["--resume", "--no-engine", "--db", db]
        words += [word for fold in range(self.folds) for word in ("--fold", str(fold))]
        for source in self.needs:
            folder = out / RUNS / source
            if source.startswith(BODY_PREFIX):
                body = read_json(folder / DONE)["sha256"]
                words += ["--pretrained", str(folder / BODY), "--sha256", body]
            else:
                words += ["--from", str(folder)]
        return words


BODY_PREFIX = "body-"


def plan(names: Iterable[str], recipe: Recipe) -> list[PlannedRun]:
    """Return every run that the rows need, each once; runs that others start from come first.

    Args:
        names: Names of the rows.
        recipe: Recipe of these rows.
    """
    runs: dict[str, PlannedRun] = {}
    for name in possible(names, recipe):
        for seed in recipe.seeds:
            for run in _with_sources(ROWS[name], seed, recipe):
                runs.setdefault(run.name, run)
    return sorted(runs.values(), key=lambda run: (_turn(run, recipe), _depth(run, runs)))


def possible(names: Iterable[str], recipe: Recipe) -> list[str]:
    """Return the rows that can be run: rows that train on all labels need a truth reader."""
    return [name for name in names if recipe.truth_reader is not None or not ROWS[name].truth]


def _turn(run: PlannedRun, recipe: Recipe) -> int:
    """Order by seed: all rows of one seed come first, so that a partial table can be compared."""
    return recipe.seeds.index(run.seed) if run.row else -1


def _depth(run: PlannedRun, runs: dict[str, PlannedRun]) -> int:
    return 1 + max((_depth(runs[name], runs) for name in run.needs), default=0)


def run_name(row: str, seed: int) -> str:
    """Return the folder name of a row's run."""
    return f"{row}-s{seed}"


def _with_sources(row: Training, seed: int, recipe: Recipe) -> list[PlannedRun]:
    if row.start is not None:
        return [*_with_sources(ROWS[row.start], seed, recipe), _ssl(row, seed, recipe)]
    run = _supervised(row, seed, recipe)
    return [_body(row, recipe), run] if _has_body(row, recipe) else [run]


def _has_body(row: Training, recipe: Recipe) -> bool:
    """Return whether a row starts from a pretrained body; 3D networks do not (paper Sec. 3.2)."""
    return recipe.pretrain is not None and isinstance(named(row.network), GroupedConfig)


def _body(row: Training, recipe: Recipe) -> PlannedRun:
    assert recipe.pretrain is not None
    options = ("--stage", "pretrain", *_network(row, recipe), *_flags(recipe.pretrain))
    return PlannedRun(
        name=f"{BODY_PREFIX}{row.name}", row="", seed=0, needs=(), options=options, folds=0
    )


def _supervised(row: Training, seed: int, recipe: Recipe) -> PlannedRun:
    options = ["--stage", "supervised", *_network(row, recipe), "--profile", recipe.profile]
    options += ["--reader", recipe.reader, "--split-seed", str(recipe.split_seed)]
    if recipe.labelled_share != 1:
        options += ["--labelled-share", str(recipe.labelled_share)]
    options += ["--seed", str(seed), *_flags(recipe.supervised)]
    needs = (f"{BODY_PREFIX}{row.name}",) if _has_body(row, recipe) else ()
    if not needs and (weights := recipe.pretrained.get(row.network)) is not None:
        options += ["--pretrained", weights.source]
        options += ["--sha256", weights.sha256] if weights.sha256 else []
    return PlannedRun(
        name=run_name(row.name, seed),
        row=row.name,
        seed=seed,
        needs=needs,
        options=tuple(options),
        folds=recipe.folds,
    )


def _ssl(row: Training, seed: int, recipe: Recipe) -> PlannedRun:
    assert row.start is not None
    assert row.method is not None
    options = ["--stage", "ssl", "--method", row.method, "--profile", recipe.profile]
    options += ["--seed", str(seed), *_sets(_values(row, recipe))]
    needs = (run_name(row.start, seed),)
    return PlannedRun(
        name=run_name(row.name, seed),
        row=row.name,
        seed=seed,
        needs=needs,
        options=tuple(options),
        folds=recipe.folds,
    )


def _values(row: Training, recipe: Recipe) -> dict[str, Any]:
    truth = {"truth_reader": recipe.truth_reader} if row.truth else {}
    return recipe.ssl | dict(row.values) | truth


def _network(row: Training, recipe: Recipe) -> list[str]:
    return ["--network", row.network, *_sets(_knobs(row, recipe))]


def _knobs(row: Training, recipe: Recipe) -> dict[str, Any]:
    """Return the row's knobs and those knobs of the recipe that the row's network has."""
    has = type(named(row.network)).model_fields
    return {k: v for k, v in recipe.network.items() if k in has} | dict(row.knobs)


def check(names: Iterable[str], recipe: Recipe) -> None:
    """Validate every row's values before the first run.

    Raises:
        TrainerError: T60 a knob, a value or a network does not exist or does not fit.
    """
    known = {knob for config in NETWORKS.values() for knob in type(config).model_fields}
    try:
        for row in (ROWS[name] for name in names):
            config = named(row.network)
            type(config).model_validate(config.model_dump() | _knobs(row, recipe))
            if row.method is not None:
                usual = PROFILES[recipe.profile].model_dump() | {"method": row.method}
                SslConfig.model_validate(usual | _values(row, recipe))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise unfit(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error
    if strangers := sorted(recipe.pretrained.keys() - NETWORKS.keys()):
        raise unfit(f"pretrained.{strangers[0]}, an unknown network")
    if strange := sorted(set(recipe.network) - known):
        raise unfit(f"network.{strange[0]}, a knob that no network has")


def _sets(values: dict[str, Any]) -> list[str]:
    return [word for item in values.items() for word in ("--set", setting(*item))]


def _flags(values: Values) -> list[str]:
    given = {name: value for name, value in values.model_dump().items() if value is not None}
    return [word for n, value in given.items() for word in (f"--{n.replace('_', '-')}", str(value))]
