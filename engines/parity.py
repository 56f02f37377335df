"""The gate before use: golden inputs must give what torch gave, on this machine."""

from dataclasses import dataclass

import numpy as np

from engines.bundle import Bundle, Golden
from engines.errors import EngineError
from engines.protocol import Engine
from engines.scores import Scores
from engines.shapes import Probabilities

SPREAD_MIN = 0.2  # a constant network makes every error look tiny


@dataclass(frozen=True)
class Limit:
    """Largest differences of a probability from torch's fp32 that are allowed."""

    largest: float
    mean: float
    keeps_order: bool


LIMITS = {"fp32": Limit(1e-4, 1e-4, True), "fp16": Limit(2e-2, 2e-3, False)}


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far an engine is from its golden inputs.

    Attributes:
        nodes: Golden inputs.
        largest: Largest difference of a probability, over all heads.
        mean: Mean difference.
        swaps: Pairs of nodes whose fused order is reversed.
        spread: Range of the expected fused probabilities.
        rank: Spearman's correlation of the fused probabilities.
    """

    nodes: int
    largest: float
    mean: float
    swaps: int
    spread: float
    rank: float


def measure(engine: Engine, golden: Golden) -> Parity:
    """Score the golden inputs and compare.

    Raises:
        EngineError: E10 the golden inputs do not tell engines apart, E15 no probabilities.
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
    """Refuse an engine that does not reproduce its bundle's golden inputs.

    Returns:
        The figures of an engine that passed.

    Raises:
        EngineError: E09 with the figures; E10, E15 as `measure`.
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
    """Range of the golden fused probabilities.

    Raises:
        EngineError: E10 where it is too small to show an error, or there are under three.
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
    """Spearman's correlation, ties at their mean rank; 1 where both have one value."""
    a, b = (_ranks(values) - (len(values) - 1) / 2 for values in (ours, theirs))
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm else float((a == b).all())


def _ranks(values: Probabilities) -> np.ndarray:
    """Mean rank of every value, from 0."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1
    return (last - (count - 1) / 2)[place]


def _heads(scores: Scores) -> list[np.ndarray]:
    heads = (scores.fused, scores.local, scores.global_)
    return [head for head in heads if head is not None]


def _swaps(got: Scores, expected: Scores) -> int:
    """Pairs with one strict order in `expected` and the other in `got`."""
    ours = np.sign(got.fused[:, None] - got.fused)
    theirs = np.sign(expected.fused[:, None] - expected.fused)
    return int((ours * theirs < 0).sum()) // 2
