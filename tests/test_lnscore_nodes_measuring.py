import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_ct import affine_of
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.components import label_components, split_components
from lnscore.masks.regions import Region, crop
from lnscore.nodes.axes import OUTSIDE_VOX, axial_axes_mm
from lnscore.nodes.measuring import mask_sha256, measure, tracking_uid

AXIAL = (1, 0, 0, 0, 1, 0)
GRIDS = {
    "isotropic": affine_of((1, 1, 1), AXIAL, (3, -5, 7)),
    "thin": affine_of((1, 0.7, 0.7), AXIAL, (3, -5, 7)),
    "rectangular pixels": affine_of((2, 0.6, 0.9), AXIAL, (3, -5, 7)),
    "turned in the plane": affine_of((2.5, 0.8, 0.8), (0.8, 0.6, 0, -0.6, 0.8, 0), (0, 0, 0)),
    "feet first": affine_of((2, 0.8, 0.8), (1, 0, 0, 0, -1, 0), (0, 0, 0)),
    "tilted gantry, shear": affine_of((2, 0.8, 0.8), AXIAL, (0, 0, 0), (0, 0.52, 1.93)),
    "oblique 20 degrees": affine_of((1.5, 0.8, 0.8), (1, 0, 0, 0, 0.9397, 0.342), (0, 0, 0)),
    "coronal": affine_of((1.2, 0.8, 0.8), (1, 0, 0, 0, 0, -1), (0, 0, 0)),
    "sagittal": affine_of((1.2, 0.8, 0.8), (0, 1, 0, 0, 0, -1), (0, 0, 0)),
}


def grid_on(affine, shape=(40, 40, 40)):
    return CtGrid(
        study_uid="1.2",
        series_uid="1.2.3",
        for_uid="1.2.9",
        sop_uids=(),
        geometry=Geometry(affine, shape),
    )


def ellipsoid(grid, semi_mm, rotation, centre_mm):
    """Voxels whose centres lie in the ellipsoid, and what is true of it."""
    index = np.indices(grid.geometry.shape).reshape(3, -1).T
    local = (grid.geometry.to_mm(index) - centre_mm) @ rotation / semi_mm
    mask, origin = crop((np.sum(local**2, axis=1) <= 1).reshape(grid.geometry.shape))
    return Region(label="LN 1", number=1, mask=mask, origin_vox=origin)


def axial_truth_mm(semi_mm, rotation):
    """Axes of the ellipse in the axial plane through the centre, long first."""
    quadric = rotation @ np.diag(1 / np.asarray(semi_mm) ** 2) @ rotation.T
    return 2 / np.sqrt(np.linalg.eigvalsh(quadric[:2, :2]))


@pytest.mark.parametrize("name", GRIDS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_an_ellipsoid_at_any_orientation_has_its_axes_volume_and_centre(name, seed):
    random = np.random.default_rng(seed)
    affine = GRIDS[name]
    steps_mm = np.linalg.norm(affine[:3, :3], axis=0)
    grid = grid_on(affine, tuple(int(n) for n in np.ceil(28 / steps_mm)))
    semi_mm = random.uniform(4.5, 11, 3)
    rotation = np.linalg.qr(random.standard_normal((3, 3)))[0]
    centre_mm = grid.geometry.to_mm(np.array(grid.geometry.shape)[None] / 2)[0]
    region = ellipsoid(grid, semi_mm, rotation, centre_mm + random.uniform(-0.5, 0.5, 3))
    measured = measure(region, grid)
    long_mm, short_mm = axial_truth_mm(semi_mm, rotation)
    pixel_mm = max(np.abs(affine[:2, :3]).sum(axis=0).max(), 1.0)
    assert measured.long_axis_mm == pytest.approx(long_mm, abs=1.25 * pixel_mm)
    assert measured.short_axis_mm == pytest.approx(short_mm, abs=1.25 * pixel_mm)
    assert measured.volume_mm3 == pytest.approx(4 / 3 * np.pi * semi_mm.prod(), rel=0.07)


def test_the_short_axis_is_unbiased_over_many_ellipsoids():
    grid, random, errors = grid_on(GRIDS["thin"]), np.random.default_rng(4), []
    for _ in range(40):
        semi_mm = random.uniform(3, 9, 3)
        rotation = np.linalg.qr(random.standard_normal((3, 3)))[0]
        centre_mm = grid.geometry.to_mm(np.full((1, 3), 19.5))[0] + random.uniform(-0.5, 0.5, 3)
        region = ellipsoid(grid, semi_mm, rotation, centre_mm)
        measured = measure(region, grid)
        truth = axial_truth_mm(semi_mm, rotation)
        errors.append((measured.long_axis_mm - truth[0], measured.short_axis_mm - truth[1]))
    assert np.abs(np.mean(errors, axis=0)).max() < 0.25
    assert np.abs(errors).max() < 1.0


def test_the_centroid_is_where_the_ball_is():
    grid = grid_on(GRIDS["tilted gantry, shear"])
    centre_mm = grid.geometry.to_mm(np.array([[20.2, 19.7, 18.4]]))[0]
    region = ellipsoid(grid, (6, 6, 6), np.eye(3), centre_mm)
    assert measure(region, grid).centroid_mm == pytest.approx(tuple(centre_mm), abs=0.2)


def test_a_box_measures_its_voxels():
    grid = grid_on(affine_of((5, 0.5, 0.8), AXIAL, (10, 20, 30)))
    region = Region(label="LN 1", number=1, mask=np.ones((2, 8, 1), bool), origin_vox=(3, 4, 5))
    measured = measure(region, grid)
    assert measured.bbox_vox == [[3, 4, 5], [5, 12, 6]]
    assert measured.volume_mm3 == pytest.approx(16 * 5 * 0.5 * 0.8)
    assert measured.centroid_mm == pytest.approx((10 + 5 * 0.8, 20 + 7.5 * 0.5, 30 + 3.5 * 5))
    assert measured.long_axis_mm == pytest.approx(7 * 0.5 + 2 * 0.25 * 0.5)
    assert measured.short_axis_mm == pytest.approx(2 * 0.25 * 0.8)


def test_both_axes_lie_in_one_axial_plane_and_not_along_the_patient():
    grid = grid_on(GRIDS["isotropic"])
    region = Region(label="LN 1", number=1, mask=np.ones((30, 4, 6), bool), origin_vox=(2, 9, 9))
    assert measure(region, grid).long_axis_mm < 8


def calipers_mm(plane, pixel_mm):
    """Long and short axis of one plane, from the tangents at every set pixel."""
    points = np.argwhere(plane) * pixel_mm
    reach = 2 * OUTSIDE_VOX * np.concatenate([np.diag(pixel_mm), -np.diag(pixel_mm)])
    between = (points[:, None, None] - points[None, :, None] + reach).reshape(-1, 2)
    lengths = np.linalg.norm(between, axis=1)
    across = between[lengths > lengths.max() - 1e-6][:, ::-1] * (1, -1) / lengths.max()
    shorts = np.ptp(points @ across.T, axis=0) + (reach @ across.T).max(axis=0)
    return lengths.max(), min(shorts.max(), lengths.max())


@given(seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_the_axes_are_those_of_all_pixels_of_the_plane(seed):
    random = np.random.default_rng(seed)
    plane = random.random((9, 12)) > random.uniform(0.3, 0.97)
    plane[4, 5] = True
    geometry = Geometry(affine_of((5, 0.7, 0.9), AXIAL, (0, 0, 0)), (1, 9, 12))
    axes_mm = axial_axes_mm(plane[None], (0, 0, 0), geometry)
    assert axes_mm == pytest.approx(calipers_mm(plane, (0.7, 0.9)))
    points = np.argwhere(plane) * (0.7, 0.9)
    longest = np.linalg.norm(points[:, None] - points[None, :], axis=-1).max()
    assert longest < axes_mm[0] <= longest + 0.5


def test_mirrored_storage_measures_the_same():
    grid = grid_on(GRIDS["thin"])
    region = ellipsoid(grid, (5, 8, 6), np.eye(3), grid.geometry.to_mm(np.full((1, 3), 17.0))[0])
    flipped = grid.geometry.affine.copy()
    flipped[:3, 3] += flipped[:3, 2] * 39
    flipped[:3, 2] *= -1
    first_x = 40 - region.origin_vox[2] - region.mask.shape[2]
    mirrored = Region(
        label="LN 1",
        number=1,
        mask=region.mask[:, :, ::-1].copy(),
        origin_vox=(*region.origin_vox[:2], first_x),
    )
    one, other = measure(region, grid), measure(mirrored, grid_on(flipped))
    assert other.centroid_mm == pytest.approx(one.centroid_mm)
    assert (other.long_axis_mm, other.short_axis_mm) == pytest.approx(
        (one.long_axis_mm, one.short_axis_mm)
    )


def test_a_point_has_a_place_only():
    measured = measure(Region(label="P1", number=1, centre_mm=(1.0, 2.0, 3.0)), grid_on(np.eye(4)))
    assert measured.centroid_mm == (1.0, 2.0, 3.0)
    assert (measured.volume_mm3, measured.bbox_vox, measured.short_axis_mm) == (None, None, None)


def balls(*centres, radius_vox=4.0):
    index = np.indices((24, 24, 40))
    inside = [
        sum((axis - at) ** 2 for axis, at in zip(index, c, strict=True)) <= radius_vox**2
        for c in centres
    ]
    mask, origin = crop(np.logical_or.reduce(inside))
    return Region(label="LN 1", number=1, mask=mask, origin_vox=origin)


GRID = grid_on(affine_of((1, 1, 1), AXIAL, (0, 0, 0)), (24, 24, 40))


@pytest.mark.parametrize(
    ("region", "warnings"),
    [
        (balls((10, 10, 10)), ()),
        (balls((10, 10, 8), (10, 10, 18)), ("N01", "N04")),
        (balls((10, 10, 10), (10, 10, 18)), ("N04",)),
        (balls((10, 10, 10), (12, 12, 11), (8, 9, 9)), ()),
        (balls((2, 10, 10)), ("N02",)),
        (balls((10, 10, 37)), ("N02",)),
        (balls((10, 10, 10), radius_vox=1), ("N03",)),
        (balls((12, 12, 20), radius_vox=10), ()),
    ],
)
def test_what_a_reader_should_know_is_warned(region, warnings):
    assert measure(region, GRID).warnings == warnings


def test_a_mass_is_implausible_for_a_node():
    grid = grid_on(affine_of((2, 2, 2), AXIAL, (0, 0, 0)), (24, 24, 40))
    assert measure(balls((12, 12, 20), radius_vox=10), grid).warnings == ("N04",)


def test_warnings_of_the_reader_come_first():
    region = Region(
        label="LN", number=1, mask=np.ones((1, 1, 1), bool), origin_vox=(5, 5, 5), warnings=("N05",)
    )
    assert measure(region, GRID).warnings == ("N05", "N03")


def test_components_touch_at_corners_and_are_named_in_order():
    mask = np.zeros((24, 24, 40), bool)
    mask[1:4, 1:4, 1:4] = mask[4:6, 4:6, 4:6] = True  # corner to corner
    mask[10:13, 10:13, 30:33] = True
    cut, origin = crop(mask)
    first, second = split_components(
        Region(label="label 1", number=1, mask=cut, origin_vox=origin), GRID
    )
    assert (first.label, first.mask.sum(), first.origin_vox) == ("label 1.1", 35, (1, 1, 1))
    assert (second.label, second.mask.sum(), second.origin_vox) == ("label 1.2", 27, (10, 10, 30))
    assert first.warnings == second.warnings == ()


def test_specks_are_left_out_and_told():
    mask = np.zeros((24, 24, 40), bool)
    mask[::2, ::2, ::2] = True
    mask[5:9, 5:9, 5:9] = True
    (node,) = split_components(Region(label="label 1", number=1, mask=mask), GRID)
    assert node.warnings == ("N09",)
    assert 64 <= node.mask.sum() < 64 + 100


def test_nothing_but_specks_is_refused():
    mask = np.zeros((24, 24, 40), bool)
    mask[::2, ::2, ::2] = True
    with pytest.raises(Refusal, match="N09: label 1 has 2880 components, all below 10 mm3"):
        split_components(Region(label="label 1", number=1, mask=mask), GRID)


def test_at_most_five_hundred_components_are_kept_the_largest():
    mask = np.zeros((24, 240, 240), bool)
    for z in range(0, 24, 4):
        mask[z : z + 3, 0::12, 0::12] = mask[z : z + 3, 1::12, 0::12] = True
        mask[z : z + 3, 0::12, 1::12] = mask[z : z + 3, 1::12, 1::12] = True
    mask[0:3, 0:5, 0:5] = True
    parts = split_components(
        Region(label="label 1", number=1, mask=mask), grid_on(np.eye(4), (24, 240, 240))
    )
    assert len(parts) == 500
    assert parts[0].mask.sum() == 75
    assert {part.warnings for part in parts} == {("N09",)}


@given(seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_components_agree_with_itk(seed):
    import SimpleITK as sitk

    random = np.random.default_rng(seed)
    mask = random.random((5, 7, 9)) > random.uniform(0.5, 0.98)
    mask[0, 0, 0] = True
    itk = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True)
    expected = sitk.GetArrayFromImage(itk)[mask]
    ours = label_components(np.argwhere(mask))
    pairs = set(zip(ours.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == len(set(ours.tolist())) == expected.max()


def test_the_same_mask_keeps_its_name_and_another_gets_another():
    region = balls((10, 10, 10))
    uid = tracking_uid("1.2.3", mask_sha256(region), region.label)
    assert uid == tracking_uid("1.2.3", mask_sha256(balls((10, 10, 10))), "LN 1")
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    others = [
        tracking_uid("1.2.4", mask_sha256(region), "LN 1"),
        tracking_uid("1.2.3", mask_sha256(region), "LN 2"),
        tracking_uid("1.2.3", mask_sha256(balls((10, 10, 11))), "LN 1"),
        tracking_uid(
            "1.2.3", mask_sha256(Region(label="LN 1", number=1, centre_mm=(1.0, 2.0, 3.0))), "LN 1"
        ),
    ]
    assert len({uid, *others}) == 5


def test_the_name_of_a_node_does_not_change_between_versions():
    assert tracking_uid("1.2.3", "ab" * 32, "LN 1") == (
        "2.25.45464263732396770682470445295225420265"
    )
