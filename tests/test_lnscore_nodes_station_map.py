import json

import numpy as np
import pytest
import SimpleITK as sitk

from db.records import StationKey
from fake_ct import affine_of
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.regions import Region
from lnscore.nodes.measuring import measure
from lnscore.nodes.station_map import StationMap, assign_stations, read_station_map

SHAPE = (10, 30, 30)
GRID = CtGrid(
    study_uid="1.2",
    series_uid="1.2.3",
    for_uid="1.2.9",
    sop_uids=(),
    geometry=Geometry(affine_of((2, 1, 1), (1, 0, 0, 0, 1, 0), (0, 0, 0)), SHAPE),
)
R4, SUBCARINAL = StationKey("AJCC8", "2017-ESO", "4R"), StationKey("AJCC8", "2017-ESO", "7")


def labels():
    """4R left of column 10, 7 from column 14 on, in rows below 20."""
    map_ = np.zeros(SHAPE, np.uint8)
    map_[:, :20, :10] = 1
    map_[:, :20, 14:] = 2
    return map_


MAP = StationMap((labels(),), {(0, 1): R4, (0, 2): SUBCARINAL})


def box(first, size, **facts):
    return Region(label="LN", number=1, mask=np.ones(size, bool), origin_vox=first, **facts)


def assigned(region, stations=MAP):
    (result,) = assign_stations([region], [measure(region, GRID)], stations, GRID)
    return result


def write_map(path, map_, keys=()):
    image = sitk.GetImageFromArray(map_)
    image.SetSpacing((1, 1, 2))
    for key, value in dict(keys).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


def test_the_station_that_holds_most_of_a_node_is_its_station():
    result = assigned(box((3, 5, 7), (2, 4, 4)))  # columns 7 to 10: three of four in 4R
    assert (result.station, result.station_source) == (R4, "overlap")
    assert result.station_candidates == [{"system": "AJCC8", "code": "4R", "overlap": 0.75}]
    assert "N08" not in result.warnings


def test_one_half_is_a_majority():
    result = assigned(box((3, 5, 8), (2, 4, 4)))
    assert (result.station, result.station_source) == (R4, "overlap")


def test_below_one_half_the_station_is_only_the_nearest_and_flagged():
    result = assigned(box((3, 5, 9), (2, 4, 6)))  # a sixth in each
    assert (result.station, result.station_source) == (R4, "nearest")
    assert [candidate["overlap"] for candidate in result.station_candidates] == [0.1667, 0.1667]
    assert "N08" in result.warnings


def test_the_nearest_station_within_five_millimetres_is_flagged():
    result = assigned(box((3, 5, 12), (2, 4, 1)))  # 3 mm from 4R, 2 mm from 7
    assert (result.station, result.station_source) == (SUBCARINAL, "nearest")
    assert result.station_candidates == []
    assert "N08" in result.warnings


@pytest.mark.parametrize(("row", "source"), [(24, "nearest"), (25, "unassigned")])
def test_beyond_five_millimetres_there_is_no_station(row, source):
    result = assigned(box((3, row, 2), (2, 3, 3)))
    assert result.station_source == source
    assert (result.station is None) == (source == "unassigned")


def test_what_the_source_states_stays_and_candidates_are_kept():
    result = assigned(box((3, 5, 16), (2, 4, 4), station=R4))
    assert (result.station, result.station_source) == (R4, "explicit")
    assert result.station_candidates == [{"system": "AJCC8", "code": "7", "overlap": 1.0}]


def test_overlapping_stations_are_all_candidates():
    second = np.zeros(SHAPE, np.uint8)
    second[:, :, :5] = 1
    third = StationKey("JES11", "2015", "106tbR")
    stations = StationMap((labels(), second), {**MAP.stations, (1, 1): third})
    result = assigned(box((3, 5, 3), (2, 4, 4)), stations)
    assert result.station == R4
    assert result.station_candidates == [
        {"system": "AJCC8", "code": "4R", "overlap": 1.0},
        {"system": "JES11", "code": "106tbR", "overlap": 0.5},
    ]


def test_a_point_lies_in_the_station_of_its_voxel():
    result = assigned(Region(label="P", number=1, centre_mm=(20.2, 5.0, 6.0)))
    assert (result.station, result.station_source) == (SUBCARINAL, "overlap")


@pytest.mark.parametrize(
    ("name", "legend"),
    [
        ("s.json", json.dumps({"1": "AJCC8:4R", "2": "AJCC8:7"})),
        ("s.csv", "label,station\n1,AJCC8:4R\n2,AJCC8:7\n"),
        ("s.csv", "1,AJCC8:4R\n2,AJCC8:7\n"),
    ],
)
def test_the_legend_lies_beside_the_map(tmp_path, name, legend):
    path = write_map(tmp_path / "s.nii.gz", labels())
    (tmp_path / name).write_text(legend)
    stations = read_station_map(path, GRID)
    assert stations.stations == MAP.stations
    assert np.array_equal(stations.layers[0], labels())


def test_segment_names_are_a_legend_too(tmp_path):
    keys = {
        "Segment0_ID": "a",
        "Segment0_Name": "AJCC8:4R",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_ID": "b",
        "Segment1_Name": "subcarinal AJCC8:7",
        "Segment1_LabelValue": "2",
        "Segment1_Layer": "0",
    }
    path = write_map(tmp_path / "s.seg.nrrd", labels(), keys)
    assert read_station_map(path, GRID).stations == MAP.stations


def test_a_label_without_a_station_is_refused(tmp_path):
    path = write_map(tmp_path / "s.nrrd", labels())
    (tmp_path / "s.json").write_text(json.dumps({"1": "AJCC8:4R"}))
    with pytest.raises(Refusal, match=r"K04: station map s\.nrrd has no station for label 2"):
        read_station_map(path, GRID)


def test_a_legend_of_bare_numbers_is_refused(tmp_path):
    path = write_map(tmp_path / "s.nrrd", labels())
    (tmp_path / "s.json").write_text(json.dumps({"1": "4R", "2": "7"}))
    with pytest.raises(Refusal, match="N06: station '4R'; wanted SYSTEM:CODE"):
        read_station_map(path, GRID)
