"""Measure how a back end or a precision changes the scores of an engine's held-out nodes.

The reference is the fp32 graph on ONNX Runtime. The nodes and their labels are found by the
split in the database (see `lnscore.engine_commands.held_out_nodes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import numpy as np

from db.session import open_database
from engines import load, parity
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.manifest import OperatingPoint
from engines.protocol import Engine
from engines.shapes import Probabilities
from lnscore.engine_commands import held_out_nodes
from lnscore.engine_commands.held_out_nodes import HeldOutNodes, auroc, scored
from lnscore.scoring import engine_choice
from lnscore.scoring.engine_choice import GoldenCheck
from lnscore.settings import Settings
from trainer.evaluation import held_out

AUROC_MAX = 0.001
"""Largest change of the AUROC that is allowed."""


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Comparison of one back end and precision with fp32 on ONNX Runtime.

    Attributes:
        nodes: Number of held-out nodes.
        largest: Largest absolute difference of the fused probabilities.
        mean: Mean absolute difference of the fused probabilities.
        rank: Spearman's rank correlation of the fused probabilities.
        auroc: AUROC of this back end and precision.
        reference: AUROC of fp32 on ONNX Runtime.
        flips: Number of calls that change, over all operating points.
        flips_outside: Number of these whose probability is farther from the threshold than the
            tolerance.
    """

    nodes: int
    largest: float
    mean: float
    rank: float
    auroc: float
    reference: float
    flips: int
    flips_outside: int

    @property
    def holds(self) -> bool:
        """Whether neither the AUROC nor a call changes beyond the tolerance."""
        return abs(self.auroc - self.reference) <= AUROC_MAX and not self.flips_outside


@dataclass(frozen=True)
class AccuracyRow:
    """One back end and precision on the held-out nodes, for a table."""

    backend: str
    precision: str
    outcome: Literal["passed", "failed"]
    reason: str
    accuracy: Accuracy | None

    COLUMNS: ClassVar = ("nodes", "largest", "mean", "rank", "AUROC", "fp32", "flips", "outside")

    def cells(self) -> list[str]:
        """Return the cells of the row."""
        numbers, found = [""] * len(self.COLUMNS), self.accuracy
        if found is not None:
            numbers = [str(found.nodes), f"{found.largest:.1e}", f"{found.mean:.1e}"]
            numbers += [f"{found.rank:.4f}", f"{found.auroc:.4f}", f"{found.reference:.4f}"]
            numbers += [str(found.flips), str(found.flips_outside)]
        return [self.backend, self.precision, self.outcome, *numbers, self.reason]


def verify(settings: Settings, name: str, rows: Sequence[GoldenCheck]) -> list[AccuracyRow]:
    """Compare every back end and precision that passed its golden inputs.

    Raises:
        EngineError: E11 there is no such engine; E20 the nodes are not in this database.
        DatabaseError: The database cannot be used.
    """
    bundle = engine_choice.choose(name, settings.engine_home).bundle
    nodes = nodes_of(settings, bundle)
    passed = [row for row in rows if row.outcome == "passed"]
    try:
        reference = scored(load.load(bundle, "onnx"), nodes, settings) if passed else np.zeros(0)
    except EngineError as error:
        return [_failed(row, error) for row in passed]
    return [_compared(bundle, row, nodes, reference, settings) for row in passed]


def _compared(
    bundle: Bundle,
    row: GoldenCheck,
    nodes: HeldOutNodes,
    reference: Probabilities,
    settings: Settings,
) -> AccuracyRow:
    try:
        engine = load.load(bundle, row.backend, cast(Precision, row.precision))
        is_other = (engine.backend, engine.precision) != ("onnx", "fp32")
        ours = scored(engine, nodes, settings) if is_other else reference
        found = check(engine, ours, reference, nodes.label)
        return AccuracyRow(row.backend, row.precision, "passed", "", found)
    except EngineError as error:
        return _failed(row, error)


def _failed(row: GoldenCheck, error: EngineError) -> AccuracyRow:
    return AccuracyRow(row.backend, row.precision, "failed", str(error), None)


def nodes_of(settings: Settings, bundle: Bundle) -> HeldOutNodes:
    """Return the engine's held-out nodes.

    Raises:
        EngineError: E20 the engine names none, or they are not in this database; E04 the entry
            that names them is not valid.
        DatabaseError: The database cannot be used.
    """
    held = held_out.of_cohort(bundle.manifest.cohort)
    if held is None:
        raise EngineError(
            "E20",
            f"engine '{bundle.name}' does not name the nodes that it was tested on",
            "an engine that `lnscore train` made",
            "Verify it without --db; then only the golden inputs are scored.",
        )
    with open_database(settings.db) as database:
        return held_out_nodes.find(database, held)


def check(
    engine: Engine, ours: Probabilities, reference: Probabilities, label: np.ndarray
) -> Accuracy:
    """Compare an engine's probabilities of the held-out nodes with the reference.

    Args:
        engine: Engine whose bundle states the operating points.
        ours: Fused probabilities of this engine, shape (node,).
        reference: Fused probabilities of fp32 on ONNX Runtime, same shape.
        label: Labels, 0 or 1, same shape.

    Raises:
        EngineError: E48 the AUROC or a call changes beyond the tolerance.
    """
    bundle = engine.bundle
    points, limit = bundle.manifest.operating_points, parity.LIMITS[engine.precision]
    found = compare(ours, reference, label, points, limit.largest)
    if not found.holds:
        raise EngineError(
            "E48",
            f"{engine.backend} {engine.precision} of '{bundle.name}': AUROC {found.auroc:.4f}, "
            f"{found.flips_outside} of {found.flips} flipped calls outside the tolerance, on "
            f"{found.nodes} held-out nodes",
            f"AUROC {found.reference:.4f} within {AUROC_MAX:g} and no such call",
            "Do not use this engine on this machine; try another back end or precision.",
        )
    return found


def compare(
    ours: Probabilities,
    reference: Probabilities,
    label: np.ndarray,
    points: list[OperatingPoint],
    tolerance: float,
) -> Accuracy:
    """Compare fused probabilities of the same nodes.

    Args:
        ours: Fused probabilities of the back end that is checked, shape (node,).
        reference: Fused probabilities of fp32 on ONNX Runtime, same shape.
        label: Labels, 0 or 1, same shape.
        points: Operating points at which calls are made.
        tolerance: Distance from a threshold within which a changed call is accepted.
    """
    off = np.abs(ours.astype(np.float64) - reference)
    flips = flips_outside = 0
    for point in points:
        flipped = (ours >= point.threshold) != (reference >= point.threshold)
        outside = np.abs(reference - point.threshold) > tolerance
        flips += int(flipped.sum())
        flips_outside += int((flipped & outside).sum())
    return Accuracy(
        nodes=len(ours),
        largest=float(off.max()),
        mean=float(off.mean()),
        rank=parity.rank_correlation(ours, reference),
        auroc=auroc(label, ours),
        reference=auroc(label, reference),
        flips=flips,
        flips_outside=flips_outside,
    )
