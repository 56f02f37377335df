"""`lnscore engine promote`: make an engine the default, if its figures are reproduced here.

The engine's held-out nodes are found by the split in the database and scored with the back end
of this machine. The AUROC is compared with the one in the manifest, and with the AUROC of the
present default engine on the same nodes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from db import audit
from db.lock import writer_lock
from db.session import open_database
from engines import load, parity
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import Engine
from lnscore.engine_commands import held_out_nodes
from lnscore.engine_commands.held_out_nodes import HeldOutNodes, auroc
from lnscore.errors import EXIT_DONE
from lnscore.scoring import default_engine, engine_choice
from lnscore.scoring.default_engine import DefaultEngine
from lnscore.settings import Settings, actor
from trainer.evaluation import bootstrap, held_out
from trainer.evaluation.bootstrap import DRAWS, PairedDifference
from trainer.evaluation.held_out import HeldOut

TOLERANCE = 0.001
"""Largest difference of the held-out AUROC from the one in the manifest."""

SIGNIFICANT = 0.05
STATED = "test_auroc"


@dataclass(frozen=True, kw_only=True)
class PromotionSummary:
    """The summary of a promotion: an engine that is now the default, and its figures.

    Attributes:
        name: Name of the engine.
        stated: Held-out AUROC in its manifest.
        auroc: Held-out AUROC measured here.
        nodes: Number of held-out nodes.
        positives: Number of malignant nodes among these.
        default: Name of the old default; None if there was none to compare with.
        difference: AUROC minus that of the old default, with interval and p; None without it.
        notes: Notes for the user, in sentences.
        exit_code: Exit code of the command.
    """

    name: str
    stated: float
    auroc: float
    nodes: int
    positives: int
    default: str | None
    difference: PairedDifference | None
    notes: tuple[str, ...]
    exit_code: int = EXIT_DONE

    def lines(self) -> list[str]:
        """Return the figures as a few lines of text."""
        found = (
            f"engine {self.name}: AUROC {self.auroc:.4f} on {self.nodes} held-out nodes "
            f"({self.positives} malignant), stated {self.stated:.4f}"
        )
        beside = [] if self.difference is None else [_beside(self.default, self.difference)]
        return [found, *beside, *self.notes, f"engine {self.name} is now the default"]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return asdict(self)


def promote(settings: Settings, name: str) -> PromotionSummary:
    """Make an engine the default, if its figures are reproduced here.

    Raises:
        EngineError: E04 the entry that names its held-out nodes is not valid; E09 it differs
            from its golden outputs; E11 there is no such engine; E20 the nodes are not in this
            database; E21 its AUROC differs from the stated one, or is lower than the default's.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    bundle = engine_choice.show(name, settings.engine_home)
    engine = _ready(bundle)
    with open_database(settings.db) as database:
        nodes = held_out_nodes.find(database, _held_out(bundle))
    ours = held_out_nodes.scored(engine, nodes, settings)
    stated, found = bundle.manifest.metrics[STATED].value, auroc(nodes.label, ours)
    if abs(found - stated) > TOLERANCE:
        raise _refused(
            name,
            f"AUROC {found:.4f} on {len(ours)} held-out nodes",
            f"the stated {stated:.4f} within {TOLERANCE:g}",
        )
    old, notes = _old_default(settings, bundle)
    difference = None if old is None else _compare(old, name, nodes, ours, settings)
    if old is not None and not _tested_on(old, _held_out(bundle)):
        notes.append(f"{old.name} may have been trained on some of these nodes, which favours it")
    if bundle.manifest.caution:
        notes.append(f"engine {name} is {bundle.manifest.caution}")
    _put(settings, bundle, {"auroc": found, "stated": stated, "nodes": len(ours)})
    return PromotionSummary(
        name=name,
        stated=stated,
        auroc=found,
        nodes=len(ours),
        positives=int(nodes.label.sum()),
        default=None if old is None else old.name,
        difference=difference,
        notes=tuple(notes),
    )


def _tested_on(old: Bundle, held: HeldOut) -> bool:
    """Return whether the old default was tested on these nodes; False if it does not tell."""
    try:
        return held_out.of_cohort(old.manifest.cohort) == held
    except EngineError:
        return False


def _held_out(bundle: Bundle) -> HeldOut:
    held = held_out.of_cohort(bundle.manifest.cohort)
    if held is None or STATED not in bundle.manifest.metrics:
        raise EngineError(
            "E20",
            f"engine '{bundle.name}' does not name the nodes that it was tested on",
            "an engine that `lnscore train` made",
            "It cannot become the default, but you can score with it with --engine.",
        )
    return held


def _ready(bundle: Bundle) -> Engine:
    engine = load.load(bundle)
    parity.gate(bundle, engine)
    return engine


def _old_default(settings: Settings, bundle: Bundle) -> tuple[Bundle | None, list[str]]:
    """Return the old default to compare with, and notes; None if it is missing or unusable."""
    try:
        default = default_engine.read(settings.engine_home)
        if default is None:
            return None, []
        if default.matches(bundle):
            return None, [f"engine {bundle.name} was the default already"]
        return engine_choice.promoted(default, settings.engine_home), []
    except EngineError as error:
        return None, [f"not compared with the old default: {error}"]


def _compare(
    old: Bundle, name: str, nodes: HeldOutNodes, ours: np.ndarray, settings: Settings
) -> PairedDifference:
    theirs = held_out_nodes.scored(_ready(old), nodes, settings)
    draws = bootstrap.patient_draws(nodes.patient, DRAWS, 0)
    found = bootstrap.paired(nodes.label, ours, theirs, draws)
    if found.value < 0 and found.p < SIGNIFICANT:
        raise _refused(
            name,
            f"AUROC {auroc(nodes.label, ours):.4f} on {len(ours)} held-out nodes, and "
            f"{auroc(nodes.label, theirs):.4f} by the default '{old.name}' ({_interval(found)})",
            f"no significantly lower AUROC (p at least {SIGNIFICANT:g})",
        )
    return found


def _put(settings: Settings, bundle: Bundle, figures: dict[str, Any]) -> None:
    """Write the audit row and the default's file, or neither if the file cannot be written."""
    default = DefaultEngine(bundle.name, bundle.manifest.weights_sha256)
    details = {"weights": default.weights_sha256} | figures
    with (
        writer_lock(settings.db, create=False),
        open_database(settings.db) as database,
        database.begin() as session,
    ):
        audit.record(session, actor(), "promote", f"engine {bundle.name}", details)
        default_engine.write(settings.engine_home, default)


def _beside(default: str | None, difference: PairedDifference) -> str:
    return f"compared with the default {default}: {_interval(difference)}"


def _interval(difference: PairedDifference) -> str:
    low, high = difference.low, difference.high
    bounds = "" if low is None or high is None else f", 95 % {low:+.4f} to {high:+.4f}"
    return f"difference {difference.value:+.4f}{bounds}, p {difference.p:.3f}"


def _refused(name: str, found: str, wanted: str) -> EngineError:
    fix = "It can be used with --engine; the default stays as it is."
    return EngineError("E21", f"engine '{name}': {found}", wanted, fix)
