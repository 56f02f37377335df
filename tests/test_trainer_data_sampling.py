"""Batches follow from (seed, fold, epoch) alone, and hold the stated share of positives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.sampling import SAMPLING_STREAM, batches, stream

LABELS = np.array([1] * 11 + [0] * 89)


def epoch(
    seed: int = 0, fold: int = 0, number: int = 0, fraction: float | None = None
) -> np.ndarray:
    rng = stream(seed, fold, number, SAMPLING_STREAM)
    return np.stack(list(batches(LABELS, 16, fraction, rng)))


def test_a_natural_epoch_draws_each_node_at_most_once() -> None:
    drawn = epoch()
    assert drawn.shape == (6, 16)
    assert len(set(drawn.ravel().tolist())) == 96


@pytest.mark.parametrize(("fraction", "positives"), [(0.25, 4), (0.5, 8)])
def test_every_stratified_batch_has_its_positives(fraction: float, positives: int) -> None:
    assert (LABELS[epoch(fraction=fraction)].sum(1) == positives).all()


@pytest.mark.parametrize(("size", "fraction"), [(2, 0.25), (2, 0.9), (3, 0.01)])
def test_a_small_batch_has_both_classes(size: int, fraction: float) -> None:
    for drawn in batches(LABELS, size, fraction, stream(0, 0, 0, SAMPLING_STREAM)):
        assert 0 < LABELS[drawn].sum() < size


def test_positives_take_turns() -> None:
    drawn = epoch(fraction=0.25)
    counts = np.bincount(drawn[LABELS[drawn] == 1], minlength=11)
    assert set(counts.tolist()) == {2, 3}


@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 300))
def test_an_epoch_is_the_same_whenever_it_is_drawn(seed: int, fold: int, number: int) -> None:
    assert (epoch(seed, fold, number, 0.25) == epoch(seed, fold, number, 0.25)).all()


@pytest.mark.parametrize("other", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_another_seed_fold_or_epoch_draws_others(other: tuple[int, int, int]) -> None:
    assert (epoch() != epoch(*other)).any()


def test_fewer_nodes_than_a_batch_still_make_one() -> None:
    few = np.array([1, 0, 0])
    (only,) = batches(few, 8, 0.25, stream(0, 0, 0, SAMPLING_STREAM))
    assert few[only].sum() == 2
    assert len(only) == 8
