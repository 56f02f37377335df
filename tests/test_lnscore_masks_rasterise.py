import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnscore.masks.rasterise import between, fill_even_odd

SHAPE = (24, 28)


def rectangle(top: float, left: float, bottom: float, right: float) -> np.ndarray:
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)], float)


def block(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    """Rows and columns from `top`, `left` up to, not with, `bottom`, `right`."""
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


@st.composite
def star(draw):
    """A simple polygon around (12, 14) on a lattice of 1/8 pixel, wholly inside the window."""
    count = draw(st.integers(3, 12))
    angles = np.sort(draw(st.lists(st.floats(0, 2 * np.pi), min_size=count, max_size=count)))
    reach = draw(st.lists(st.floats(1, 10), min_size=count, max_size=count))
    offsets = np.stack([np.sin(angles), np.cos(angles)], axis=1) * np.array(reach)[:, None]
    return np.round((offsets + np.array((12, 14))) * 8) / 8


polygons = st.lists(
    st.tuples(st.integers(0, 8 * 24), st.integers(0, 8 * 28)), min_size=3, max_size=15
).map(lambda vertices: np.array(vertices) / 8)
"""Any polygon, self-crossing too, on a lattice of 1/8 pixel."""


def test_a_pixel_is_inside_when_its_centre_is():
    inside = fill_even_odd([rectangle(1.6, 2.4, 3.4, 5.6)], SHAPE)
    assert (inside == block(2, 3, 4, 6)).all()


def test_a_centre_on_an_upper_or_left_edge_is_inside_on_a_lower_or_right_edge_not():
    assert (fill_even_odd([rectangle(2, 3, 5, 7)], SHAPE) == block(2, 3, 5, 7)).all()


def test_a_triangle_is_what_a_pencil_says():
    inside = fill_even_odd([np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)])], (5, 5))
    assert inside.astype(int).tolist() == [
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


@given(
    st.lists(st.integers(8, 8 * 26), min_size=2, max_size=9),
    st.integers(0, 8 * 27),
    st.integers(0, 8 * 27),
)
def test_parts_on_either_side_of_a_line_share_no_pixel_and_leave_none_out(bends, top, bottom):
    """A crooked line from the top edge to the bottom edge of a rectangle."""
    rows = np.linspace(0, 23, len(bends) + 2)
    line = np.stack([np.round(rows * 8), [top, *bends, bottom]], axis=1) / 8
    left = np.concatenate([line, [(23, 0), (0, 0)]])
    right = np.concatenate([line[::-1], [(0, 27), (23, 27)]])
    counts = fill_even_odd([left], SHAPE).astype(int) + fill_even_odd([right], SHAPE)
    assert (counts == block(0, 0, 23, 27)).all()


@given(st.integers(1, 22), st.integers(1, 26))
def test_four_quarters_that_meet_in_a_vertex_tile_the_whole(row, column):
    """Slanted inner edges: each is computed twice, from either end."""
    corners = rectangle(0, 0, 23, 27)
    middle = np.array([(row, column)], float)
    quarters = [np.concatenate([corners[[side, (side + 1) % 4]], middle]) for side in range(4)]
    counts = sum(fill_even_odd([quarter], SHAPE).astype(int) for quarter in quarters)
    assert (counts == block(0, 0, 23, 27)).all()


@given(polygons, st.integers(0, 14))
def test_the_order_of_vertices_changes_nothing(polygon, start):
    expected = fill_even_odd([polygon], SHAPE)
    assert (fill_even_odd([np.roll(polygon, start, axis=0)], SHAPE) == expected).all()
    assert (fill_even_odd([polygon[::-1]], SHAPE) == expected).all()


@given(polygons, st.integers(-30, 30), st.integers(-30, 30))
def test_whole_pixels_of_shift_shift_the_mask(polygon, down, right):
    moved = fill_even_odd([polygon + np.array((down, right))], SHAPE, origin=(down, right))
    assert (moved == fill_even_odd([polygon], SHAPE)).all()


@given(polygons, st.integers(0, 20), st.integers(0, 20))
def test_a_window_is_cut_from_the_whole(polygon, row, column):
    window = fill_even_odd([polygon], (4, 5), origin=(row, column))
    whole = fill_even_odd([polygon], (24, 25))
    assert (window == whole[row : row + 4, column : column + 5]).all()


@given(star())
def test_pixels_and_area_differ_by_less_than_the_perimeter(polygon):
    """Jarník's inequality for lattice points in a closed curve of length >= 1."""
    after = np.roll(polygon, -1, axis=0)
    shoelace = abs(np.sum(polygon[:, 0] * after[:, 1] - polygon[:, 1] * after[:, 0])) / 2
    perimeter = np.linalg.norm(after - polygon, axis=1).sum()
    assert abs(fill_even_odd([polygon], SHAPE).sum() - shoelace) <= max(perimeter, 1)


def on_an_edge(points, polygon):
    """Points (point, 2) within 1e-9 of an edge."""
    start, edge = polygon, np.roll(polygon, -1, axis=0) - polygon
    offset = points[:, None] - start
    length = np.maximum((edge**2).sum(axis=1), 1e-30)
    along = np.clip((offset * edge).sum(axis=2) / length, 0, 1)
    return (np.linalg.norm(offset - along[..., None] * edge, axis=2) < 1e-9).any(axis=1)


@settings(deadline=None)  # the first call imports matplotlib
@given(polygons)
def test_matplotlib_agrees_where_no_edge_runs_through_the_centre(polygon):
    """matplotlib.path is even-odd too, and leaves open what lies on an edge."""
    from matplotlib.path import Path

    centres = np.stack(np.indices(SHAPE), axis=-1).reshape(-1, 2)
    theirs = Path(np.concatenate([polygon, polygon[:1]])).contains_points(centres)
    differs = fill_even_odd([polygon], SHAPE).ravel() != theirs
    assert not (differs & ~on_an_edge(centres, polygon)).any()


def test_a_polygon_inside_another_is_a_hole():
    inside = fill_even_odd([rectangle(2, 2, 20, 20), rectangle(5, 5, 8, 9)], SHAPE)
    assert (inside == (block(2, 2, 20, 20) ^ block(5, 5, 8, 9))).all()


def test_polygons_apart_add_up():
    inside = fill_even_odd([rectangle(2, 2, 5, 5), rectangle(9, 9, 12, 14)], SHAPE)
    assert (inside == (block(2, 2, 5, 5) | block(9, 9, 12, 14))).all()


def test_a_keyhole_is_a_hole():
    outer, hole = rectangle(2, 2, 20, 20), rectangle(5, 5, 8, 9)
    keyhole = np.concatenate([outer, outer[:1], hole, hole[:1]])
    expected = block(2, 2, 20, 20) ^ block(5, 5, 8, 9)
    assert (fill_even_odd([keyhole], SHAPE) == expected).all()


def test_what_lies_outside_the_window_is_cut_not_wrapped():
    inside = fill_even_odd([rectangle(-5, -7, 3, 4), rectangle(20, 25, 90, 90)], SHAPE)
    assert (inside == (block(0, 0, 3, 4) | block(20, 25, 24, 28))).all()


def test_many_edges_are_taken_in_portions(monkeypatch):
    monkeypatch.setattr("lnscore.masks.rasterise.MAX_CROSSINGS", 7)
    inside = fill_even_odd([rectangle(2, 2, 20, 20), rectangle(5, 5, 8, 9)], SHAPE)
    assert (inside == (block(2, 2, 20, 20) ^ block(5, 5, 8, 9))).all()


def test_nothing_fills_nothing():
    assert not fill_even_odd([], SHAPE).any()


def test_float_noise_of_written_coordinates_moves_no_edge():
    clean = rectangle(2, 3, 5, 7)
    noise = np.random.default_rng(1).uniform(-4e-4, 4e-4, clean.shape)
    assert (fill_even_odd([clean + noise], SHAPE) == block(2, 3, 5, 7)).all()


def test_between_equal_shapes_lies_the_same_shape():
    shape = block(4, 5, 9, 12)
    assert (between(shape, shape, 0.5) == shape).all()


def test_half_way_between_two_discs_lies_the_mean_radius():
    distance = np.hypot(*(np.indices((41, 41)) - 20))
    middle = between(distance <= 6, distance <= 14, 0.5)
    radius = np.sqrt(middle.sum() / np.pi)
    assert radius == pytest.approx(10, abs=0.5)


def test_between_moves_with_the_fraction():
    distance = np.hypot(*(np.indices((41, 41)) - 20))
    areas = [between(distance <= 6, distance <= 14, f).sum() for f in (0.25, 0.5, 0.75)]
    assert areas == sorted(areas)
    assert areas[0] < areas[2]


def test_between_nothing_and_something_lies_nothing():
    assert not between(np.zeros(SHAPE, bool), block(4, 5, 9, 12), 0.5).any()
