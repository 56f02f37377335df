"""The short way to the indices of an even stack gives highdicom's indices, or none."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from fake_ct import make_ct, save
from lnscore.dicom import slice_order
from lnscore.dicom.slice_order import even_indices, upward
from scans import scans_of


def indices_of(along: np.ndarray, tolerance: float) -> list[int] | None:
    from highdicom.spatial import get_volume_positions

    axial = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    positions = np.outer(along, [0.0, 0.0, 1.0]).tolist()
    _, indices = get_volume_positions(positions, axial, atol=tolerance)
    return None if indices is None else upward(indices, along)


@given(
    count=st.integers(2, 40),
    step_mm=st.floats(0.2, 10),
    off_mm=st.floats(0, 0.2),
    seed=st.integers(0, 1000),
)
def test_even_indices_are_those_of_highdicom(count, step_mm, off_mm, seed):
    rng = default_rng(seed)
    along = rng.permutation(np.arange(count) * step_mm - 100.0)
    along += rng.uniform(-off_mm, off_mm, count)
    tolerance = max(0.01 * step_mm, 0.11)
    short = even_indices(along, tolerance)
    assert short is None or short == indices_of(along, tolerance)
    assert short is not None or step_mm < 0.5 or off_mm > 0


def test_duplicates_and_gaps_are_left_to_highdicom():
    even = np.arange(8.0)
    assert even_indices(even, 0.11) == list(range(8))
    assert even_indices(np.append(even, 3.0), 0.11) is None
    assert even_indices(np.delete(even, 3), 0.11) is None
    assert even_indices(np.zeros(3), 0.11) is None


def test_an_even_scan_is_the_same_without_the_short_way(tmp_path, monkeypatch):
    paths = save(make_ct((9, 8, 8)), tmp_path)
    (short,) = scans_of(paths)
    monkeypatch.setattr(slice_order, "even_indices", lambda *_: None)
    (long,) = scans_of(paths)
    assert short.slices == long.slices
    assert np.array_equal(short.grid.geometry.affine, long.grid.geometry.affine)
