"""Load the data of a training: the cohort, and the stored division of its patients into folds."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lnscore import console
from lnscore.errors import Refusal
from lnscore.settings import Settings
from lnscore.train.options import TrainOptions

if TYPE_CHECKING:
    from db.session import Database
    from trainer.data.cohort import Cohort
    from trainer.data.folds import Fold
    from trainer.networks.config import NetworkConfig
    from trainer.steps.distributed import Ranks


def load_cohort(
    options: TrainOptions, settings: Settings, network: "NetworkConfig", ranks: "Ranks"
) -> "Cohort":
    """Load all nodes with labels and patches into memory, and their masks if they are needed."""
    from db.patchstore import PatchStore
    from db.session import open_database
    from trainer.data import cohort

    masks = options.stage == "pretrain" or network.needs_mask
    with open_database(settings.db) as database, database.read() as session:
        store = PatchStore(settings.store_root)
        with shown("reading patches", "nodes", ranks) as advance:
            return cohort.load(
                session,
                store,
                options.reader,
                masks=masks,
                advance=lambda done, total: advance(done, total, ""),
            )


def divide(
    options: TrainOptions, settings: Settings, cohort: "Cohort", ranks: "Ranks"
) -> list["Fold"]:
    """Return the folds to train, from the split that the database holds under its name.

    The split is made and stored if it is not there. With a labelled share below 1, some
    training patients are left out of a fold.

    Raises:
        Refusal: U05, there is no such fold.
    """
    from db import splits
    from db.lock import writer_lock
    from db.session import open_database
    from trainer.data import folds

    name = split_name(options, cohort)
    with open_database(settings.db) as database, database.read() as session:
        known = splits.find(session, name)
        held = [] if known is None else splits.members(session, known)
    divided = [folds.Fold(*one) for one in enumerate(held)]
    if not held:
        divided = folds.assign(cohort, options.split_seed)
        parts = [fold.parts for fold in divided]
        if ranks.writes:
            with writer_lock(settings.db, create=False), open_database(settings.db) as database:
                _store_split(database, name, options.split_seed, parts)
    wanted = set(options.folds) or {fold.number for fold in divided}
    if unknown := sorted(wanted - {fold.number for fold in divided}):
        raise Refusal("U05", f"--fold {unknown[0]}", f"0 to {len(divided) - 1}", "Choose one.")
    share, seed = options.labelled_share, options.split_seed
    return [
        folds.with_fewer_labels(fold, cohort, share, seed)
        for fold in divided
        if fold.number in wanted
    ]


def split_name(options: TrainOptions, cohort: "Cohort") -> str:
    """Return the name of the division of patients in the database."""
    return f"{options.reader}/seed {options.split_seed}/{digest(cohort)[:12]}"


def _store_split(database: "Database", name: str, seed: int, parts: list[dict[int, str]]) -> None:
    from db import splits

    with database.begin() as session:
        splits.store(session, name, seed, parts)


def digest(cohort: "Cohort") -> str:
    """Return a hash of the patients, nodes and labels; another cohort has another split."""
    rows = sorted(
        f"{node.patient_key} {node.tracking_uid} {label}"
        for node, label in zip(cohort.nodes, cohort.labels.tolist(), strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


@contextmanager
def shown(title: str, unit: str, ranks: "Ranks") -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar in the first process, and nothing in the others."""
    if not ranks.writes:
        yield lambda done, total, note: None
        return
    with console.progress(title, unit) as advance:
        yield advance
