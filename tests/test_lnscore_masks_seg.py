from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.sr.coding import Code
from pydicom.uid import RLELossless

from db.records import StationKey
from fake_ct import affine_of, make_ct
from fake_seg import grid_of, make_seg, on_grid
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.regions import WAITING
from lnscore.masks.seg import read_seg

SHAPE = (8, 20, 24)
REAL = Path(__file__).parents[2] / "shared" / "data" / "seg-dcmqi"


@pytest.fixture(scope="module")
def ct():
    return make_ct(SHAPE, series_uid="1.2.3.4", for_uid="1.2.3.9")


@pytest.fixture(scope="module")
def grid(ct):
    return grid_of(ct)


def three_masks():
    masks = np.zeros((*SHAPE, 3), bool)
    masks[2:5, 3:9, 5:9, 0] = True
    masks[4:7, 10:17, 12:20, 1] = True
    masks[0, 0, 0, 2] = masks[7, 19, 23, 2] = True
    return masks


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_every_segment_is_a_region_in_its_place(ct, grid, kind):
    masks = three_masks()
    annotated = read_seg(make_seg(ct, masks, kind=kind), grid)
    assert [region.label for region in annotated.regions] == ["LN 1", "LN 2", "LN 3"]
    for number, region in enumerate(annotated.regions):
        assert np.array_equal(on_grid(region, grid), masks[..., number])
    assert annotated.details["kind"] == kind


def test_a_mask_is_cropped_to_its_box(ct, grid):
    region = read_seg(make_seg(ct, three_masks()), grid).regions[0]
    assert (region.origin_vox, region.mask.shape) == ((2, 3, 5), (3, 6, 4))
    assert region.mask.all()


def test_overlapping_segments_stay_whole(ct, grid):
    masks = three_masks()
    masks[..., 1] |= masks[..., 0]
    regions = read_seg(make_seg(ct, masks), grid).regions
    assert np.array_equal(on_grid(regions[0], grid), masks[..., 0])
    assert np.array_equal(on_grid(regions[1], grid), masks[..., 1])


@pytest.mark.parametrize("omit", [True, False])
@pytest.mark.parametrize("shape", [(8, 20, 24), (5, 13, 7)])
def test_frames_may_begin_within_a_byte_and_be_empty(shape, omit):
    ct = make_ct(shape)
    masks = np.random.default_rng(1).random((*shape, 2)) > 0.9
    masks[1] = False
    regions = read_seg(make_seg(ct, masks, omit_empty_frames=omit), grid_of(ct)).regions
    for number, region in enumerate(regions):
        assert np.array_equal(on_grid(region, grid_of(ct)), masks[..., number])


def test_compressed_frames_are_decoded(ct, grid):
    masks = three_masks()
    seg = make_seg(ct, masks, kind="LABELMAP", transfer_syntax_uid=RLELossless)
    assert np.array_equal(on_grid(read_seg(seg, grid).regions[1], grid), masks[..., 1])


def test_the_order_of_frames_says_nothing(ct, grid):
    masks = three_masks()
    seg = make_seg(ct, masks)
    count = int(seg.NumberOfFrames)
    order = np.random.default_rng(3).permutation(count)
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    frames = bits[: count * 480].reshape(count, 480)[order]
    seg.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    groups = list(seg.PerFrameFunctionalGroupsSequence)
    seg.PerFrameFunctionalGroupsSequence = [groups[number] for number in order]
    for number, region in enumerate(read_seg(seg, grid).regions):
        assert np.array_equal(on_grid(region, grid), masks[..., number])


STORAGES = list(product(permutations(range(3)), product((1, -1), repeat=3)))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(STORAGES), st.integers(0, 99))
def test_flipped_and_permuted_storage_of_a_mask_gives_the_same_regions(storage, seed):
    order, signs = storage
    shape, spacing, turned = (4, 6, 5), (3.0, 0.9, 0.7), (0.8, 0.6, 0, -0.6, 0.8, 0)
    affine = affine_of(spacing, turned, (10, -20, 30))
    grid = CtGrid(
        study_uid="1.2",
        series_uid="1.2.3",
        for_uid="1.2.9",
        sop_uids=("",) * 4,
        geometry=Geometry(affine, shape),
    )
    mask = np.random.default_rng(seed).random(shape) > 0.8
    mask[1, 1, 1] = True

    flips = tuple(slice(None, None, sign) for sign in signs)
    stored = mask[flips].transpose(order)
    first = affine @ [
        *(0 if sign > 0 else size - 1 for sign, size in zip(signs, shape, strict=True)),
        1,
    ]
    steps = (affine[:3, :3] * signs)[:, order]
    lengths = np.linalg.norm(steps, axis=0)
    slices = make_ct(
        stored.shape,
        lengths,
        (*(steps[:, 2] / lengths[2]), *(steps[:, 1] / lengths[1])),
        first[:3],
        slice_step_mm=steps[:, 0],
        for_uid="1.2.9",
    )
    seg = make_seg(slices, stored[..., None])
    del seg.ReferencedSeriesSequence
    (region,) = read_seg(seg, grid).regions
    assert np.array_equal(on_grid(region, grid), mask)


def test_a_tilted_gantry_is_followed():
    ct = make_ct(SHAPE, slice_step_mm=(0, 1.294, 4.83))
    masks = three_masks()
    for number, region in enumerate(read_seg(make_seg(ct, masks), grid_of(ct)).regions):
        assert np.array_equal(on_grid(region, grid_of(ct)), masks[..., number])


def test_a_fraction_of_one_half_belongs_to_the_segment(ct, grid):
    fractions = np.zeros((*SHAPE, 1))
    fractions[3, 4, 5:8, 0] = 0.49, 0.5, 1.0
    seg = make_seg(
        ct, fractions, kind="FRACTIONAL", fractional_type="OCCUPANCY", max_fractional_value=100
    )
    annotated = read_seg(seg, grid)
    assert annotated.regions[0].mask.shape == (1, 1, 2)
    assert annotated.regions[0].origin_vox == (3, 4, 6)
    assert annotated.details["fractional_type"] == "OCCUPANCY"
    assert annotated.details["threshold"] == 0.5


def test_the_padding_value_of_a_label_map_is_background(ct, grid):
    seg = make_seg(ct, three_masks(), kind="LABELMAP")
    seg.PixelPaddingValue = 2
    assert [region.number for region in read_seg(seg, grid).regions] == [1, 3]


def test_no_segment_with_voxels_is_no_error(ct, grid):
    annotated = read_seg(make_seg(ct, np.zeros((*SHAPE, 2), bool), omit_empty_frames=False), grid)
    assert annotated.regions == annotated.refusals == ()
    assert annotated.details["empty_segments"] == [1, 2]


def test_provenance_and_identity_are_kept(ct, grid):
    seg = make_seg(
        ct, three_masks(), tracking_uids=["2.25.1", None, "2.25.3"], algorithm="nodes-net"
    )
    annotated = read_seg(seg, grid)
    assert [region.tracking_uid for region in annotated.regions] == ["2.25.1", None, "2.25.3"]
    assert annotated.details["segments"][0] == {
        "number": 1,
        "label": "LN 1",
        "algorithm_type": "AUTOMATIC",
        "algorithm_name": "nodes-net",
    }


def test_the_station_comes_from_the_text_or_from_the_anatomic_code(ct, grid):
    subcarinal = Code("28330007", "SCT", "Subcarinal lymph node")
    seg = make_seg(
        ct,
        three_masks(),
        names=["LN 1 AJCC8:4R", "LN 2", "LN 3 FOO:1"],
        anatomic_regions=[[subcarinal], [subcarinal], None],
    )
    first, second, third = read_seg(seg, grid).regions
    assert first.station == StationKey("AJCC8", "2017-ESO", "4R")
    assert second.station == StationKey("SCT", "CID7600", "28330007")
    assert (third.station, third.warnings) == (None, ("N06",))


def test_another_frame_of_reference_is_refused(ct):
    other = grid_of(make_ct(SHAPE, for_uid="1.2.3.8"))
    with pytest.raises(Refusal, match=r"M02: the SEG has .* 1\.2\.3\.9; wanted .*1\.2\.3\.8"):
        read_seg(make_seg(ct, three_masks()), other)


def test_images_that_have_not_arrived_mean_waiting(ct):
    with pytest.raises(Refusal, match="refers to 2 CT images") as refusal:
        read_seg(make_seg(ct, three_masks()), grid_of(ct[:6]))
    assert refusal.value.code in WAITING


def without_references(seg):
    del seg.ReferencedSeriesSequence
    return seg


def test_frames_beyond_the_ct_are_cut_off_and_told(ct):
    grid = grid_of(ct[:5])
    first, second, third = read_seg(without_references(make_seg(ct, three_masks())), grid).regions
    assert (first.warnings, second.warnings, third.warnings) == ((), ("N05",), ("N05",))
    assert np.array_equal(on_grid(second, grid), three_masks()[:5, ..., 1])


def test_a_segment_wholly_outside_is_refused_alone(ct):
    annotated = read_seg(without_references(make_seg(ct, three_masks())), grid_of(ct[:4]))
    assert [region.number for region in annotated.regions] == [1, 3]
    assert [str(refusal)[:44] for refusal in annotated.refusals] == [
        "M10: segment 2 (LN 2) lies wholly outside the CT"[:44]
    ]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"spacing_mm": (5.0, 0.8, 0.83)}, r"M04: the SEG has 20 x 24 pixels of 0.8 x 0.83 mm"),
        ({"spacing_mm": (5.0, 1.6, 1.6)}, r"M04: .* 1.6 x 1.6 mm.*of 5 x 0.8 x 0.8 mm"),
        ({"orientation": (0.6, 0.8, 0, -0.8, 0.6, 0)}, r"M04: .*orientation \(0.6, 0.8, 0, -0.8"),
        ({"origin_mm": (0.4, 0, 0)}, r"M04: a frame of the SEG, at .* lies 0.50 pixels off"),
        ({"origin_mm": (0, 0, 2.0)}, r"M08: a frame of the SEG, at .* mm, lies 0.40 slices off"),
        ({"spacing_mm": (3.0, 0.8, 0.8)}, r"M08: .* lies 0.40 slices off the nearest slice"),
    ],
)
def test_another_grid_is_refused_with_both_grids_stated(grid, other, message):
    seg = make_seg(make_ct(SHAPE, **other, for_uid="1.2.3.9"), three_masks()[..., :2])
    with pytest.raises(Refusal, match=message):
        read_seg(without_references(seg), grid)


def test_frames_that_stand_for_two_slices_each_are_another_grid(grid):
    coarse = make_ct((4, 20, 24), (10.0, 0.8, 0.8), for_uid="1.2.3.9")
    seg = without_references(make_seg(coarse, three_masks()[:4, ..., :2]))
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 10
    with pytest.raises(Refusal, match="M04: the SEG has slices 10 mm apart"):
        read_seg(seg, grid)


def test_rounded_positions_are_the_same_grid(ct, grid):
    seg = make_seg(ct, three_masks())
    for group in seg.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [v + 0.02 for v in position]
    assert len(read_seg(seg, grid).regions) == 3


def test_five_hundred_segments_are_the_limit(ct, grid):
    seg = make_seg(ct, three_masks())
    seg.SegmentSequence = list(seg.SegmentSequence) * 167
    with pytest.raises(Refusal, match=r"M06: a SEG of 501 segments; wanted at most 500"):
        read_seg(seg, grid)


def test_another_kind_of_segmentation_is_refused(ct, grid):
    seg = make_seg(ct, three_masks())
    seg.SegmentationType = "SURFACE"
    with pytest.raises(Refusal, match="M07: a SEG of type SURFACE"):
        read_seg(seg, grid)


def truncate(seg):
    seg.PixelData = seg.PixelData[:-80]


def drop_a_description(seg):
    seg.PerFrameFunctionalGroupsSequence = list(seg.PerFrameFunctionalGroupsSequence)[:-1]


def drop_orientation(seg):
    del seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


def claim_a_huge_frame(seg):
    seg.Rows = seg.Columns = 65535


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "pixels that cannot be decoded"),
        (drop_a_description, "8 frames but 7 descriptions"),
        (drop_orientation, "a frame 1 whose description cannot be read"),
        (claim_a_huge_frame, "65535 x 65535 pixels"),
    ],
)
def test_a_damaged_object_is_refused(ct, grid, damage, message):
    seg = make_seg(ct, three_masks())
    damage(seg)
    with pytest.raises(Refusal, match=f"M01: the SEG has .*{message}"):
        read_seg(seg, grid)


def test_pixels_of_an_undescribed_segment_are_refused_alone(ct, grid):
    seg = make_seg(ct, three_masks())
    seg.SegmentSequence = list(seg.SegmentSequence)[:2]
    annotated = read_seg(seg, grid)
    assert [region.number for region in annotated.regions] == [1, 2]
    assert "M01: pixels of segment 3" in str(annotated.refusals[0])


def test_highdicom_reads_the_same_voxels(ct, grid):
    from highdicom.seg import Segmentation

    masks = np.random.default_rng(2).random((*SHAPE, 3)) > 0.7
    seg = make_seg(ct, masks)
    volume = Segmentation.from_dataset(seg).get_volume(combine_segments=False)
    to_lps = volume.affine
    for region in read_seg(seg, grid).regions:
        index = np.argwhere(volume.array[..., region.number - 1])
        points = index @ to_lps[:3, :3].T + to_lps[:3, 3]
        expected = np.zeros(SHAPE, bool)
        expected[tuple(np.rint(grid.geometry.to_vox(points)).astype(int).T)] = True
        assert np.array_equal(on_grid(region, grid), expected)


def nrrd_labels(path, grid):
    """Label values of an NRRD by their place in the world, on the CT grid."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image)
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    index = np.argwhere(values)
    points = index[:, ::-1] @ direction.T + image.GetOrigin()
    labels = np.zeros(grid.geometry.shape, int)
    labels[tuple(np.rint(grid.geometry.to_vox(points)).astype(int).T)] = values[tuple(index.T)]
    return labels


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("ct", "seg", "nrrds", "labels", "background"),
    [
        ("ct-3slice", "liver.dcm", ["liver_seg.nrrd"], [1], 0),
        (
            "ct-3slice",
            "partial_overlaps.dcm",
            ["partial_overlaps-1.nrrd", "partial_overlaps-2.nrrd", "partial_overlaps-3.nrrd"],
            [1, 2, 3, 4, 5],
            0,
        ),
        ("23x38x3/image", "23x38x3/seg/label.seg", ["23x38x3/nrrd/label.nrrd"], [1], 0),
        ("24x38x3/image", "24x38x3/seg/label.seg", ["24x38x3/nrrd/label.nrrd"], [1], 0),
        (
            "24x38x3/image",
            "sparse-labelmap-noppv.dcm",
            ["sparse_labelmap_noppv_seg.nrrd"],
            [1],
            0,
        ),
        ("24x38x3/image", "sparse-labelmap-ppv5.dcm", ["sparse_labelmap_ppv5_seg.nrrd"], [1], 5),
    ],
)
def test_every_seg_of_dcmqi_decodes_to_its_nrrd(ct, seg, nrrds, labels, background):
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent")
    grid = grid_of([dcmread(path) for path in (REAL / ct).iterdir()])
    found = {region.number: region for region in read_seg(dcmread(REAL / seg), grid).regions}
    assert sorted(found) == labels
    files = [nrrd_labels(REAL / name, grid) for name in nrrds]
    assert set(np.unique(files)) - {0, background} == set(labels)
    for number, region in found.items():
        expected = np.logical_or.reduce([values == number for values in files])
        assert np.array_equal(on_grid(region, grid), expected)
