"""`lnscore train`: the database's nodes and labels in, a run folder and an engine out.

The database is held only while a split or an engine is written: a night's batch may run
beside a training of days.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnscore import console
from lnscore.errors import EXIT_DONE, Refusal
from lnscore.eval_job import train_extra
from lnscore.settings import Settings
from lnscore.trained_engine import engine_name, make_engine, refuse_taken

if TYPE_CHECKING:
    from db.session import Database
    from trainer.cohort import Cohort
    from trainer.config import NetworkConfig
    from trainer.devices import Device
    from trainer.distributed import Ranks
    from trainer.folds import Fold

STAGES = ("pretrain", "supervised", "ssl")


@dataclass(frozen=True)
class TrainOptions:
    """What the command line said.

    Attributes:
        stage: `pretrain`, `supervised` or `ssl`.
        network: A name of `trainer.networks.registry`.
        knobs: `name=value` of the network's configuration, as `fpn_channels=32`; of the
            stage's, as `beta=0.8`, where that is `ssl`.
        profile: `paper`, `default` or `scratch`.
        name: The run's; its folder is `out/name`.
        out: Folder of all runs.
        reader: Whose labels.
        folds: Which folds; empty for all.
        split_seed: Of the division of patients.
        pretrained: `none`, `torchvision:...`, `timm:...`, or a safetensors file.
        sha256: Of that file.
        resume: Go on with a run.
        device: `auto`, `cpu`, `cuda`.
        epochs: None is the profile's, as for those that follow.
        engine: Export, import and register the engine of a complete run.
        method: Of the semi-supervised stage.
        source: The supervised run's folder, for that stage.
    """

    stage: str
    network: str
    knobs: tuple[str, ...]
    profile: str
    name: str
    out: Path
    reader: str
    folds: tuple[int, ...]
    split_seed: int
    pretrained: str
    sha256: str
    resume: bool
    device: str
    engine: bool = True
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    precision: str | None = None
    seed: int | None = None
    method: str | None = None
    source: Path | None = None


@dataclass(frozen=True)
class Trained:
    """What a run made."""

    run: Path
    done: list[str]
    advice: str
    exit_code: int = EXIT_DONE

    def lines(self) -> list[str]:
        """What happened, and what to do next."""
        return [*self.done, self.advice]

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        return asdict(self) | {"run": str(self.run)}


def run(options: TrainOptions, settings: Settings) -> Trained:
    """Train.

    Raises:
        TrainerError: A run, a split, labels or weights that cannot be used; nothing is lost.
        DatabaseError: The database cannot be used, or another run holds it.
        Refusal: U05, an option that does not fit; T29, without the extra; T47, stopped by the
            user.
    """
    with train_extra():
        from trainer import distributed

        ranks = distributed.start()
        try:
            with _stopped(options):
                return _run(options, settings, ranks)
        finally:
            distributed.stop(ranks)


def _run(options: TrainOptions, settings: Settings, ranks: "Ranks") -> Trained:
    from trainer.devices import choose
    from trainer.run_directory import open_run

    if options.stage not in STAGES:
        raise Refusal("U05", f"--stage {options.stage}", " or ".join(STAGES), "Choose one.")
    if options.stage == "ssl":
        from lnscore.ssl_training import train_ssl

        return train_ssl(options, settings, ranks)
    if options.stage == "pretrain" and ranks.world > 1:
        found = f"--stage pretrain in {ranks.world} processes"
        raise Refusal("U05", found, "one process", "Start it without torchrun.")
    network = _network(options)
    device = choose(options.device, ranks)
    _try_start(options, network)
    if makes_engine(options, network):
        refuse_taken(engine_name(options.name), settings.engine_home, options.out / options.name)
    cohort = load_cohort(options, settings, network, ranks)
    folds = divide(options, settings, cohort, ranks)
    facts = _facts(options, network, cohort)
    root = options.out / options.name
    if ranks.writes:
        open_run(root, facts, resume=options.resume)
    distributed_wait(ranks)
    if options.stage == "pretrain":
        return _pretrain(options, network, cohort, folds, root, device)
    return _supervised(options, settings, network, cohort, folds, root, device, ranks)


def _try_start(options: TrainOptions, network: "NetworkConfig") -> None:
    """Weights that do not fit are refused before patches are read and a folder is begun."""
    from trainer.networks.registry import build
    from trainer.networks.starting import Start

    if options.stage == "supervised":
        Start.named(options.pretrained, options.sha256).fill(build(network))


def distributed_wait(ranks: "Ranks") -> None:
    """Until every process is here."""
    from trainer.distributed import wait

    wait(ranks)


def _network(options: TrainOptions) -> "NetworkConfig":
    from pydantic import ValidationError

    from trainer.networks.registry import named, parse

    config = named(options.network)
    try:
        knobs = dict(knob(text) for text in options.knobs)
        return parse(config.model_dump() | knobs)
    except (ValidationError, ValueError) as error:
        raise Refusal(
            "U05",
            f"--set {' --set '.join(options.knobs)}: {str(error).splitlines()[-1].strip()}",
            f"NAME=VALUE of {', '.join(sorted(config.model_dump()))}",
            "See docs/networks.md for each knob.",
        ) from error


def knob(text: str) -> tuple[str, Any]:
    """The name and the value of NAME=VALUE, as JSON where it is."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def load_cohort(
    options: TrainOptions, settings: Settings, network: "NetworkConfig", ranks: "Ranks"
) -> "Cohort":
    """Every node's patch, in memory."""
    from db.patchstore import PatchStore
    from db.session import open_database
    from trainer import cohort

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
    """The split that the database holds under this name, made once."""
    from db import splits
    from db.lock import writer_lock
    from db.session import open_database
    from trainer import folds

    name = split_name(options, cohort)
    with open_database(settings.db) as database, database.read() as session:
        known = splits.find(session, name)
        held = [] if known is None else splits.members(session, known)
    divided = [folds.Fold(*one) for one in enumerate(held)]
    if not held:
        divided = folds.assign(cohort, options.split_seed)
        parts = [fold.parts for fold in divided]
        if ranks.writes:
            with writer_lock(settings.db), open_database(settings.db) as database:
                _store_split(database, name, options.split_seed, parts)
    wanted = set(options.folds) or {fold.number for fold in divided}
    if unknown := sorted(wanted - {fold.number for fold in divided}):
        raise Refusal("U05", f"--fold {unknown[0]}", f"0 to {len(divided) - 1}", "Choose one.")
    return [fold for fold in divided if fold.number in wanted]


def split_name(options: TrainOptions, cohort: "Cohort") -> str:
    """Of the division of patients in the database."""
    return f"{options.reader}/seed {options.split_seed}/{digest(cohort)[:12]}"


def _store_split(database: "Database", name: str, seed: int, parts: list[dict[int, str]]) -> None:
    from db import splits

    with database.begin() as session:
        splits.store(session, name, seed, parts)


def digest(cohort: "Cohort") -> str:
    """Over whose nodes with which labels: another cohort has another split."""
    rows = sorted(
        f"{node.patient_key} {node.tracking_uid} {label}"
        for node, label in zip(cohort.nodes, cohort.labels.tolist(), strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _facts(options: TrainOptions, network: "NetworkConfig", cohort: "Cohort") -> dict[str, Any]:
    """What a run is: to go on, all of it must be equal."""
    from trainer.folds import FOLDS

    return {
        "stage": options.stage,
        "network": options.network,
        "config": network.model_dump(mode="json"),
        "profile": options.profile if options.stage == "supervised" else None,
        "values": _values(options).model_dump(mode="json"),
        "reader": options.reader,
        "split_seed": options.split_seed,
        "cohort_sha256": digest(cohort),
        "nodes": len(cohort.nodes),
        "labelled": len(cohort.labelled),
        "positive": int((cohort.labels == 1).sum()),
        "pretrained": _pretrained_fact(options),
        "folds": FOLDS,
    }


def _pretrained_fact(options: TrainOptions) -> str:
    return f"file:{options.sha256.lower()}" if options.sha256 else options.pretrained


def _values(options: TrainOptions) -> Any:  # noqa: ANN401
    """The stage's values: the profile's, changed by the command line."""
    from pydantic import ValidationError

    from trainer.profiles import PROFILES, with_values
    from trainer.stage_pretrain import PretrainConfig

    if options.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise Refusal("U05", f"--profile {options.profile}", f"one of {known}", "Choose one.")
    names = ("epochs", "batch", "learning_rate", "precision", "seed")
    given = {n: value for n in names if (value := getattr(options, n)) is not None}
    try:
        if options.stage == "pretrain":
            return PretrainConfig(**given)
        return with_values(PROFILES[options.profile], **given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise Refusal(
            "U05", f"--{option} {first['input']}", first["msg"], "See docs/training.md."
        ) from error


def _pretrain(
    options: TrainOptions,
    network: "NetworkConfig",
    cohort: "Cohort",
    folds: list["Fold"],
    root: Path,
    device: "Device",
) -> Trained:
    from trainer.distributed import Ranks
    from trainer.run_pretrain import pretrain_run

    with shown("pretraining", "steps", Ranks()) as watch:
        made = pretrain_run(root, network, _values(options), cohort, folds[0], device, watch)
    done = [
        f"{made.nodes} unlabelled nodes; error {made.loss:.3f} of a constant's 1 in {made.file}",
        f"SHA-256 {made.sha256}",
    ]
    knobs = "".join(f"--set {text} " for text in options.knobs)
    advice = (
        f"Next: lnscore train --stage supervised --network {options.network} {knobs}"
        f"--pretrained {made.file} --sha256 {made.sha256}"
    )
    return Trained(root, done, advice)


def _supervised(
    options: TrainOptions,
    settings: Settings,
    network: "NetworkConfig",
    cohort: "Cohort",
    folds: list["Fold"],
    root: Path,
    device: "Device",
    ranks: "Ranks",
) -> Trained:
    from trainer import cohort_summary
    from trainer.networks.starting import Start
    from trainer.run_directory import put_json
    from trainer.run_supervised import SupervisedRun, train_folds

    start = Start.named(options.pretrained, options.sha256)
    with shown("training", "steps", ranks) as watch:
        job = SupervisedRun(root, network, _values(options), start, device, ranks, watch)
        train_folds(job, cohort, folds)
    done = [f"{len(folds)} folds trained in {root}"]
    if ranks.writes:
        put_json(root / cohort_summary.FILE, cohort_summary_of(options, cohort))
        done += engine_of(options, settings, network, root)
    return Trained(root, done, f"Next: lnscore eval {root}")


def makes_engine(options: TrainOptions, network: "NetworkConfig") -> bool:
    """Whether the run ends with an engine; one that needs outlines cannot score patches alone."""
    return options.engine and options.stage != "pretrain" and not network.needs_mask


def engine_of(
    options: TrainOptions, settings: Settings, network: "NetworkConfig", root: Path
) -> list[str]:
    """The engine of a complete run, or why there is none, in sentences.

    Raises:
        TrainerError, EngineError, DatabaseError: It cannot be made or does not work here.
    """
    from trainer.run_directory import undone

    if not makes_engine(options, network):
        why = "as asked" if not options.engine else "the network needs every node's outline"
        return [f"no engine made: {why}"]
    if left := undone(root):
        return [f"no engine yet: fold {', '.join(map(str, left))} is still to be trained"]
    return make_engine(root, settings).lines()


def cohort_summary_of(options: TrainOptions, cohort: "Cohort") -> dict[str, Any]:
    """Counts for the engine's model card."""
    from trainer.cohort_summary import summary

    return summary(cohort, split_name(options, cohort))


@contextmanager
def shown(title: str, unit: str, ranks: "Ranks") -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar in the first process, nothing in the others."""
    if not ranks.writes:
        yield lambda done, total, note: None
        return
    with console.progress(title, unit) as advance:
        yield advance


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
