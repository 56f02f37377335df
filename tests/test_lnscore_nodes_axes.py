"""The size of a node does not depend on how its voxels are stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_ct import affine_of
from lnscore.dicom.geometry import Geometry
from lnscore.nodes.axes import axial_axes_mm

TURNS = {
    "rows reversed": lambda mask: mask[:, ::-1],
    "columns reversed": lambda mask: mask[:, :, ::-1],
    "half a turn": lambda mask: mask[:, ::-1, ::-1],
    "transposed": lambda mask: mask.transpose(0, 2, 1),
    "slices reversed": lambda mask: mask[::-1],
}


def axes(mask: np.ndarray) -> tuple[float, float]:
    affine = affine_of((5.0, 0.8, 0.8), (1, 0, 0, 0, 1, 0), (0, 0, 0))
    return axial_axes_mm(mask, (0, 0, 0), Geometry(affine, mask.shape))


@pytest.mark.parametrize("turn", TURNS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), filled=st.floats(0.1, 0.9))
def test_mirrored_or_turned_voxels_have_the_same_axes(turn, seed, filled):
    mask = np.random.default_rng(seed).random((2, 6, 7)) < filled
    mask[0, 2, 3] = True
    assert axes(TURNS[turn](mask)) == pytest.approx(axes(mask))
