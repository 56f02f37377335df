"""`lnscore train --stage ssl`: train a semi-supervised run that starts from a supervised run."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lnscore.command_options import flag_of, inherited
from lnscore.errors import Refusal
from lnscore.settings import Settings
from lnscore.train.data import digest, divide, load_cohort, shown
from lnscore.train.engine import engine_name, refuse_taken
from lnscore.train.finishing import TrainingSummary, cohort_summary_of, engine_of, makes_engine
from lnscore.train.options import TrainOptions
from lnscore.train.run_facts import given_values, knob

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.data.cohort import Cohort
    from trainer.data.folds import Fold
    from trainer.semi_supervised.config import SslConfig
    from trainer.semi_supervised.run import SslRun
    from trainer.semi_supervised.unlabelled import Unlabelled
    from trainer.steps.distributed import Ranks


def train_ssl(options: TrainOptions, settings: Settings, ranks: "Ranks") -> TrainingSummary:
    """Train the semi-supervised stage.

    The network, the reader and the division of patients are those of the supervised run, because
    a patient of a test part there must not be a training patient here.

    Raises:
        TrainerError: A run, labels, stations or weights cannot be used.
        Refusal: U05, an option does not fit.
    """
    from trainer.runs import lock as run_lock
    from trainer.runs.directory import open_run
    from trainer.semi_supervised.run import SslRun, facts_of, read_source
    from trainer.steps.devices import choose
    from trainer.steps.distributed import wait

    source = read_source(_source(options))
    config = _config(options)
    options = _of_source(options, source.facts)
    if makes_engine(options, source.network):
        refuse_taken(engine_name(options.name), settings.engine_home, options.out / options.name)
    device = choose(options.device, ranks)
    cohort = load_cohort(options, settings, source.network, ranks)
    folds = divide(options, settings, cohort, ranks)
    unlabelled = _unlabelled(settings, cohort, folds[0], config)
    root = options.out / options.name
    facts = facts_of(source, config, cohort) | {
        "cohort_sha256": digest(cohort),
        "stations_sha256": unlabelled.digest(),
        "unlabelled": unlabelled.counts(),
    }
    with run_lock.held(root, ranks):
        if ranks.writes:
            open_run(root, facts, resume=options.resume)
        wait(ranks)
        with shown("training", "steps", ranks) as watch:
            run = SslRun(
                root=root, source=source, config=config, device=device, ranks=ranks, watch=watch
            )
            done = _train(run, cohort, unlabelled, folds)
        if ranks.writes:
            done += _finish(options, settings, run, cohort)
    return TrainingSummary(root, _idle(options, config) + done, _advice(options, config, root))


def _idle(options: TrainOptions, config: "SslConfig") -> list[str]:
    """Return a warning about values of `--set` that the method does not use.

    They are not an error, because a recipe gives the same values to all its methods.
    """
    from trainer.semi_supervised.config import unread

    names = unread(config, (knob(text)[0] for text in options.knobs))
    told = ", ".join(names)
    return [f"warning: {config.method} does not read --set {told}"] if names else []


def _train(
    run: "SslRun", cohort: "Cohort", unlabelled: "Unlabelled", folds: list["Fold"]
) -> list[str]:
    from trainer.semi_supervised.run import train_folds

    train_folds(run, cohort, unlabelled, folds)
    return [f"{len(folds)} folds trained in {run.root}", _told(unlabelled)]


def _finish(
    options: TrainOptions, settings: Settings, run: "SslRun", cohort: "Cohort"
) -> list[str]:
    """Write the counts of the cohort and make the engine; return its lines and the warnings."""
    from trainer.bundle.cohort_summary import FILE
    from trainer.runs.directory import put_json

    put_json(run.root / FILE, cohort_summary_of(options, cohort))
    engine = engine_of(options, settings, run.source.network, run.root)
    return warnings_of(run.root, run.config) + engine


def _source(options: TrainOptions) -> "Path":
    if options.source is None:
        raise Refusal(
            "U05",
            "--stage ssl without --from",
            "the folder of a supervised run",
            "Train one with --stage supervised, and name its folder with --from.",
        )
    return options.source


def _of_source(options: TrainOptions, facts: dict[str, Any]) -> TrainOptions:
    """Return the options with the values that the source run has for the inherited ones.

    Raises:
        Refusal: U05, the command line gives another value than the source run has.
    """
    names = inherited(TrainOptions)
    for name in sorted(options.given.intersection(names)):
        if getattr(options, name) != facts[name]:
            raise Refusal(
                "U05",
                f"{flag_of(TrainOptions, name)} {getattr(options, name)} with --stage ssl",
                f"{facts[name]}, as in the supervised run",
                "Leave it out, or name another run with --from.",
            )
    return replace(options, **{name: facts[name] for name in names}, sha256="")


def _config(options: TrainOptions) -> "SslConfig":
    """Return the values of the profile, changed by those of the command line.

    Raises:
        Refusal: U05, a value or an option does not fit.
    """
    from pydantic import ValidationError

    from trainer.semi_supervised.config import PROFILES, SslConfig, with_values

    if options.batch is not None:
        raise Refusal(
            "U05",
            f"--batch {options.batch} with --stage ssl",
            "--set labelled_batch=N and --set unlabelled_batch=N",
            "A step has 16 labelled and 112 unlabelled nodes.",
        )
    if options.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise Refusal("U05", f"--profile {options.profile}", known, "Choose one.")
    try:
        given = given_values(options, SslConfig)
        knobs = dict(knob(text) for text in options.knobs)
        return with_values(PROFILES[options.profile], **(given | knobs))
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"])) or "values"
        raise Refusal(
            "U05",
            f"{place}: {wrong['msg'].removeprefix('Value error, ')}",
            f"NAME=VALUE of {', '.join(sorted(SslConfig.model_fields))}",
            "See docs/method.md for each value.",
        ) from error


def _unlabelled(
    settings: Settings, cohort: "Cohort", fold: "Fold", config: "SslConfig"
) -> "Unlabelled":
    from db.session import open_database
    from trainer.semi_supervised.unlabelled import read

    with open_database(settings.db) as database, database.read() as session:
        return read(session, cohort, fold, config)


def _told(unlabelled: "Unlabelled") -> str:
    counts = unlabelled.counts()
    left = ", ".join(f"{count} by {code}" for code, count in unlabelled.excluded.items())
    return (
        f"{counts['nodes']} unlabelled nodes: {counts['malignant']} in malignant stations, "
        f"{counts['benign']} in benign, {counts['unknown']} in unknown; left out: {left or 'none'}"
    )


def warnings_of(root: "Path", config: "SslConfig") -> list[str]:
    """Return the warnings of a run's ledger."""
    if config.method != "pgls":
        return []
    from trainer.semi_supervised.ledger_summary import read_run

    return [f"warning: {one.warning}" for one in read_run(root, {}) if one.warning]


def _advice(options: TrainOptions, config: "SslConfig", root: "Path") -> str:
    ledger = f"lnscore train ledger {root}; " if config.method == "pgls" else ""
    return f"Next: {ledger}lnscore eval {root} {options.source}"
