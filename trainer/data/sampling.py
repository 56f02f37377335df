"""Which labelled nodes make a batch: naturally, or with a fixed share of positives.

Every draw follows from (seed, fold, epoch), so that a run that goes on after a kill draws
what it would have drawn.
"""

from collections.abc import Iterator

import numpy as np

SAMPLING_STREAM, AUGMENT_STREAM, DROPOUT_STREAM, INIT_STREAM = 1, 2, 3, 4
UNLABELLED_STREAM, TEACHER_STREAM, SELECTION_STREAM = 5, 6, 7
SSL = 100
"""Added to a purpose in the semi-supervised stage, which must not repeat the draws before."""


def stream(seed: int, fold: int, epoch: int, purpose: int) -> np.random.Generator:
    """An independent generator for one purpose in one epoch."""
    return np.random.default_rng([seed, fold, epoch, purpose])


def seed_of(rng: np.random.Generator) -> int:
    """A seed for a torch generator."""
    return int(rng.integers(2**62))


def batches(
    labels: np.ndarray,
    size: int,
    positive_fraction: float | None,
    rng: np.random.Generator,
    steps: int | None = None,
) -> Iterator[np.ndarray]:
    """One epoch: as many batches as one pass over the nodes has, or so many steps.

    Args:
        labels: 0 or 1, shape (node,).
        size: Nodes of a batch.
        positive_fraction: Share of positives in every batch; None draws naturally, no node
            again before all were drawn.
        rng: Of this epoch.
        steps: Batches; None is one pass.

    Yields:
        Index into `labels`, shape (size,).
    """
    steps = steps or max(1, len(labels) // size)
    if positive_fraction is None:
        order = _cycled(np.arange(len(labels)), steps * size, rng)
        yield from order.reshape(steps, size)
        return
    positives = positives_of(size, positive_fraction)
    yes = _cycled(np.flatnonzero(labels == 1), steps * positives, rng).reshape(steps, positives)
    no = _cycled(np.flatnonzero(labels == 0), steps * (size - positives), rng)
    for mine, others in zip(yes, no.reshape(steps, size - positives), strict=True):
        yield np.concatenate([mine, others])


def positives_of(size: int, fraction: float) -> int:
    """Positives of a batch: at least one, and at least one of the others."""
    return min(max(round(size * fraction), 1), size - 1)


def _cycled(pool: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` draws: whole shuffles of the pool, one after the other."""
    rounds = -(-count // len(pool))
    return np.concatenate([rng.permutation(pool) for _ in range(rounds)])[:count]
