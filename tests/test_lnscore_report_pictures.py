"""Pictures of a node: orientation, aspect, window, outline, file."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from engines.patch import SPEC
from fake_nodes import GRID_MM, centred_affine, node_patch
from lnscore.report.outlines import trace
from lnscore.report.pictures import PIXEL_MM, PLANES, SIZE_PX, Picture, draw, png

AXIAL, CORONAL, SAGITTAL = range(3)


def grey_of(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)))


def spot(z_mm: float, y_mm: float, x_mm: float) -> np.ndarray:
    """A bright ball of 6 mm in fat, at this distance from the patch's centre."""
    distance = np.linalg.norm(GRID_MM - np.array([z_mm, y_mm, x_mm]), axis=-1)
    return np.where(distance < 6, 240, -160).astype(np.int16)


def ellipsoid_mask(z_mm: float, y_mm: float, x_mm: float) -> np.ndarray:
    reach = np.linalg.norm(GRID_MM / np.array([z_mm, y_mm, x_mm]), axis=-1)
    return np.where(reach < 1, 255, 0).astype(np.uint8)


def brightest(picture: Picture) -> tuple[float, float]:
    """Centre of the bright spot in mm from the picture's middle: x right, y down."""
    rows, columns = np.nonzero(grey_of(picture) > 128)
    return (
        float((columns.mean() + 0.5 - SIZE_PX / 2) * PIXEL_MM),
        float((rows.mean() + 0.5 - SIZE_PX / 2) * PIXEL_MM),
    )


def shown(patch: np.ndarray, mask: np.ndarray | None = None) -> tuple[Picture, ...]:
    return draw(patch, mask, centred_affine(), np.zeros(3))


def area_px(line: np.ndarray) -> float:
    x, y = line.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def test_axial_has_patient_left_on_the_right_and_the_front_up() -> None:
    right, down = brightest(shown(spot(0, -15, 20))[AXIAL])
    assert (right, down) == (pytest.approx(20, abs=0.6), pytest.approx(-15, abs=0.6))


def test_coronal_has_patient_left_on_the_right_and_the_head_up() -> None:
    right, down = brightest(shown(spot(15, 0, 20))[CORONAL])
    assert (right, down) == (pytest.approx(20, abs=0.6), pytest.approx(-15, abs=1.5))


def test_sagittal_has_the_front_on_the_left_and_the_head_up() -> None:
    right, down = brightest(shown(spot(15, -20, 0))[SAGITTAL])
    assert (right, down) == (pytest.approx(-20, abs=0.6), pytest.approx(-15, abs=1.5))


def test_letters_name_the_edges() -> None:
    assert [plane.letters for plane in PLANES] == [
        ("R", "L", "A", "P"),
        ("R", "L", "H", "F"),
        ("A", "P", "H", "F"),
    ]


@pytest.mark.parametrize("z_step_mm", [4.6, 5.0, 5.5])
def test_a_ball_is_as_high_as_wide_whatever_the_slice_step(z_step_mm: float) -> None:
    affine = centred_affine()
    affine[:3, 0] *= z_step_mm / 5
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SPEC.size_vox) - 1) / 2)
    scaled = GRID_MM * np.array([z_step_mm / 5, 1, 1])
    distance = np.linalg.norm(scaled, axis=-1)
    patch = np.rint(40 + 20 * (20 - distance)).astype(np.int16)  # half grey at 20 mm
    for picture in draw(patch, None, affine, np.zeros(3)):
        rows, columns = np.nonzero(grey_of(picture) > 128)
        assert np.ptp(columns) * PIXEL_MM == pytest.approx(40, abs=0.6)
        assert np.ptp(rows) * PIXEL_MM == pytest.approx(40, abs=0.6)


def test_window_is_40_400() -> None:
    patch = np.full(SPEC.size_vox, -160, np.int16)
    for hu, grey in ((-1024, 0), (-160, 0), (40, 128), (140, 191), (240, 255), (3000, 255)):
        patch[:] = hu
        assert grey_of(shown(patch)[AXIAL])[100, 100] == pytest.approx(grey, abs=1)


def test_the_axial_picture_is_one_stored_slice_not_a_blend() -> None:
    patch = np.full(SPEC.size_vox, -160, np.int16)
    patch[9] = 240
    centre_mm = centred_affine() @ np.array([9.2, 39.5, 39.5, 1])
    assert grey_of(draw(patch, None, centred_affine(), centre_mm[:3])[AXIAL]).min() == 255


def test_outline_encloses_the_masks_area_in_every_plane() -> None:
    mask = ellipsoid_mask(15.0, 8.0, 12.0)
    steps = SPEC.spacing_mm
    for picture in shown(np.zeros(SPEC.size_vox, np.int16), mask):
        axis = picture.plane.cut_axis
        down, right = (a for a in range(3) if a != axis)
        index = (9, 40, 40)[axis]
        wanted_mm2 = (mask.take(index, axis) > 127).sum() * steps[down] * steps[right]
        drawn_mm2 = sum(area_px(line) for line in picture.outline) * PIXEL_MM**2
        assert drawn_mm2 == pytest.approx(wanted_mm2, rel=0.03)


def test_outline_lies_on_the_border_of_the_bright_node() -> None:
    inner_mm = 9 - np.linalg.norm(GRID_MM - np.array([0, 8, -11]), axis=-1)
    patch = np.rint(40 + 40 * inner_mm).clip(-160, 240).astype(np.int16)
    mask = np.rint(127.5 + 127.5 * inner_mm / 5).clip(0, 255).astype(np.uint8)
    centre_mm = np.array([-11.0, 8.0, 0.0])
    for picture in draw(patch, mask, centred_affine(), centre_mm):
        grey = grey_of(picture).astype(float)
        at = np.floor(picture.outline[0]).astype(int)
        assert np.abs(grey[at[:, 1], at[:, 0]] - 127.5).max() < 25  # 25 of 255: one mm


def test_centre_is_where_the_node_is() -> None:
    centre_mm = np.array([3.0, -4.0, 6.0])
    mask = (np.linalg.norm(GRID_MM - centre_mm[::-1], axis=-1) < 9).astype(np.uint8) * 255
    for picture in draw(mask.astype(np.int16), mask, centred_affine(), centre_mm):
        middle = picture.outline[0].mean(axis=0) * PIXEL_MM
        assert np.allclose(middle, np.array(picture.centre_px) * PIXEL_MM, atol=2.6)


def test_a_sliver_that_fills_no_voxel_by_half_still_has_an_outline() -> None:
    mask = (ellipsoid_mask(3.0, 5.0, 5.0) > 0).astype(np.uint8) * 90
    assert all(picture.outline for picture in shown(np.zeros(SPEC.size_vox, np.int16), mask))


def test_a_bent_node_is_shown_where_it_is() -> None:
    mask = ellipsoid_mask(20.0, 15.0, 15.0) & ~ellipsoid_mask(8.0, 40.0, 40.0)
    picture = shown(np.zeros(SPEC.size_vox, np.int16), mask)[AXIAL]
    assert picture.outline


def test_a_point_has_no_outline() -> None:
    assert all(picture.outline == () for picture in shown(spot(0, 0, 0)))


def test_a_ring_has_an_outer_and_an_inner_line() -> None:
    mask = ellipsoid_mask(40.0, 20.0, 20.0) & ~ellipsoid_mask(40.0, 8.0, 8.0)
    lines = shown(np.zeros(SPEC.size_vox, np.int16), mask)[AXIAL].outline
    assert len(lines) == 2


def test_a_mask_at_the_patchs_edge_still_closes() -> None:
    mask = np.full(SPEC.size_vox, 255, np.uint8)
    lines = shown(np.zeros(SPEC.size_vox, np.int16), mask)[AXIAL].outline
    assert len(lines) == 1
    assert area_px(lines[0]) == pytest.approx(SIZE_PX**2, rel=0.02)


def test_trace_of_a_disc_has_its_area_to_a_thousandth() -> None:
    y, x = np.mgrid[:60, :60] + 0.5
    field = 100 - np.hypot(x - 31.3, y - 28.7)
    (line,) = trace(field, 80.0)
    assert area_px(line) == pytest.approx(np.pi * 20**2, rel=1e-3)
    assert np.allclose(np.hypot(line[:, 0] - 31.3, line[:, 1] - 28.7), 20, atol=0.01)


@pytest.mark.parametrize(("middle", "count"), [(0.4, 2), (0.7, 1)])
def test_a_saddle_is_joined_only_where_its_middle_is_inside(middle: float, count: int) -> None:
    low = 2 * middle - 1
    assert len(trace(np.array([[1.0, low], [low, 1.0]]), 0.5)) == count


@settings(max_examples=150, deadline=None)
@given(arrays(np.uint8, (6, 7)))
def test_lines_close_and_part_inside_from_outside(field: np.ndarray) -> None:
    lines = trace(field.astype(float), 127.5)
    for row, column in itertools.product(range(6), range(7)):
        crossings = sum(_crossings(line, column + 0.5, row + 0.5) for line in lines)
        assert (crossings % 2 == 1) == (field[row, column] > 127.5)


def _crossings(line: np.ndarray, x: float, y: float) -> int:
    """How often a ray to the right of (x, y) meets the line."""
    after = np.roll(line, -1, axis=0)
    spans = (line[:, 1] > y) != (after[:, 1] > y)
    a, b = line[spans], after[spans]
    at = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return int((at > x).sum())


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_png_keeps_every_pixel(grey: np.ndarray) -> None:
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(grey)))), grey)


def test_three_pictures_of_a_real_looking_node_weigh_under_60_kb() -> None:
    patch, mask = node_patch(seed=1)
    assert sum(len(picture.png) for picture in shown(patch, mask)) < 60_000


def test_the_same_patch_gives_the_same_bytes() -> None:
    patch, mask = node_patch(seed=2)
    assert [p.png for p in shown(patch, mask)] == [p.png for p in shown(patch, mask)]
