import json

import numpy as np
import pytest

from db.records import StationKey
from fake_ct import affine_of
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.points import read_points

GRID = CtGrid(
    study_uid="1.2",
    series_uid="1.2.3",
    for_uid="1.2.9",
    sop_uids=(),
    geometry=Geometry(affine_of((5, 0.8, 0.9), (1, 0, 0, 0, 1, 0), (-20, -10, 100)), (12, 40, 50)),
)


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def markups(*positions, system="LPS"):
    points = [
        {"label": f"F-{n}", "position": list(position), "positionStatus": "defined"}
        for n, position in enumerate(positions, 1)
    ]
    return {"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]}


def test_a_csv_has_names_and_stations(tmp_path):
    path = write(tmp_path, "p.csv", "x,y,z,name,station\n1,2,110,LN 1,AJCC8:7\n3.5,-4,120,,\n")
    first, second = read_points(path, "LPS_MM", GRID).regions
    assert (first.label, first.centre_mm) == ("LN 1", (1.0, 2.0, 110.0))
    assert first.station == StationKey("AJCC8", "2017-ESO", "7")
    assert (second.label, second.number, second.station) == ("point 2", 2, None)
    assert first.mask is None


def test_columns_may_stand_in_any_order_and_case(tmp_path):
    path = write(tmp_path, "p.csv", "\ufeffName, Z ,Y,X,note\nLN,110,2,1,big\n")
    assert read_points(path, "LPS_MM", GRID).regions[0].centre_mm == (1.0, 2.0, 110.0)


def test_ras_is_turned_to_lps(tmp_path):
    path = write(tmp_path, "p.csv", "x,y,z\n-1,-2,110\n")
    assert read_points(path, "RAS_MM", GRID).regions[0].centre_mm == (1.0, 2.0, 110.0)


def test_ijk_is_column_row_slice(tmp_path):
    path = write(tmp_path, "p.csv", "x,y,z\n10,20,3\n")
    centre_mm = read_points(path, "IJK", GRID).regions[0].centre_mm
    assert centre_mm == pytest.approx((-20 + 10 * 0.9, -10 + 20 * 0.8, 100 + 3 * 5))


@pytest.mark.parametrize(
    "content",
    [
        [{"x": 1, "y": 2, "z": 110, "name": "LN 1"}],
        {"points": [{"x": 1, "y": 2, "z": 110, "name": "LN 1"}]},
        {"coord": "LPS_MM", "points": [{"x": "1", "y": 2.0, "z": 110, "name": "LN 1"}]},
    ],
)
def test_json_is_a_list_of_points(tmp_path, content):
    (region,) = read_points(write(tmp_path, "p.json", content), "LPS_MM", GRID).regions
    assert (region.label, region.centre_mm) == ("LN 1", (1.0, 2.0, 110.0))


@pytest.mark.parametrize(
    ("system", "position"), [("LPS", (1, 2, 110)), ("RAS", (-1, -2, 110)), (0, (-1, -2, 110))]
)
def test_slicer_states_its_coordinate_system(tmp_path, system, position):
    path = write(tmp_path, "F.mrk.json", markups(position, system=system))
    annotated = read_points(path, None, GRID)
    assert annotated.regions[0].centre_mm == (1.0, 2.0, 110.0)
    assert annotated.regions[0].label == "F-1"


def test_a_point_that_slicer_has_not_placed_is_none(tmp_path):
    content = markups((1, 2, 110), (0, 0, 0))
    content["markups"][0]["controlPoints"][1]["positionStatus"] = "undefined"
    assert len(read_points(write(tmp_path, "F.mrk.json", content), None, GRID).regions) == 1


def test_a_conflict_of_coordinate_systems_is_refused(tmp_path):
    path = write(tmp_path, "F.mrk.json", markups((1, 2, 110), system="LPS"))
    with pytest.raises(Refusal, match=r"K02: F\.mrk\.json states LPS_MM, --coord is RAS_MM"):
        read_points(path, "RAS_MM", GRID)
    assert len(read_points(path, "LPS_MM", GRID).regions) == 1


@pytest.mark.parametrize("coord", [None, "MM"])
def test_the_coordinate_system_is_never_guessed(tmp_path, coord):
    path = write(tmp_path, "p.csv", "x,y,z\n1,2,110\n")
    with pytest.raises(Refusal, match=r"K02: .*wanted one coordinate system of LPS_MM, RAS_MM"):
        read_points(path, coord, GRID)


def test_a_point_outside_the_scan_is_refused_by_name(tmp_path):
    path = write(tmp_path, "p.csv", "x,y,z,name\n1,2,110,in\n1,2,400,LN far\n")
    annotated = read_points(path, "LPS_MM", GRID)
    assert [region.label for region in annotated.regions] == ["in"]
    assert "K03: 'LN far' at (1.0, 2.0, 400.0) mm LPS lies outside" in str(annotated.refusals[0])


@pytest.mark.parametrize(
    ("offset_vox", "inside"), [(-0.49, True), (-0.51, False), (11.49, True), (11.51, False)]
)
def test_the_scan_ends_at_the_border_of_its_voxels(tmp_path, offset_vox, inside):
    path = write(tmp_path, "p.csv", f"x,y,z\n5,5,{offset_vox}\n")
    assert len(read_points(path, "IJK", GRID).regions) == inside


def test_wrong_rows_are_told_with_their_lines(tmp_path):
    path = write(tmp_path, "p.csv", "x,y,z\n1,2,110\n1,two,110\n1,2,\n1,2,nan\n")
    with pytest.raises(Refusal) as refusal:
        read_points(path, "LPS_MM", GRID)
    found = refusal.value.found
    assert refusal.value.code == "K01"
    assert "line 3: y: Input should be a valid number" in found
    assert "line 4: z: Field required" in found
    assert "line 5: z: Input should be a finite number" in found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", "{"),
        ("p.json", "3"),
        ("p.json", {"nodes": []}),
        ("p.json", [[1, 2, 3]]),
        ("F.mrk.json", {"markups": [{"controlPoints": []}]}),
        ("F.mrk.json", {"markups": 3}),
        ("F.mrk.json", markups((1, 2))),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, content):
    with pytest.raises(Refusal, match="K01: points file"):
        read_points(write(tmp_path, name, content), "LPS_MM", GRID)


@pytest.mark.parametrize("station", ["4R", "FOO:4R"])
def test_an_unknown_station_is_warned_and_the_point_is_used(tmp_path, station):
    path = write(tmp_path, "p.csv", f"x,y,z,station\n1,2,110,{station}\n")
    (region,) = read_points(path, "LPS_MM", GRID).regions
    assert (region.station, region.warnings) == (None, ("N06",))


def test_no_points_are_no_error(tmp_path):
    assert read_points(write(tmp_path, "p.csv", "x,y,z\n"), "LPS_MM", GRID).regions == ()


def test_five_hundred_points_are_the_limit(tmp_path):
    rows = "\n".join(f"{x},2,110" for x in np.linspace(0, 5, 501))
    with pytest.raises(Refusal, match=r"M06: .* has 501 points"):
        read_points(write(tmp_path, "p.csv", f"x,y,z\n{rows}\n"), "LPS_MM", GRID)
