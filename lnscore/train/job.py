"""`lnscore train`: train a network on the nodes of the database, and make an engine from it.

The database is locked only while a split or an engine is written, so that the nightly batch can
run during a training that takes days.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lnscore.errors import Refusal
from lnscore.settings import Settings
from lnscore.train.data import digest, divide, load_cohort, shown
from lnscore.train.engine import engine_name, refuse_taken
from lnscore.train.extra import train_extra
from lnscore.train.finishing import TrainingSummary, cohort_summary_of, engine_of, makes_engine
from lnscore.train.options import TrainOptions, named
from lnscore.train.run_facts import facts_of, network_of, values_of
from trainer.names import STAGES

if TYPE_CHECKING:
    from trainer.data.cohort import Cohort
    from trainer.data.folds import Fold
    from trainer.networks.config import NetworkConfig
    from trainer.steps.devices import Device
    from trainer.steps.distributed import Ranks


def run(options: TrainOptions, settings: Settings) -> TrainingSummary:
    """Train a network as the options state.

    Raises:
        TrainerError: A run, a split, labels or weights cannot be used; nothing is lost.
        DatabaseError: The database cannot be used, or another run holds its lock.
        Refusal: U05, an option does not fit; T29, a library of the [train] extra is missing;
            T47, the user stopped the run.
    """
    options = named(options)
    with train_extra():
        from trainer.steps import distributed

        ranks = distributed.start()
        try:
            with _stopped(options):
                return _run(options, settings, ranks)
        finally:
            distributed.stop(ranks)


def _run(options: TrainOptions, settings: Settings, ranks: "Ranks") -> TrainingSummary:
    from trainer.runs import lock as run_lock
    from trainer.runs.directory import open_run
    from trainer.steps.devices import choose
    from trainer.steps.distributed import wait

    if options.stage not in STAGES:
        raise Refusal("U05", f"--stage {options.stage}", " or ".join(STAGES), "Choose one.")
    _refuse_hash_of_nothing(options)
    if options.stage == "ssl":
        from lnscore.train.semi_supervised import train_ssl

        return train_ssl(options, settings, ranks)
    if options.stage == "pretrain" and ranks.world > 1:
        found = f"--stage pretrain in {ranks.world} processes"
        raise Refusal("U05", found, "one process", "Start it without torchrun.")
    if not 0 < options.labelled_share <= 1:
        found = f"--labelled-share {options.labelled_share:g}"
        raise Refusal("U05", found, "over 0, up to 1", "0.25 is a quarter of the patients.")
    network = network_of(options)
    device = choose(options.device, ranks)
    _try_start(options, network)
    if makes_engine(options, network):
        refuse_taken(engine_name(options.name), settings.engine_home, options.out / options.name)
    cohort = load_cohort(options, settings, network, ranks)
    folds = divide(options, settings, cohort, ranks)
    facts = facts_of(options, network, cohort, digest(cohort))
    root = options.out / options.name
    with run_lock.held(root, ranks):
        if ranks.writes:
            open_run(root, facts, resume=options.resume)
        wait(ranks)
        if options.stage == "pretrain":
            return _pretrain(options, network, cohort, folds, root, device)
        return _supervised(options, settings, network, cohort, folds, root, device, ranks)


def _refuse_hash_of_nothing(options: TrainOptions) -> None:
    """Refuse a --sha256 without a weights file.

    Otherwise the facts of the run would name a file that was not used.
    """
    from trainer.networks.starting import Start

    if options.sha256 and Start.named(options.pretrained, options.sha256).file is None:
        raise Refusal(
            "U05",
            f"--sha256 with --pretrained {options.pretrained}",
            "--pretrained FILE, where the file has this hash",
            "Name the file, or leave --sha256 out.",
        )


def _try_start(options: TrainOptions, network: "NetworkConfig") -> None:
    """Refuse weights that do not fit before patches are read and the run's folder is made."""
    from trainer.networks.registry import build
    from trainer.networks.starting import Start

    if options.stage == "supervised":
        Start.named(options.pretrained, options.sha256).fill(build(network))


def _pretrain(
    options: TrainOptions,
    network: "NetworkConfig",
    cohort: "Cohort",
    folds: list["Fold"],
    root: Path,
    device: "Device",
) -> TrainingSummary:
    from trainer.steps.distributed import Ranks
    from trainer.supervised.pretraining_run import pretrain_run

    with shown("pretraining", "steps", Ranks()) as watch:
        made = pretrain_run(root, network, values_of(options), cohort, folds[0], device, watch)
    done = [
        f"{made.nodes} unlabelled nodes; error {made.loss:.3f} (1 for a constant output)"
        f"; weights in {made.file}",
        f"SHA-256 {made.sha256}",
    ]
    knobs = "".join(f"--set {text} " for text in options.knobs)
    advice = (
        f"Next: lnscore train --stage supervised --network {options.network} {knobs}"
        f"--pretrained {made.file} --sha256 {made.sha256}"
    )
    return TrainingSummary(root, done, advice)


def _supervised(
    options: TrainOptions,
    settings: Settings,
    network: "NetworkConfig",
    cohort: "Cohort",
    folds: list["Fold"],
    root: Path,
    device: "Device",
    ranks: "Ranks",
) -> TrainingSummary:
    from trainer.bundle import cohort_summary
    from trainer.networks.starting import Start
    from trainer.runs.directory import put_json
    from trainer.supervised.run import SupervisedRun, train_folds

    start = Start.named(options.pretrained, options.sha256)
    with shown("training", "steps", ranks) as watch:
        job = SupervisedRun(
            root=root,
            network=network,
            config=values_of(options),
            start=start,
            device=device,
            ranks=ranks,
            watch=watch,
        )
        train_folds(job, cohort, folds)
    done = [f"{len(folds)} folds trained in {root}"]
    if ranks.writes:
        put_json(root / cohort_summary.FILE, cohort_summary_of(options, cohort))
        done += engine_of(options, settings, network, root)
    return TrainingSummary(root, done, f"Next: lnscore eval {root}")


@contextmanager
def _stopped(options: TrainOptions) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        command = " ".join(argument for argument in sys.argv[1:] if argument != "--resume")
        raise Refusal(
            "T47",
            f"run '{options.name}' stopped by the user",
            "the end of the run",
            f"What was finished is kept. Go on with: lnscore {command} --resume",
        ) from error
