"""Make an engine from a finished run: the weights of one fold, with calibration and card."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engines import bundle as bundles
from engines import load, parity
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.manifest import About, Metric
from engines.shapes import Patches
from trainer.bundle import cohort_summary as cohorts
from trainer.bundle.model_card import card
from trainer.bundle.run_commands import commands
from trainer.errors import TrainerError
from trainer.evaluation import calibrate, evaluate, held_out, metrics, predicted_run
from trainer.evaluation.bootstrap import DRAWS
from trainer.evaluation.held_out import HeldOut
from trainer.evaluation.predicted_run import PredictedRun
from trainer.evaluation.scored import SHORT_AXIS
from trainer.export.golden_inputs import golden_patches
from trainer.export.graph import export
from trainer.networks.registry import Network, build, parse
from trainer.runs import checkpoint
from trainer.runs import directory as run_directory
from trainer.runs.directory import BEST, DONE
from trainer.runs.predictions import TEST, VALIDATION, Predictions

GOLDEN_NODES = 16
POOLED, HELD_OUT = "cross_validated_", "test_"
"""Prefixes of metric names: test parts of all folds, or the test part of the engine's fold."""


@dataclass(frozen=True)
class FinishedRun:
    """A run with all its folds done.

    Attributes:
        root: Folder of the run.
        facts: Content of `run.json`.
        cohort: Content of `cohort.json`.
        predicted: Validation and test rows of every fold.
    """

    root: Path
    facts: dict[str, Any]
    cohort: dict[str, Any]
    predicted: PredictedRun


@dataclass(frozen=True)
class FoldChoice:
    """The fold whose weights become the engine, and the reason for this choice."""

    fold: int
    why: str


def read_run(root: Path) -> FinishedRun:
    """Read a finished run with all its folds.

    Raises:
        TrainerError: T35 a fold is not done; T09, T20 to T23 a file cannot be used.
    """
    facts = run_directory.read_facts(root)
    if undone := run_directory.undone(root):
        raise TrainerError(
            "T35",
            f"fold {', '.join(map(str, undone))} of {root} is not done",
            f"all {facts['folds']} folds",
            "Go on with the same command and --resume.",
        )
    cohort = run_directory.read_json(root / cohorts.FILE)
    return FinishedRun(root, facts, cohort, predicted_run.read(root, root.name))


def best_fold(run: FinishedRun) -> FoldChoice:
    """Choose the fold with the highest validation AUROC, the first of equal ones.

    This choice is ours. Validation parts differ between folds, so it prefers an easy one. It does
    not use test labels, and the figures of all folds are reported beside it.
    """
    reached = {fold: _auroc(run.predicted.rows.of(VALIDATION, fold)) for fold in _folds(run)}
    fold = max(reached, key=lambda one: reached[one])
    others = ", ".join(f"{auroc:.3f}" for one, auroc in reached.items() if one != fold)
    return FoldChoice(fold, f"best validation AUROC: {reached[fold]:.3f} (other folds: {others})")


def make_bundle(
    run: FinishedRun,
    choice: FoldChoice,
    name: str,
    folder: Path,
    *,
    golden_nodes: int = GOLDEN_NODES,
    before: Sequence[str] = (),
    draws: int = DRAWS,
) -> Bundle:
    """Export the weights that validation selected in one fold.

    Args:
        run: The finished run.
        choice: The chosen fold.
        name: Name of the engine.
        folder: Folder of the bundle; must not exist.
        golden_nodes: Largest number of golden inputs.
        before: Commands that made the data, for `how_to_make_again`.
        draws: Number of bootstrap draws.

    Returns:
        The bundle. It has no fp16 graph if that graph differs too much from the golden outputs;
        the card then names the reason.

    Raises:
        TrainerError: T01 the folder exists; T24 labels of one class; T34 all outputs are alike;
            T44 the network needs outlines; T09 the weights cannot be read.
        EngineError: E09 the fp32 graph differs from the golden outputs on this machine.
    """
    network = load_weights(run, choice.fold)
    golden = golden_patches(network, golden_nodes)
    about = describe(run, choice, name, before, draws)
    if folder.exists():
        raise TrainerError("T01", f"'{folder.name}' exists", "a new folder", "Name another.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        gated = _gated(network, golden, about, Path(scratch))
        os.replace(gated.path, folder)  # only a bundle that passed gets the name
    return bundles.read(folder)


def _gated(network: Network, golden: Patches, about: About, scratch: Path) -> Bundle:
    """Export the bundle and test it on this machine; leave fp16 out if it does not pass."""
    bundle = export(network, golden, about, scratch / "both", card=card(about, network.config))
    parity.gate(bundle, load.load(bundle, "onnx", "fp32"))
    try:
        parity.gate(bundle, load.load(bundle, "onnx", "fp16"))
    except EngineError as error:
        noted = _with_note(about, f"no fp16 graph: {error.found}")
        written = card(noted, network.config)
        one = scratch / "fp32"
        return export(network, golden, noted, one, precisions=("fp32",), card=written)
    return bundle


def load_weights(run: FinishedRun, fold: int) -> Network:
    """Load the network of one fold with the weights that validation selected."""
    place = run.root / f"fold-{fold}"
    values: dict[str, Any] = {"head_prior": run_directory.read_json(place / DONE)["prior"]}
    if run.facts["values"].get("bn_momentum") is not None:
        values["bn_momentum"] = run.facts["values"]["bn_momentum"]
    network = build(parse(run.facts["config"] | values))
    tensors, _ = checkpoint.load(place / BEST)
    checkpoint.restore(tensors, network)
    return network.eval()


def describe(
    run: FinishedRun, choice: FoldChoice, name: str, before: Sequence[str], draws: int
) -> About:
    """Collect the facts of the manifest: calibration from validation, figures from test."""
    fitted = calibrate.fit(run.predicted.rows.of(VALIDATION, choice.fold))
    done = run_directory.read_json(run.root / f"fold-{choice.fold}" / DONE)
    return About(
        name=name,
        created=datetime.now(UTC).replace(microsecond=0),
        trained=True,
        how_to_make_again=" && ".join([*before, *commands(run.facts, run.root.name)]),
        calibration=fitted.calibration,
        operating_points=list(fitted.points),
        training_prior=done["prior"],
        cohort=_cohort(run, choice, done, fitted.notes),
        metrics=figures(run, choice.fold, draws),
    )


def figures(run: FinishedRun, fold: int, draws: int) -> dict[str, Metric]:
    """Compute figures with intervals of the network and the short axis, held out and pooled."""
    found: dict[str, Metric] = {}
    for model in evaluate.models([run.predicted]):
        if not model.ranked:
            continue
        axis = "short_axis_" if model.name == SHORT_AXIS else ""
        mine = model.take(model.rows.fold == fold)
        found |= evaluate.manifest_metrics(mine, HELD_OUT + axis, draws)
        found |= evaluate.manifest_metrics(model, POOLED + axis, draws)
    return found


def _cohort(
    run: FinishedRun, choice: FoldChoice, done: dict[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    facts = run.facts
    return run.cohort | {
        "reader": facts["reader"],
        "split_seed": facts["split_seed"],
        "labelled_share": facts["labelled_share"],
        "cohort_sha256": facts["cohort_sha256"],
        "pretrained": done["start"],
        "profile": facts["profile"],
        "epochs": done["epochs"],
        "best_epoch": done["best_epoch"],
        "run": run.root.name,
        "fold": choice.fold,
        "fold_chosen": choice.why,
        "held_out": _held_out(run, choice.fold).as_dict(),
        "notes": list(notes),
        **_semi_supervised(facts),
    }


def _semi_supervised(facts: dict[str, Any]) -> dict[str, Any]:
    if facts["stage"] != "ssl":
        return {}
    return {"semi_supervised": {name: facts[name] for name in ("method", "from", "unlabelled")}}


def _held_out(run: FinishedRun, fold: int) -> HeldOut:
    rows = run.predicted.rows.of(TEST, fold)
    nodes = zip(rows.tracking_uid.tolist(), rows.label.tolist(), strict=True)
    return HeldOut(
        split=run.cohort["split"],
        fold=fold,
        reader=run.facts["reader"],
        nodes=len(rows),
        positives=int(rows.label.sum()),
        sha256=held_out.digest(nodes),
    )


def _with_note(about: About, note: str) -> About:
    cohort = dict(about.cohort or {})
    return about.model_copy(update={"cohort": cohort | {"notes": [*cohort["notes"], note]}})


def _folds(run: FinishedRun) -> range:
    return range(run.facts["folds"])


def _auroc(rows: Predictions) -> float:
    calibrate.check_classes(rows.label, "a validation part")
    return float(metrics.auroc(metrics.count(rows.label, rows.probability))[0])
