"""Same body, same patch; a ramp stays a ramp; nothing blended that must not be."""

from dataclasses import dataclass, field
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.patch import SPEC
from fake_ct import affine_of
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.nodes.patches import cut_patch
from lnscore.nodes.resample import linear_weights, slab_weights

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)


@dataclass
class ArrayScan:
    """A scan in memory that remembers which slices were asked for."""

    affine: np.ndarray
    voxels: np.ndarray
    asked: set[int] = field(default_factory=set)

    @property
    def grid(self) -> CtGrid:
        shape = self.voxels.shape
        return CtGrid(
            study_uid="1",
            series_uid="2",
            for_uid="3",
            sop_uids=("",) * shape[0],
            geometry=Geometry(self.affine, shape),
        )

    def slice_hu(self, z: int, rows: slice, columns: slice) -> np.ndarray:
        self.asked.add(z)
        return self.voxels[z, rows, columns]


def scan_of(affine: np.ndarray, shape: tuple[int, int, int], hu) -> ArrayScan:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return ArrayScan(affine, hu(index @ affine[:3, :3].T + affine[:3, 3]).astype(np.float32))


def patch_points(affine: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, SPEC.size_vox), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def centred_affine(spacing, orientation, shape, centre=(0.0, 0.0, 0.0), step=None) -> np.ndarray:
    affine = affine_of(spacing, orientation, (0, 0, 0), step)
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def rotated(degrees: float, axis: int) -> tuple[float, ...]:
    angle = np.deg2rad(degrees)
    turn = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    turn[[i, i, j, j], [i, j, i, j]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
    return tuple(np.concatenate([turn[:, 0], turn[:, 1]]))


RAMP = np.array([1.5, -2.0, 0.7])


def ramp_hu(points: np.ndarray) -> np.ndarray:
    return points @ RAMP + 40


SOURCES = [
    pytest.param((5.0, 0.795, 0.795), AXIAL, None, id="the grid itself"),
    pytest.param((5.0, 0.9, 0.7), AXIAL, None, id="unequal pixels"),
    pytest.param((1.0, 0.6, 0.6), AXIAL, None, id="1 mm"),
    pytest.param((1.25, 0.8, 0.8), AXIAL, None, id="1.25 mm"),
    pytest.param((2.0, 0.8, 0.8), AXIAL, None, id="2 mm"),
    pytest.param((3.0, 0.98, 0.98), AXIAL, None, id="3 mm"),
    pytest.param((3.75, 0.7, 0.7), AXIAL, None, id="3.75 mm"),
    pytest.param((4.6, 0.7, 0.7), AXIAL, None, id="4.6 mm snaps"),
    pytest.param((5.4, 0.7, 0.7), AXIAL, None, id="5.4 mm snaps"),
    pytest.param((7.5, 0.7, 0.7), AXIAL, None, id="7.5 mm interpolates"),
    pytest.param((5.0, 0.8, 0.8), (1, 0, 0, 0, -1, 0), None, id="rows run to the front"),
    pytest.param((5.0, 0.8, 0.8), (-1, 0, 0, 0, 1, 0), None, id="columns run to the right"),
    pytest.param((2.0, 0.8, 0.8), (0, 1, 0, 1, 0, 0), None, id="transposed"),
    pytest.param((3.0, 1.0, 0.9), SAGITTAL, None, id="sagittal"),
    pytest.param((1.0, 0.8, 0.8), CORONAL, None, id="coronal"),
    pytest.param((2.0, 0.8, 0.8), rotated(12, 0), None, id="oblique"),
    pytest.param((2.0, 0.8, 0.8), rotated(15, 0), (0.0, 0.0, 2.0), id="gantry tilt"),
    pytest.param((5.0, 0.8, 0.8), rotated(-20, 0), (0.0, 0.0, 5.0), id="gantry tilt, 5 mm"),
    pytest.param((5.0, 0.8, 0.8), AXIAL, (0.0, 0.0, -5.0), id="slices stored head first"),
]


@pytest.mark.parametrize(("spacing", "orientation", "step"), SOURCES)
def test_a_linear_ramp_in_mm_stays_that_ramp(spacing, orientation, step):
    shape = tuple(int(np.ceil(150 / s)) for s in spacing)
    scan = scan_of(centred_affine(spacing, orientation, shape, step=step), shape, ramp_hu)
    patch = cut_patch(scan, np.array([3.3, -4.1, 2.2]))
    whole = patch.hu > -1000
    error = np.abs(patch.hu - ramp_hu(patch_points(patch.affine)))[whole]
    assert patch.padded_fraction < 0.2
    assert error[_core(whole)].max() <= 0.51


def _core(whole: np.ndarray) -> np.ndarray:
    """Leave out the last voxel towards padding, where a half slab or an edge is held."""
    core = whole.copy()
    for axis, way in product(range(3), (1, -1)):
        moved = np.roll(whole, way, axis=axis)
        edge = [slice(None)] * 3
        edge[axis] = slice(0, 1) if way == 1 else slice(-1, None)
        moved[tuple(edge)] = whole[tuple(edge)]
        core &= moved
    return core[whole]


@pytest.mark.parametrize(("spacing", "orientation", "step"), SOURCES)
def test_the_node_sits_in_the_middle_of_its_patch(spacing, orientation, step):
    shape = tuple(int(np.ceil(150 / s)) for s in spacing)
    centre = np.array([3.3, -4.1, 2.2])
    scan = scan_of(
        centred_affine(spacing, orientation, shape, step=step),
        shape,
        lambda p: np.exp(-(((p - centre) / 9) ** 2).sum(-1)) * 1000,
    )
    patch = cut_patch(scan, centre)
    weight = np.maximum(patch.hu, 0).astype(float)
    found = np.average(patch_points(patch.affine).reshape(-1, 3), axis=0, weights=weight.ravel())
    assert np.abs(found - centre).max() < 0.15
    middle = np.append((np.array(SPEC.size_vox) - 1) / 2, 1)
    drift = np.abs((patch.affine @ middle)[:3] - centre).max()
    assert drift <= (0.51 * spacing[0] if patch.rule == "snap" else 1e-9)


def test_patch_axes_are_head_back_left():
    scan = scan_of(centred_affine((5, 0.8, 0.8), SAGITTAL, (60, 60, 60)), (60, 60, 60), ramp_hu)
    affine = cut_patch(scan, np.zeros(3)).affine
    assert np.allclose(affine[:3, :3], np.diag([0.795, 0.795, 5.0])[:, ::-1])


def _body(points: np.ndarray) -> np.ndarray:
    waves = np.sin(points @ [0.31, 0.17, 0.05]) + np.sin(points @ [-0.12, 0.4, 0.11])
    return 60 * waves + 2 * points[..., 0]


@given(
    order=st.permutations(range(3)),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    centre=st.tuples(*[st.floats(-6, 6)] * 3),
    spacing_z=st.sampled_from([1.0, 2.0, 3.0, 5.0, 7.0]),
)
@settings(max_examples=40, deadline=None)
def test_mirrored_or_permuted_storage_gives_the_same_patch(order, flips, centre, spacing_z):
    shape, spacing = (31, 90, 85), (spacing_z, 0.9, 0.8)
    plain = scan_of(centred_affine(spacing, AXIAL, shape), shape, _body)
    stored = _store_differently(plain, order, flips)
    expected, found = (cut_patch(scan, np.array(centre)) for scan in (plain, stored))
    assert np.abs(expected.hu.astype(int) - found.hu).max() <= 1  # rounding of equal sums
    assert np.allclose(expected.affine, found.affine, atol=1e-6)


def test_mirrored_storage_gives_the_same_patch_for_a_node_on_a_slice():
    shape = (31, 90, 85)
    plain = scan_of(centred_affine((5.0, 0.8, 0.8), AXIAL, shape), shape, _body)
    turned = _store_differently(plain, (0, 1, 2), (True, False, False))
    centre = np.zeros(3)  # exactly in the middle of slice 15: both neighbours equally near
    assert np.array_equal(cut_patch(plain, centre).hu, cut_patch(turned, centre).hu)


def _store_differently(scan: ArrayScan, order, flips) -> ArrayScan:
    affine, voxels = scan.affine.copy(), scan.voxels
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
            voxels = np.flip(voxels, axis)
    affine[:3, :3] = affine[:3, :3][:, list(order)]
    return ArrayScan(affine, np.ascontiguousarray(voxels.transpose(order)))


@pytest.mark.parametrize("spacing_z", [4.5, 4.8, 5.0, 5.2, 5.5])
def test_slices_near_5_mm_are_never_blended(spacing_z):
    shape = (40, 90, 90)
    scan = scan_of(centred_affine((spacing_z, 0.795, 0.795), AXIAL, shape), shape, ramp_hu)
    scan.voxels[:] = np.arange(40)[:, None, None] * 100
    patch = cut_patch(scan, np.array([0.0, 0.0, 1.234]))
    values = patch.hu[:, 40, 40]
    assert patch.rule == "snap"
    assert set(values % 100) == {0}
    assert set(np.diff(values)) == {100}


def test_five_thin_slices_are_averaged_to_one_slab():
    shape = (120, 90, 90)
    scan = scan_of(centred_affine((1.0, 0.795, 0.795), AXIAL, shape), shape, ramp_hu)
    scan.voxels[:] = np.random.default_rng(0).integers(-100, 100, 120)[:, None, None]
    patch = cut_patch(scan, np.array([0.0, 0.0, 0.0]))  # slice borders at whole mm
    assert patch.rule == "slab"
    first = round((patch.affine @ [8, 0, 0, 1])[2] - 2.5 - scan.affine[2, 3] + 0.5)
    assert patch.hu[8, 40, 40] == round(float(scan.voxels[first : first + 5, 0, 0].mean()))


def test_a_slab_weighs_slices_by_their_length():
    weights = slab_weights(np.array([4.0]), 2.5, 9)[0]
    assert np.allclose(weights[3:6], [0.3, 0.4, 0.3])
    assert np.count_nonzero(weights) == 3


@given(st.floats(6, 14), st.floats(1.0, 5.0))
@settings(deadline=None)
def test_slab_weights_keep_constants_and_ramps(position, width):
    weights = slab_weights(np.array([position]), width, 20)[0]
    assert weights.sum() == pytest.approx(1)
    assert weights @ np.arange(20) == pytest.approx(position)


def test_linear_weights_end_half_a_voxel_past_the_last_centre():
    weights = linear_weights(np.array([-0.6, -0.5, 0.25, 3.5, 3.6]), 4)
    assert list(weights.sum(axis=1)) == [0, 1, 1, 1, 0]
    assert np.allclose(weights[2], [0.75, 0.25, 0, 0])


def test_outside_the_scan_is_minus_1024_and_counted():
    shape = (40, 60, 60)
    scan = scan_of(centred_affine((5.0, 0.795, 0.795), AXIAL, shape), shape, ramp_hu)
    scan.voxels[:] = 50
    corner = scan.affine[:3, :3] @ (np.array(shape) - 1) + scan.affine[:3, 3]
    patch = cut_patch(scan, corner)
    assert set(np.unique(patch.hu)) == {-1024, 50}
    assert patch.padded_fraction == pytest.approx((patch.hu == -1024).mean())
    assert 0.8 < patch.padded_fraction < 0.9


def test_a_single_slice_is_padded_above_and_below():
    scan = scan_of(centred_affine((5.0, 0.8, 0.8), AXIAL, (1, 99, 99)), (1, 99, 99), ramp_hu)
    patch = cut_patch(scan, np.zeros(3))
    assert [(patch.hu[z] > -1000).all() for z in range(18)].count(True) == 1


def test_only_slices_that_the_patch_touches_are_decoded():
    shape = (200, 90, 90)
    scan = scan_of(centred_affine((5.0, 0.8, 0.8), AXIAL, shape), shape, ramp_hu)
    cut_patch(scan, np.zeros(3))
    assert len(scan.asked) == 18


@pytest.mark.parametrize(("spacing", "orientation", "step"), SOURCES)
def test_the_mask_lies_on_the_node(spacing, orientation, step):
    shape = tuple(int(np.ceil(150 / s)) for s in spacing)
    affine = centred_affine(spacing, orientation, shape, step=step)
    centre, radius = np.array([3.3, -4.1, 2.2]), 12.0
    ball = scan_of(affine, shape, lambda p: np.linalg.norm(p - centre, axis=-1) <= radius)
    inside = ball.voxels > 0
    where = np.argwhere(inside)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    box = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    patch = cut_patch(ball, centre, box, tuple(int(v) for v in low))
    whole = cut_patch(ball, centre, inside, (0, 0, 0))
    assert np.array_equal(patch.occupancy, whole.occupancy)
    voxel_mm3 = abs(np.linalg.det(patch.affine[:3, :3]))
    volume = patch.occupancy.sum() / 255 * voxel_mm3
    assert volume == pytest.approx(inside.sum() * ball.grid.geometry.voxel_mm3, rel=0.03)
    found = np.average(
        patch_points(patch.affine).reshape(-1, 3), axis=0, weights=patch.occupancy.ravel()
    )
    assert np.abs(found - centre).max() < 0.6


def test_a_point_has_no_mask():
    scan = scan_of(centred_affine((5.0, 0.8, 0.8), AXIAL, (40, 90, 90)), (40, 90, 90), ramp_hu)
    assert cut_patch(scan, np.zeros(3)).occupancy is None


def test_every_axis_order_is_recognised():
    for order in permutations(range(3)):
        shape = (40, 41, 42)
        plain = scan_of(centred_affine((3.0, 2.0, 2.5), AXIAL, shape), shape, _body)
        turned = _store_differently(plain, order, (False, False, False))
        assert np.allclose(
            cut_patch(turned, np.zeros(3)).affine, cut_patch(plain, np.zeros(3)).affine
        )
