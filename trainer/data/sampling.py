"""Random choice of the nodes of a batch: with their natural or a fixed share of positives.

Every draw depends only on (seed, fold, epoch, purpose), so that a run that resumes after an
interruption draws the same nodes as an uninterrupted run.
"""

from collections.abc import Iterator

import numpy as np

SAMPLING_STREAM, AUGMENT_STREAM, DROPOUT_STREAM, INIT_STREAM = 1, 2, 3, 4
UNLABELLED_STREAM, TEACHER_STREAM, SELECTION_STREAM = 5, 6, 7
SSL = 100
"""Number added to a purpose in the semi-supervised stage, so that it makes new draws."""


def stream(seed: int, fold: int, epoch: int, purpose: int) -> np.random.Generator:
    """Return an independent random generator for one purpose in one epoch."""
    return np.random.default_rng([seed, fold, epoch, purpose])


def seed_of(rng: np.random.Generator) -> int:
    """Draw a seed for a torch generator."""
    return int(rng.integers(2**62))


def batches(
    labels: np.ndarray,
    size: int,
    positive_fraction: float | None,
    rng: np.random.Generator,
    steps: int | None = None,
) -> Iterator[np.ndarray]:
    """Draw the batches of one epoch: those of one pass over the nodes, or `steps` batches.

    Args:
        labels: Labels 0 or 1, shape (node,).
        size: Number of nodes of a batch.
        positive_fraction: Share of positives in every batch; None draws from all nodes alike. No
            node is drawn again before all of its class (for None: all nodes) were drawn.
        rng: Random generator of this epoch.
        steps: Number of batches; None means one pass.

    Yields:
        Indices into `labels`, shape (size,).
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
    """Return the number of positives of a batch, which leaves at least one node of each class."""
    return min(max(round(size * fraction), 1), size - 1)


def _cycled(pool: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` items: shuffles of the whole pool, one after the other."""
    rounds = -(-count // len(pool))
    return np.concatenate([rng.permutation(pool) for _ in range(rounds)])[:count]
