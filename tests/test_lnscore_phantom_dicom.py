"""A phantom cohort as DICOM: real files, known content, the same bytes every time."""

import csv
import hashlib
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lnscore.errors import Refusal
from lnscore.phantom import job as phantom_job
from lnscore.phantom.cohorts import plan_cohort
from lnscore.phantom.dicom_ct import write_ct
from lnscore.phantom.dicom_seg import write_seg
from lnscore.phantom.patient_folder import PatientToWrite, write_patient
from lnscore.phantom.patients import PatientPlan, PhantomPatient, draw_patient
from lnscore.phantom.render import paint_nodes

PADDED, TURNED = 3, 4


def _write(patient: PhantomPatient, folder: Path) -> Path:
    painted = paint_nodes(patient.nodes, patient.scan.slices)
    headers = write_ct(patient, painted, folder / "CT")
    write_seg(patient, painted, headers, folder / "nodes.dcm")
    return folder


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Patients 3 (padding), 4 (turned) of seed 7 on disk."""
    root = tmp_path_factory.mktemp("cohort")
    return {
        number: (patient, _write(patient, root / str(number)))
        for number in (PADDED, TURNED)
        for patient in [draw_patient(PatientPlan(7, number, 4, 2))]
    }


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _read_ct(folder: Path) -> list[pydicom.Dataset]:
    slices = [pydicom.dcmread(path) for path in (folder / "CT").iterdir()]
    slices = [ds for ds in slices if "LOCALIZER" not in ds.ImageType]
    return sorted(slices, key=lambda ds: float(ds.ImagePositionPatient[2]))


def _hu_at(slices: list[pydicom.Dataset], x: float, y: float, z: float) -> float:
    """Mean HU of 3 x 3 pixels of the nearest slice, by the file's own geometry."""
    ds = min(slices, key=lambda ds: abs(float(ds.ImagePositionPatient[2]) - z))
    across = (x - float(ds.ImagePositionPatient[0])) * float(ds.ImageOrientationPatient[0])
    down = (y - float(ds.ImagePositionPatient[1])) * float(ds.ImageOrientationPatient[4])
    row, column = (round(v / float(ds.PixelSpacing[0])) for v in (down, across))
    part = ds.pixel_array[row - 1 : row + 2, column - 1 : column + 2].astype(float)
    return float(part.mean() * float(ds.RescaleSlope) + float(ds.RescaleIntercept))


def test_same_seed_gives_the_same_bytes_in_a_worker_and_here(tmp_path):
    phantom_job.write_dicom(tmp_path / "two", 2, 5, 2)
    first = plan_cohort(2, 5)[0]
    here = _write(draw_patient(first), tmp_path / "here")
    assert _hashes(tmp_path / "two" / "PH0001") == _hashes(here)


def test_another_seed_gives_other_patients_and_other_uids():
    ours, theirs = (draw_patient(PatientPlan(seed, 1, 3, 1)) for seed in (1, 2))
    assert ours.uid("study") != theirs.uid("study")
    assert ours.nodes[0].traits != theirs.nodes[0].traits


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(Refusal, match=r"H01: files in .*; wanted a new or empty folder"):
        phantom_job.write_dicom(tmp_path, 1, 0, 1)
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.txt"]


@pytest.mark.parametrize("number", [PADDED, TURNED])
def test_slices_are_one_regular_volume(cohort, number):
    patient, folder = cohort[number]
    spacing, positions = hd.spatial.get_series_volume_positions(_read_ct(folder))
    assert spacing == pytest.approx(patient.scan.habit.spacing_mm, abs=1e-3)
    assert sorted(positions or []) == list(range(patient.scan.count))


@pytest.mark.parametrize("number", [PADDED, TURNED])
def test_the_carina_is_air_and_the_spine_is_bone_where_they_should_be(cohort, number):
    _, folder = cohort[number]
    slices = _read_ct(folder)
    assert _hu_at(slices, 0, -5, 30) < -900
    assert _hu_at(slices, 0, 53, 4) > 120


def test_file_names_say_nothing_of_the_order(cohort):
    _, folder = cohort[PADDED]
    heights = [
        float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])
        for path in sorted((folder / "CT").iterdir())
    ]
    assert heights != sorted(heights)
    assert heights != sorted(heights, reverse=True)


def test_outside_the_field_of_view_lies_the_padding_value(cohort):
    _, folder = cohort[PADDED]
    ds = _read_ct(folder)[0]
    assert ds.PixelPaddingValue == -2000
    assert ds.pixel_array[0, 0] == -2000
    assert ds.pixel_array[256, 0] != -2000


def test_a_localizer_lies_in_the_series_of_the_first_scanner(tmp_path):
    patient = draw_patient(PatientPlan(7, 1, 2, 1))
    write_ct(patient, [None] * 3, tmp_path / "CT")
    found = [pydicom.dcmread(path) for path in (tmp_path / "CT").iterdir()]
    scouts = [ds for ds in found if "LOCALIZER" in ds.ImageType]
    assert len(scouts) == 1
    assert scouts[0].SeriesInstanceUID == patient.uid("ct")
    assert len(found) == patient.scan.count + 1


@pytest.mark.parametrize("number", [PADDED, TURNED])
def test_every_segment_lies_on_its_node(cohort, number):
    patient, folder = cohort[number]
    seg = hd.seg.segread(folder / "nodes.dcm")
    assert seg.number_of_segments == len(patient.nodes)
    for node in patient.nodes:
        volume = seg.get_volume(segment_numbers=[node.number], combine_segments=False)
        inside = np.argwhere(volume.array[..., 0] > 0)
        centre = volume.map_indices_to_reference(inside.mean(axis=0)[None].astype(float))[0]
        slack = (2.0, 2.0, 0.6 * patient.scan.habit.spacing_mm)
        assert (np.abs(centre - node.centre_mm) < slack).all()


def test_segments_name_station_anatomy_and_tracking_uid(cohort):
    patient, folder = cohort[PADDED]
    segments = pydicom.dcmread(folder / "nodes.dcm").SegmentSequence
    for node, segment in zip(patient.nodes, segments, strict=True):
        assert segment.SegmentLabel == f"LN {node.number} AJCC8:{node.station}"
        assert segment.TrackingUID == patient.uid(f"node/{node.number}")
        assert ("AnatomicRegionSequence" in segment) == (node.station != "17")


def test_truth_has_every_node_and_pathology_every_patient(tmp_path):
    phantom_job.write_dicom(tmp_path / "out", 1, 2, 1)
    plan = plan_cohort(1, 2)[0]
    with (tmp_path / "out" / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["malignant"]) for row in rows) == plan.positive
    assert len(rows) == plan.positive + plan.negative
    with (tmp_path / "out" / "pathology.csv").open() as file:
        assert {row["patient_key"] for row in csv.DictReader(file)} == {"PH0001"}


def test_a_large_cohort_is_measured_while_it_is_written(tmp_path):
    plan = PatientPlan(7, 8, 3, 1)
    written = write_patient(PatientToWrite(plan, tmp_path, measured=True))
    assert written.images == draw_patient(plan).scan.count
    assert [sample.malignant for sample in written.samples].count(True) == 1
    assert len(written.samples) == 4


def test_one_scanner_writes_lossless_jpeg_ls():
    assert draw_patient(PatientPlan(0, 2, 1, 0)).scan.habit.syntax == "1.2.840.10008.1.2.4.80"
