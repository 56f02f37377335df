from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from fake_ct import make_ct
from fake_rtstruct import (
    FakeContour,
    FakeReferences,
    FakeRoi,
    as_bytes,
    make_rtstruct,
    outline,
    reread,
    square,
    write_raw,
)
from fake_seg import grid_of
from lnscore.dicom.geometry import CtGrid
from lnscore.errors import CODES, Refusal
from lnscore.masks.regions import WAITING
from lnscore.masks.rtstruct import read_rtstruct, referenced_series, referenced_sops

LUNG = Path(__file__).parents[2] / "shared" / "data" / "lung-rtstruct"

TILT_RAD = np.radians(15)
GRIDS = {
    "axial": {},
    "head first": {"orientation": (1, 0, 0, 0, -1, 0)},
    "coronal": {"orientation": (1, 0, 0, 0, 0, -1)},
    "sagittal": {"orientation": (0, 1, 0, 0, 0, -1)},
    "oblique": {"orientation": (0.8, 0.6, 0, -0.48, 0.64, 0.6)},
    "tilted gantry": {
        "orientation": (1, 0, 0, 0, np.cos(TILT_RAD), -np.sin(TILT_RAD)),
        "slice_step_mm": (0, 0, 5),
    },
}


def ct_grid(**how) -> CtGrid:
    return grid_of(make_ct(shape=(12, 40, 44), origin_mm=(-30, 20, -100), **how))


@pytest.fixture(scope="module")
def grid():
    return ct_grid()


def read(grid, *rois, references=None):
    return read_rtstruct(reread(make_rtstruct(grid, rois, references)), grid)


def read_one(grid, *contours, **roi):
    """The one region of one ROI with these contours."""
    annotated = read(grid, FakeRoi(contours=contours, **roi))
    assert annotated.refusals == ()
    (region,) = annotated.regions
    return region


def on_ct(region, grid) -> np.ndarray:
    """The region's mask on the whole CT."""
    whole = np.zeros(grid.geometry.shape, bool)
    box = zip(region.origin_vox, region.mask.shape, strict=True)
    whole[tuple(slice(start, start + size) for start, size in box)] = region.mask
    return whole


def cube(grid, z, rows, columns) -> np.ndarray:
    """True from the first to the last index of each axis, both inside."""
    whole = np.zeros(grid.geometry.shape, bool)
    whole[tuple(slice(first, last + 1) for first, last in (z, rows, columns))] = True
    return whole


def refused(grid, *contours, **roi) -> Refusal:
    """The refusal of one ROI, which has no region."""
    annotated = read(grid, FakeRoi(contours=contours, **roi))
    assert annotated.regions == ()
    (refusal,) = annotated.refusals
    assert refusal.code in CODES
    return refusal


# --- what a structure becomes ---


def test_a_hand_made_mask_comes_back_voxel_for_voxel(grid):
    region = read_one(grid, *(square(grid, z, 7, 11) for z in (4, 5, 6)), name="LN 3", number=9)
    assert (on_ct(region, grid) == cube(grid, (4, 6), (7, 11), (7, 11))).all()
    assert (region.label, region.number, region.origin_vox) == ("LN 3", 9, (4, 7, 7))
    assert (region.warnings, region.centre_mm, region.tracking_uid) == ((), None, None)


@pytest.mark.parametrize("how", GRIDS.values(), ids=GRIDS)
def test_any_orientation_is_filled_in_its_own_slices(how):
    grid = ct_grid(**how)
    corners = [(5.5, 8.5), (5.5, 12.5), (9.5, 12.5), (9.5, 8.5)]
    region = read_one(grid, *(outline(grid, z, corners) for z in (2, 3, 4)))
    assert (on_ct(region, grid) == cube(grid, (2, 4), (6, 9), (9, 12))).all()
    assert region.warnings == ()


def test_the_order_of_contours_does_not_matter(grid):
    contours = [square(grid, z, 7, 7 + z) for z in (4, 5, 6)]
    one, other = read_one(grid, *contours), read_one(grid, *contours[::-1])
    assert (on_ct(one, grid) == on_ct(other, grid)).all()


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_a_contour_inside_another_is_a_hole(grid, kind):
    region = read_one(grid, square(grid, 5, 4, 20, kind=kind), square(grid, 5, 8, 11, kind=kind))
    expected = cube(grid, (5, 5), (4, 20), (4, 20)) ^ cube(grid, (5, 5), (8, 11), (8, 11))
    assert (on_ct(region, grid) == expected).all()
    assert region.warnings == ()


def test_contours_apart_on_one_slice_add_up(grid):
    region = read_one(grid, square(grid, 5, 4, 8), square(grid, 5, 20, 22))
    expected = cube(grid, (5, 5), (4, 8), (4, 8)) | cube(grid, (5, 5), (20, 22), (20, 22))
    assert (on_ct(region, grid) == expected).all()
    assert region.warnings == ()


def test_a_keyhole_is_a_hole(grid):
    outer = [(3.5, 3.5), (3.5, 20.5), (20.5, 20.5), (20.5, 3.5), (3.5, 3.5)]
    hole = [(7.5, 7.5), (7.5, 11.5), (11.5, 11.5), (11.5, 7.5), (7.5, 7.5)]
    region = read_one(grid, outline(grid, 5, outer + hole))
    expected = cube(grid, (5, 5), (4, 20), (4, 20)) ^ cube(grid, (5, 5), (8, 11), (8, 11))
    assert (on_ct(region, grid) == expected).all()


def test_a_contour_drawn_twice_counts_once_and_is_flagged(grid):
    corners = [(6.5, 6.5), (6.5, 11.5), (11.5, 11.5), (11.5, 6.5)]
    region = read_one(grid, outline(grid, 5, corners), outline(grid, 5, corners[2:] + corners[:2]))
    assert (on_ct(region, grid) == cube(grid, (5, 5), (7, 11), (7, 11))).all()
    assert region.warnings == ("M57",)


def test_contours_that_cross_are_flagged(grid):
    region = read_one(grid, square(grid, 5, 4, 12), square(grid, 5, 9, 20))
    assert region.warnings == ("M57",)


def test_contours_that_cross_by_xor_are_meant_so(grid):
    kind = "CLOSEDPLANAR_XOR"
    region = read_one(grid, square(grid, 5, 4, 12, kind=kind), square(grid, 5, 9, 20, kind=kind))
    expected = cube(grid, (5, 5), (4, 12), (4, 12)) ^ cube(grid, (5, 5), (9, 20), (9, 20))
    assert (on_ct(region, grid) == expected).all()
    assert region.warnings == ()


def test_a_figure_of_eight_encloses_two_areas(grid):
    eight = [(4.5, 4.5), (12.5, 12.5), (12.5, 4.5), (4.5, 12.5)]
    region = read_one(grid, outline(grid, 5, eight))
    assert region.mask.sum() == pytest.approx(32, abs=6)


def test_regions_come_in_the_order_of_roi_numbers(grid):
    rois = [FakeRoi(f"LN {n}", [square(grid, n, 5, 9)], n) for n in (7, 2, 4)]
    assert [region.number for region in read(grid, *rois).regions] == [2, 4, 7]


def test_the_station_is_read_from_the_name(grid):
    region = read_one(grid, square(grid, 5, 5, 9), name="LN 2 AJCC8:4R")
    assert (region.station.system, region.station.code) == ("AJCC8", "4R")


def test_an_unknown_station_system_is_flagged(grid):
    region = read_one(grid, square(grid, 5, 5, 9), name="LN 2 MOON:4R")
    assert (region.station, region.warnings) == (None, ("N06",))


def test_a_structure_without_name_is_called_by_its_number(grid):
    assert read_one(grid, square(grid, 5, 5, 9), name="", number=4).label == "ROI 4"


def test_a_structure_set_without_structures_is_no_error(grid):
    annotated = read(grid)
    assert (annotated.regions, annotated.refusals) == ((), ())


# --- which slice a contour belongs to ---


def test_a_contour_between_slices_goes_to_the_nearest_and_is_flagged(grid):
    region = read_one(grid, square(grid, 5.3, 7, 11))
    assert (region.origin_vox[0], region.mask.shape[0], region.warnings) == (5, 1, ("M52",))


def test_the_image_that_a_contour_names_decides_half_way(grid):
    for z in (5, 6):
        region = read_one(grid, square(grid, 5.5, 7, 11, sop_uid=grid.sop_uids[z]))
        assert (region.origin_vox[0], region.warnings) == (z, ("M52",))


def test_the_place_wins_over_an_image_that_lies_elsewhere(grid):
    region = read_one(grid, square(grid, 5, 7, 11, sop_uid=grid.sop_uids[8]))
    assert (region.origin_vox[0], region.warnings) == (5, ("M53",))


def test_an_image_shared_by_all_slices_names_none(grid):
    """An Enhanced CT is one object: every slice has its UID."""
    enhanced = replace(grid, sop_uids=("1.2.3",) * 12)
    region = read_one(enhanced, square(enhanced, 5, 7, 11, sop_uid="1.2.3"))
    assert (region.origin_vox[0], region.warnings) == (5, ())


@pytest.mark.parametrize(("z", "slice_"), [(-0.45, 0), (11.45, 11)])
def test_half_a_slice_beyond_either_end_is_still_inside(grid, z, slice_):
    assert read_one(grid, square(grid, z, 7, 11)).origin_vox[0] == slice_


@pytest.mark.parametrize("z", [-0.6, 11.6, 40])
def test_a_contour_beyond_the_slices_refuses_its_structure(grid, z):
    refusal = refused(grid, square(grid, 5, 7, 11), square(grid, z, 7, 11))
    assert refusal.code == "M49"
    assert f"a contour at slice {z:.1f} of 0 to 11" in refusal.found


def test_a_structure_beside_the_matrix_is_refused(grid):
    assert refused(grid, square(grid, 5, 60, 70)).code == "M49"


def test_a_structure_that_leaves_the_matrix_is_cut_and_flagged(grid):
    region = read_one(grid, square(grid, 5, -4, 3))
    assert (on_ct(region, grid) == cube(grid, (5, 5), (0, 3), (0, 3))).all()
    assert region.warnings == ("M58",)


def test_contours_finer_than_the_ct_do_not_make_rings(grid):
    planes = [square(grid, z, 10 - n, 20 + n) for n, z in enumerate((4.5, 5, 5.4))]
    region = read_one(grid, *planes)
    assert (on_ct(region, grid)[5] == cube(grid, (5, 5), (9, 21), (9, 21))[5]).all()
    assert "M56" in region.warnings


def test_contours_on_every_second_slice_are_interpolated_and_flagged(grid):
    region = read_one(grid, *(square(grid, z, 7, 11) for z in (2, 4, 6)))
    assert (on_ct(region, grid) == cube(grid, (2, 6), (7, 11), (7, 11))).all()
    assert region.warnings == ("M54",)


def test_contours_too_far_apart_leave_gaps_and_are_flagged(grid):
    region = read_one(grid, *(square(grid, z, 7, 11) for z in (2, 5, 8)))
    assert on_ct(region, grid).any(axis=(1, 2)).nonzero()[0].tolist() == [2, 5, 8]
    assert region.warnings == ("M55",)


@pytest.mark.parametrize("used", [(2, 3, 5), (2, 4)])
def test_a_gap_without_rule_stays_empty_and_is_flagged(grid, used):
    region = read_one(grid, *(square(grid, z, 7, 11) for z in used))
    assert on_ct(region, grid).any(axis=(1, 2)).nonzero()[0].tolist() == list(used)
    assert region.warnings == ("M55",)


def test_sagittal_contours_on_an_axial_ct_are_refused(grid):
    index = np.array([(3, 5, 9), (3, 15, 9), (8, 15, 9), (8, 5, 9)], float)
    refusal = refused(grid, FakeContour(grid.geometry.to_mm(index)))
    assert refusal.code == "M48"
    assert "across the slices, from slice 3.0 to 8.0" in refusal.found


def test_a_contour_that_is_flat_but_for_rounding_is_used(grid):
    index = np.array([(5.1, 4.5, 4.5), (4.9, 4.5, 9.5), (5.1, 9.5, 9.5), (4.9, 9.5, 4.5)])
    region = read_one(grid, FakeContour(grid.geometry.to_mm(index)))
    assert (on_ct(region, grid) == cube(grid, (5, 5), (5, 9), (5, 9))).all()
    assert region.warnings == ()


# --- what is left out ---


OPEN = [(5.0, 5.0), (5.0, 9.0), (9.0, 9.0)]


@pytest.mark.parametrize(
    ("corners", "kind", "why"),
    [
        (OPEN, "OPEN_PLANAR", "of type OPEN_PLANAR"),
        (OPEN, "OPEN_NONPLANAR", "of type OPEN_NONPLANAR"),
        (OPEN, "", r"of type (none)"),
        (OPEN[:2], "CLOSED_PLANAR", "of fewer than 3 points"),
        ([], "CLOSED_PLANAR", "of fewer than 3 points"),
        ([(5, 5), (7, 7), (11, 11)], "CLOSED_PLANAR", "without area"),
        ([(5, 5)] * 4, "CLOSED_PLANAR", "without area"),
    ],
)
def test_a_structure_that_encloses_nothing_is_refused_and_the_rest_is_used(
    grid, corners, kind, why
):
    index = np.array([(5, *corner) for corner in corners], float).reshape(-1, 3)
    bad = FakeRoi("bad", [FakeContour(grid.geometry.to_mm(index), kind)], 1)
    annotated = read(grid, bad, FakeRoi("good", [square(grid, 5, 5, 9)], 2))
    assert [(refusal.code, refusal.found) for refusal in annotated.refusals] == [
        ("M47", f"ROI 1 'bad': of 1 contours 1 {why}")
    ]
    assert [(region.label, region.warnings) for region in annotated.regions] == [("good", ())]


def test_one_open_contour_among_closed_ones_is_left_out_and_said(grid):
    contours = [square(grid, 5, 7, 11), outline(grid, 5, OPEN, kind="OPEN_PLANAR")]
    annotated = read(grid, FakeRoi(contours=contours))
    (region,), (refusal,) = annotated.regions, annotated.refusals
    assert (on_ct(region, grid) == cube(grid, (5, 5), (7, 11), (7, 11))).all()
    assert (region.warnings, refusal.code) == (("M47",), "M47")
    assert "of 2 contours 1 of type OPEN_PLANAR" in refusal.found


@pytest.mark.parametrize(
    "data", [b"1\\2\\3\\4 ", b"1\\2\\nan", b"1\\2\\inf ", b"1\\2\\x ", b"1\\\\3 ", b"1\\2\\1e300 "]
)
def test_coordinates_that_are_none_refuse_their_structure(grid, data):
    bad = FakeRoi("bad", [square(grid, 5, 7, 11)] * 2, 1)
    ds = make_rtstruct(grid, [bad, FakeRoi("good", [square(grid, 5, 5, 9)], 2)])
    write_raw(ds.ROIContourSequence[0].ContourSequence[1], "ContourData", "DS", data)
    annotated = read_rtstruct(reread(ds), grid)
    (refusal,) = annotated.refusals
    assert refusal.code == "M45"
    assert refusal.found.startswith("contour 2 of ROI 1 'bad' has ")
    assert [region.label for region in annotated.regions] == ["good"]


def test_numbers_that_pydicom_has_already_converted_are_read_too(grid):
    ds = make_rtstruct(grid, [FakeRoi(contours=[square(grid, 5, 7, 11)])])
    ds.ROIContourSequence[0].ContourSequence[0].ContourData = [
        float(v) for v in np.ravel(square(grid, 5, 7, 11).points_mm)
    ]
    (region,) = read_rtstruct(ds, grid).regions
    assert (on_ct(region, grid) == cube(grid, (5, 5), (7, 11), (7, 11))).all()


def test_a_contour_too_long_for_its_vr_is_read(grid):
    """More than 64 kB of numbers is written as UN in explicit VR."""
    turn = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    corners = np.stack([20 + 9.2 * np.sin(turn), 20 + 9.2 * np.cos(turn)], axis=1)
    ds = make_rtstruct(grid, [FakeRoi(contours=[outline(grid, 5, corners)])])
    with pytest.warns(UserWarning, match="VR is changed from 'DS' to 'UN'"):
        ds = reread(ds)
    assert ds.ROIContourSequence[0].ContourSequence[0].get_item("ContourData").VR == "UN"
    (region,) = read_rtstruct(ds, grid).regions
    assert region.mask.sum() == pytest.approx(np.pi * 9.2**2, rel=0.02)


def test_a_wrong_count_of_points_is_flagged(grid):
    ds = make_rtstruct(grid, [FakeRoi(contours=[square(grid, 5, 7, 11)])])
    ds.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 5
    assert read_rtstruct(reread(ds), grid).regions[0].warnings == ("M59",)


def test_a_structure_smaller_than_a_pixel_is_refused(grid):
    corners = [(5.2, 5.2), (5.2, 5.8), (5.8, 5.8), (5.8, 5.2)]
    assert refused(grid, outline(grid, 5, corners)).code == "M50"


def test_a_structure_without_contours_is_refused(grid):
    assert refused(grid).code == "M44"


def test_contours_without_a_structure_are_refused(grid):
    ds = make_rtstruct(grid, [FakeRoi(contours=[square(grid, 5, 7, 11)])])
    ds.ROIContourSequence[0].ReferencedROINumber = 8
    annotated = read_rtstruct(reread(ds), grid)
    assert sorted(refusal.code for refusal in annotated.refusals) == ["M43", "M44"]
    assert annotated.regions == ()


def test_a_number_used_twice_names_no_structure(grid):
    rois = [FakeRoi(name, [square(grid, 5, 7, 11)], 1) for name in ("one", "other")]
    annotated = read(grid, *rois)
    assert [refusal.code for refusal in annotated.refusals] == ["M43"]
    assert annotated.regions == ()


@pytest.mark.parametrize("kind", ["EXTERNAL", "SUPPORT", "ISOCENTER"])
def test_what_cannot_be_a_node_is_no_region(grid, kind):
    refusal = refused(grid, square(grid, 5, 7, 11), interpreted_type=kind)
    assert (refusal.code, kind in refusal.found) == ("M51", True)


def test_the_interpreted_types_are_kept(grid):
    rois = [FakeRoi("a", [square(grid, 5, 7, 11)], 1, interpreted_type="GTV"), FakeRoi("b", (), 2)]
    assert read(grid, *rois).details == {"interpreted_types": {"1": "GTV"}}


@pytest.mark.parametrize(
    ("cap", "value"), [("MAX_CONTOURS", 2), ("MAX_POINTS", 11), ("MAX_CONTOUR_POINTS", 3)]
)
def test_too_many_contours_or_points_refuse_their_structure(grid, monkeypatch, cap, value):
    contours = [square(grid, z, 7, 11) for z in (4, 5, 6)]
    assert refused_code(grid, contours) is None
    monkeypatch.setattr(f"lnscore.masks.rtstruct_structures.{cap}", value)
    assert refused_code(grid, contours) == "M46"


def refused_code(grid, contours):
    refusals = read(grid, FakeRoi(contours=contours)).refusals
    return refusals[0].code if refusals else None


def test_too_many_structures_refuse_the_file(grid):
    rois = [FakeRoi(f"LN {n}", (), n) for n in range(501)]
    with pytest.raises(Refusal, match=r"M06: the RTSTRUCT holds 501 ROIs; wanted at most 500"):
        read(grid, *rois)


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_a_name_cannot_break_the_line_of_a_message(grid):
    ds = make_rtstruct(grid, [FakeRoi()])
    write_raw(ds.StructureSetROISequence[0], "ROIName", "LO", b"a\rb" + 90 * b"x" + b" ")
    (refusal,) = read_rtstruct(ds, grid).refusals
    assert refusal.found == f"ROI 1 'a\\rb{61 * 'x'}' has no contours"


# --- points ---


def test_a_point_becomes_a_point(grid):
    (x, y, z) = grid.geometry.to_mm(np.array([[5, 7, 9]], float))[0]
    region = read_one(grid, FakeContour(np.array([[x, y, z]]), "POINT"), name="LN JES11:107")
    assert region.mask is None
    assert region.centre_mm == pytest.approx((x, y, z), abs=1e-5)
    assert (region.label, region.station.code) == ("LN JES11:107", "107")


def test_several_points_in_one_structure_are_several_numbered_regions(grid):
    where = grid.geometry.to_mm(np.array([[5, 7, 9], [6, 20, 20]], float))
    contours = [FakeContour(point[None], "POINT") for point in where]
    annotated = read(grid, FakeRoi("nodes", contours, 3))
    assert [(r.label, r.number) for r in annotated.regions] == [("nodes #1", 3), ("nodes #2", 3)]


def test_a_point_outside_the_scan_is_refused(grid):
    point = grid.geometry.to_mm(np.array([[5, 7, 60]], float))
    assert refused(grid, FakeContour(point, "POINT")).code == "M49"


def test_a_point_beside_closed_contours_is_left_out_and_said(grid):
    point = FakeContour(grid.geometry.to_mm(np.array([[5, 9, 9]], float)), "POINT")
    annotated = read(grid, FakeRoi(contours=[square(grid, 5, 7, 11), point]))
    assert annotated.regions[0].warnings == ("M47",)
    assert "1 of type POINT" in annotated.refusals[0].found


# --- which CT it belongs to ---

NOWHERE = FakeReferences(for_uid=None, series_uid=None)


def node(grid, **roi):
    return FakeRoi(contours=[square(grid, 5, 7, 11)], **roi)


def test_another_frame_of_reference_is_refused_with_both_uids(grid):
    with pytest.raises(Refusal, match=r"M02: .*1\.2\.77") as refusal:
        read(grid, node(grid), references=FakeReferences(for_uid="1.2.77"))
    assert grid.for_uid in str(refusal.value)


def test_a_structure_in_another_frame_of_reference_is_refused_alone(grid):
    annotated = read(grid, node(grid, for_uid="1.2.77"), node(grid, name="LN 2", number=2))
    (refusal,) = annotated.refusals
    assert (refusal.code, [region.label for region in annotated.regions]) == ("M02", ["LN 2"])
    assert "ROI 1 'LN 1' has frame of reference 1.2.77" in refusal.found
    assert grid.for_uid in refusal.wanted


@pytest.mark.parametrize(
    ("in_file", "in_roi", "series_uid", "sop_uids"),
    [
        ("the CT's", None, None, None),
        (None, "the CT's", None, None),
        (None, None, "the CT's", None),
        (None, None, "1.2.88", ["the CT's"]),
    ],
    ids=["frame in the file", "frame in the ROI", "series", "images"],
)
def test_one_statement_of_the_ct_is_enough(grid, in_file, in_roi, series_uid, sop_uids):
    references = FakeReferences(in_file, series_uid, sop_uids)
    assert len(read(grid, node(grid, for_uid=in_roi), references=references).regions) == 1


def test_the_image_of_a_contour_is_statement_enough(grid):
    contour = square(grid, 5, 7, 11, sop_uid=grid.sop_uids[5])
    roi = FakeRoi(contours=[contour], for_uid=None)
    assert len(read(grid, roi, references=NOWHERE).regions) == 1


def test_nothing_that_names_the_ct_is_refused_with_what_to_do(grid):
    with pytest.raises(Refusal, match=r"M42: .*Export it with its references"):
        read(grid, node(grid, for_uid=None), references=NOWHERE)


def test_a_structure_that_does_not_say_in_which_of_two_frames_is_refused(grid):
    ds = make_rtstruct(grid, [node(grid, for_uid=None)])
    other = Dataset()
    other.FrameOfReferenceUID = "1.2.77"
    ds.ReferencedFrameOfReferenceSequence.append(other)
    (refusal,) = read_rtstruct(reread(ds), grid).refusals
    assert refusal.code == "M42"


def test_images_that_are_not_there_are_waited_for(grid):
    early = replace(grid, sop_uids=("1.2.3", *grid.sop_uids[1:]))
    with pytest.raises(Refusal, match="refers to 1 CT images") as refusal:
        read_rtstruct(reread(make_rtstruct(grid, [node(grid)])), early)
    assert refusal.value.code in WAITING


def test_the_absent_image_of_a_contour_is_waited_for(grid):
    roi = FakeRoi(contours=[square(grid, 5, 7, 11, sop_uid="1.2.3")])
    with pytest.raises(Refusal) as refusal:
        read(grid, roi, references=FakeReferences(sop_uids=None))
    assert refusal.value.code in WAITING


def test_images_of_a_second_series_are_not_waited_for(grid):
    """A structure set on CT and MR lists both."""
    ds = make_rtstruct(grid, [FakeRoi(contours=[square(grid, 5, 7, 11, sop_uid="1.2.9.1")])])
    mr = make_rtstruct(grid, [], FakeReferences("1.2.77", "1.2.9", ["1.2.9.1", "1.2.9.2"]))
    ds.ReferencedFrameOfReferenceSequence += mr.ReferencedFrameOfReferenceSequence
    assert len(read_rtstruct(reread(ds), grid).regions) == 1


def test_the_series_and_images_referred_to_are_listed(grid):
    contour = square(grid, 5, 7, 11, sop_uid="1.2.3")
    ds = reread(make_rtstruct(grid, [FakeRoi(contours=[contour])]))
    assert referenced_series(ds) == {grid.series_uid}
    assert referenced_sops(ds) == {*grid.sop_uids, "1.2.3"}


def test_a_file_without_references_refers_to_nothing(grid):
    ds = reread(make_rtstruct(grid, [node(grid)], NOWHERE))
    assert (referenced_series(ds), referenced_sops(ds)) == (set(), set())


# --- malformed files ---


def test_another_object_is_refused(grid):
    ds = make_rtstruct(grid, [node(grid)])
    ds.SOPClassUID = CTImageStorage
    with pytest.raises(Refusal, match=r"M01: an object of SOP class .*\.1\.2; wanted"):
        read_rtstruct(ds, grid)


@pytest.mark.filterwarnings("ignore:Invalid value for VR IS:UserWarning")
def test_a_number_that_is_none_names_no_structure(grid):
    ds = make_rtstruct(grid, [node(grid)])
    write_raw(ds.StructureSetROISequence[0], "ROINumber", "IS", b"one ")
    annotated = read_rtstruct(reread(ds), grid)
    assert [refusal.code for refusal in annotated.refusals] == ["M43", "M43"]


def test_an_element_that_pydicom_cannot_convert_is_refused(grid):
    ds = make_rtstruct(grid, [node(grid)])
    write_raw(ds.StructureSetROISequence[0], "ROINumber", "ZZ", b"1 ")
    with pytest.raises(Refusal, match="M01: the RTSTRUCT cannot be read"):
        read_rtstruct(ds, grid)


def test_a_contour_that_pydicom_cannot_convert_refuses_its_structure(grid):
    ds = make_rtstruct(grid, [node(grid), node(grid, name="good", number=2)])
    contour = ds.ROIContourSequence[0].ContourSequence[0]
    write_raw(contour, "ContourGeometricType", "ZZ", b"POINT ")
    annotated = read_rtstruct(ds, grid)
    assert [refusal.code for refusal in annotated.refusals] == ["M01"]
    assert [region.label for region in annotated.regions] == ["good"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seed", range(10))
def test_whatever_bytes_are_damaged_it_is_read_or_refused(grid, seed):
    damage = np.random.default_rng(seed)
    rois = [node(grid), FakeRoi("p", [FakeContour(np.array([[9.0, 30, -80]]), "POINT")], 2)]
    whole = as_bytes(make_rtstruct(grid, rois, FakeReferences(sop_uids=None)))
    for _ in range(30):
        broken = bytearray(whole)
        for _ in range(damage.integers(1, 6)):
            broken[damage.integers(400, len(whole))] = damage.integers(256)
        try:
            ds = dcmread(BytesIO(bytes(broken)))
        except Exception:  # noqa: BLE001 - what cannot be opened at all is not ours
            continue
        with suppress(Refusal):
            assert len(read_rtstruct(ds, grid).regions) <= 2


# --- oracles ---


def dice(one, other) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def inside_vox(vertices, shape) -> np.ndarray:
    """The pixels of a slice whose centres matplotlib finds inside a polygon (row, column)."""
    from matplotlib.path import Path as Outline

    centres = np.stack(np.indices(shape), axis=-1).reshape(-1, 2)
    return Outline(vertices).contains_points(centres).reshape(shape)


def by_matplotlib(contours_mm, grid) -> np.ndarray:
    """A structure whose contours lie apart, filled without our code, on the whole CT."""
    whole = np.zeros(grid.geometry.shape, bool)
    for vertices in map(grid.geometry.to_vox, contours_mm):
        whole[round(vertices[0, 0])] |= inside_vox(vertices[:, 1:], whole.shape[1:])
    return whole


def as_rt_utils_fills(contours_mm, grid) -> np.ndarray:
    """A structure as rt-utils 1.2.7 reads it, on the whole CT.

    Its `image_helper.get_slice_mask_from_slice_contour_data` rounds every vertex to a pixel
    centre and calls OpenCV's fillPoly, which fills the polygon together with its border line.
    """
    whole = np.zeros(grid.geometry.shape, bool)
    for points_mm in contours_mm:
        vertices = np.rint(grid.geometry.to_vox(points_mm)).astype(int)
        z, corners = vertices[0, 0], vertices[:, 1:]
        whole[z] |= inside_vox(corners, whole.shape[1:])
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            steps = max(1, np.abs(end - start).max())
            line = start + np.outer(np.arange(steps + 1), end - start) / steps
            row, column = np.rint(line).astype(int).T
            whole[z, row, column] = True
    return whole


def farthest_from_outline_vox(voxels, contours, grid) -> float:
    """Largest in-plane distance, in pixels, of any of the voxels to its slice's outline."""
    farthest = 0.0
    outlines = {round(float(c[0, 0])): c[:, 1:] for c in map(grid.geometry.to_vox, contours)}
    for z, *pixel in np.argwhere(voxels):
        start = outlines[z]
        edge = np.roll(start, -1, axis=0) - start
        offset = np.array(pixel) - start
        length = np.maximum((edge**2).sum(axis=1), 1e-30)
        along = np.clip((offset * edge).sum(axis=1) / length, 0, 1)
        nearest = np.linalg.norm(offset - along[:, None] * edge, axis=1).min()
        farthest = max(farthest, float(nearest))
    return farthest


RT_UTILS_VOX = 1.25
"""rt-utils moves every vertex to a pixel centre (0.71) and takes the whole border line (0.5)."""


@pytest.fixture
def ellipses(grid) -> list[FakeContour]:
    """Contours whose vertices lie anywhere in their pixels, on three slices."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return [
        outline(grid, z, np.stack([20 + (9 + z) * np.sin(turn), 19 + 8.3 * np.cos(turn)], axis=1))
        for z in (4, 5, 6)
    ]


def test_pixels_are_those_that_matplotlib_finds_inside(grid, ellipses):
    points = [contour.points_mm for contour in ellipses]
    differs = on_ct(read_one(grid, *ellipses), grid) ^ by_matplotlib(points, grid)
    assert farthest_from_outline_vox(differs, points, grid) < 0.001
    assert differs.sum() <= 3


def test_rt_utils_agrees_but_for_the_border_that_it_adds(grid, ellipses):
    points = [contour.points_mm for contour in ellipses]
    ours, theirs = on_ct(read_one(grid, *ellipses), grid), as_rt_utils_fills(points, grid)
    assert farthest_from_outline_vox(ours ^ theirs, points, grid) < RT_UTILS_VOX
    assert (ours & ~theirs).sum() == 0
    assert 0.94 < dice(ours, theirs) < 1


def test_a_mask_that_rt_utils_wrote_loses_its_last_row_and_column(grid):
    """It draws through the centres of border pixels: the polygon is one pixel smaller.

    Its `image_helper.find_mask_contours` calls OpenCV's findContours. For the rows 10 to 20 and
    the columns 8 to 22 this gives the centres of the four corner pixels.
    """
    corners = [(10, 8), (20, 8), (20, 22), (10, 22)]
    written = [outline(grid, z, corners, sop_uid=grid.sop_uids[z]) for z in (4, 5, 6)]
    region = read_one(grid, *written)
    assert (on_ct(region, grid) == cube(grid, (4, 6), (10, 19), (8, 21))).all()
    assert region.warnings == ()


# --- real structures ---

real_data = pytest.mark.real_data
patients = pytest.mark.parametrize("patient", ["pat_1", "pat_2", "pat_3", "pat_4"])


def lung(patient) -> tuple[CtGrid, Dataset]:
    folder = LUNG / patient
    if not folder.is_dir():
        pytest.skip(f"the public lung CTs are not beside the checkout ({folder})")
    files = [dcmread(path, stop_before_pixels=True) for path in sorted(folder.glob("*.dcm"))]
    (structure_set,) = [ds for ds in files if ds.Modality == "RTSTRUCT"]
    return grid_of([ds for ds in files if ds.Modality == "CT"]), structure_set


def contours_mm(structure_set) -> list[np.ndarray]:
    sequence = structure_set.ROIContourSequence[0].ContourSequence
    return [np.array(item.ContourData, float).reshape(-1, 3) for item in sequence]


@real_data
@patients
def test_real_volumes_are_the_area_of_the_polygons_times_the_slice(patient):
    """Within 2 % of the shoelace formula, which knows no pixels."""
    grid, structure_set = lung(patient)
    annotated = read_rtstruct(structure_set, grid)
    (region,) = annotated.regions
    x_y = [points[:, :2].T for points in contours_mm(structure_set)]
    areas_mm2 = [abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 for x, y in x_y]
    step_mm = grid.geometry.steps_mm[0]
    volume_mm3 = region.mask.sum() * grid.geometry.voxel_mm3
    assert volume_mm3 == pytest.approx(sum(areas_mm2) * step_mm, rel=0.02)
    assert (region.label, region.warnings, annotated.refusals) == ("GTV-1", (), ())


@real_data
@patients
def test_real_pixels_are_those_that_matplotlib_finds_inside(patient):
    """Voxel for voxel, but for centres within 0.001 pixel of the outline."""
    grid, structure_set = lung(patient)
    points = contours_mm(structure_set)
    (region,) = read_rtstruct(structure_set, grid).regions
    differs = on_ct(region, grid) ^ by_matplotlib(points, grid)
    assert farthest_from_outline_vox(differs, points, grid) < 0.001
    assert differs.sum() <= 3


@real_data
@patients
def test_real_masks_of_rt_utils_differ_at_the_border_only(patient):
    grid, structure_set = lung(patient)
    ours = on_ct(read_rtstruct(structure_set, grid).regions[0], grid)
    points = contours_mm(structure_set)
    theirs = as_rt_utils_fills(points, grid)
    assert farthest_from_outline_vox(ours ^ theirs, points, grid) < RT_UTILS_VOX
    assert (ours & ~theirs).sum() <= 1
    assert 0.94 < dice(ours, theirs) < 1


@real_data
@patients
def test_real_references_name_the_ct(patient):
    grid, structure_set = lung(patient)
    assert referenced_series(structure_set) == {grid.series_uid}
    assert referenced_sops(structure_set) == set(grid.sop_uids)
