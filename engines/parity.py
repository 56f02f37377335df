"""The parity gate: check that an engine reproduces its golden outputs on this machine.

The golden outputs are the scores that torch computed in float32 for the golden inputs.
"""

from dataclasses import dataclass

import numpy as np

from engines.bundle import Bundle, Golden
from engines.errors import EngineError
from engines.protocol import Engine
from engines.scores import Scores
from engines.shapes import Probabilities

SPREAD_MIN = 0.2  # errors of a network with constant output would be too small to see


@dataclass(frozen=True)
class Limit:
    """Limits for the difference between a probability and torch's in float32.

    Attributes:
        largest: Largest allowed difference.
        mean: Largest allowed mean difference.
        keeps_order: True if no pair of nodes may change its order.
    """

    largest: float
    mean: float
    keeps_order: bool


LIMITS = {"fp32": Limit(1e-4, 1e-4, True), "fp16": Limit(2e-2, 2e-3, False)}


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Differences between an engine's outputs and its golden outputs.

    Attributes:
        nodes: Number of golden inputs.
        largest: Largest difference of a probability, over all heads.
        mean: Mean difference of a probability, over all heads.
        swaps: Number of pairs of nodes whose order by fused probability is reversed.
        spread: Range of the golden fused probabilities.
        rank: Spearman's rank correlation of the fused probabilities.
    """

    nodes: int
    largest: float
    mean: float
    swaps: int
    spread: float
    rank: float


def measure(engine: Engine, golden: Golden) -> Parity:
    """Score the golden inputs and compare the outputs with the golden outputs.

    Raises:
        EngineError: E10 the golden outputs are too few or too similar; E15 an output is not a
            probability.
    """
    expected = golden.expected
    spread = golden_spread(expected)
    got = engine.score(golden.patches)
    error = np.concatenate(
        [np.abs(a - b) for a, b in zip(_heads(got), _heads(expected), strict=True)]
    )
    return Parity(
        nodes=len(got),
        largest=float(error.max()),
        mean=float(error.mean()),
        swaps=_swaps(got, expected),
        spread=spread,
        rank=rank_correlation(got.fused, expected.fused),
    )


def gate(bundle: Bundle, engine: Engine) -> Parity:
    """Raise an error if an engine does not reproduce its bundle's golden outputs.

    Returns:
        The measured differences, if the engine passed.

    Raises:
        EngineError: E09 the differences are too large; E10, E15 (see `measure`).
    """
    parity, limit = measure(engine, bundle.golden()), LIMITS[engine.precision]
    off = parity.largest > limit.largest or parity.mean > limit.mean
    if off or (limit.keeps_order and parity.swaps):
        raise EngineError(
            "E09",
            f"{engine.backend} {engine.precision} of '{bundle.name}' off its golden outputs by "
            f"{parity.largest:.1e} (mean {parity.mean:.1e}), {parity.swaps} swapped pairs",
            f"at most {limit.largest:.0e} (mean {limit.mean:.0e})"
            + (", no swapped pair" if limit.keeps_order else ""),
            "Do not use this engine on this machine; try another back end or precision.",
        )
    return parity


def golden_spread(expected: Scores) -> float:
    """Return the range of the golden fused probabilities.

    Raises:
        EngineError: E10 there are fewer than three, or their range is too small to show errors.
    """
    spread = float(np.ptp(expected.fused)) if len(expected) else 0.0
    if len(expected) < 3 or not spread >= SPREAD_MIN:
        raise EngineError(
            "E10",
            f"{len(expected)} golden outputs with a range of {spread:.2g}",
            f"at least 3 with a range of {SPREAD_MIN:g}",
            "Export the engine with inputs that it scores differently.",
        )
    return spread


def rank_correlation(ours: Probabilities, theirs: Probabilities) -> float:
    """Compute Spearman's rank correlation; equal values get their mean rank.

    If an input is constant, the result is 1 if both are constant and 0 otherwise.
    """
    a, b = (_ranks(values) - (len(values) - 1) / 2 for values in (ours, theirs))
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm else float((a == b).all())


def _ranks(values: Probabilities) -> np.ndarray:
    """Return the rank of every value, from 0; equal values get their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1
    return (last - (count - 1) / 2)[place]


def _heads(scores: Scores) -> list[np.ndarray]:
    heads = (scores.fused, scores.local, scores.global_)
    return [head for head in heads if head is not None]


def _swaps(got: Scores, expected: Scores) -> int:
    """Count pairs of nodes that have the opposite strict order in `got` and `expected`."""
    ours = np.sign(got.fused[:, None] - got.fused)
    theirs = np.sign(expected.fused[:, None] - expected.fused)
    return int((ours * theirs < 0).sum()) // 2
