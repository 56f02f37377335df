"""Patches without DICOM, straight into a database: the same physics, the same rows."""

import numpy as np
import pydicom
import pytest
from sqlalchemy import func, select

from db.patchstore import PatchStore
from db.schema import FindingRow, Label, LymphNode, PatchFile, PathologyReport, Patient, Series
from db.session import open_database
from engines.patch import SPEC
from lnscore.nodes.patches import cut_patch
from lnscore.phantom import job as phantom_job
from lnscore.phantom.cohorts import plan_cohort, plan_paper
from lnscore.phantom.dicom_ct import write_ct
from lnscore.phantom.direct import RenderedScan, cut_nodes, scan_grid
from lnscore.phantom.patients import PatientPlan, draw_patient
from lnscore.phantom.render import paint_nodes
from lnscore.pseudonym import open_pseudonyms
from lnscore.settings import load


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A database with three phantom patients."""
    location = str(tmp_path_factory.mktemp("direct") / "phantom.db")
    summary = phantom_job.fill(location, 3, 4, 1)
    with open_database(location) as database:
        yield location, database, summary


def _count(database, column, *where) -> int:
    with database.read() as session:
        return session.scalar(select(func.count(column)).where(*where))


@pytest.mark.parametrize("number", [4, 7])
def test_a_patch_agrees_with_the_one_cut_from_the_dicom_files_within_noise(number, tmp_path):
    """5 mm slices stored turned round, and 3 mm slices in padded files."""
    patient = draw_patient(PatientPlan(3, number, 3, 1))
    write_ct(patient, paint_nodes(patient.nodes, patient.scan.slices), tmp_path / "CT")
    whole = RenderedScan(scan_grid(patient), _stored_volume(tmp_path / "CT"))
    for cut in cut_nodes(patient):
        centre_mm = np.array(cut.measured.centroid_mm)
        patch = cut_patch(whole, centre_mm, cut.region.mask, cut.region.origin_vox)
        apart = patch.hu.astype(float) - cut.patch.hu
        assert np.array_equal(patch.occupancy, cut.patch.occupancy)
        # Two grains of noise apart, and nothing else: no edge of an organ is left.
        assert abs(apart.mean()) < 0.3
        assert apart.std() < 1.5 * patient.scan.exposure.noise_hu
        assert np.abs(apart).max() < 12 * patient.scan.exposure.noise_hu


def _stored_volume(folder) -> np.ndarray:
    """HU of the files in x, y, z order, by their own geometry."""
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    planes = []
    for ds in slices:
        hu = ds.pixel_array * int(ds.RescaleSlope) + int(ds.RescaleIntercept)
        turned = float(ds.ImageOrientationPatient[0]) < 0
        planes.append(hu[::-1, ::-1] if turned else hu)
    return np.stack(planes).astype(np.int16)


def test_noise_of_a_thick_and_a_thin_scan_is_what_the_exposure_says():
    for number in (1, 5):
        patient = draw_patient(PatientPlan(3, number, 2, 0))
        cuts = [cut for cut in cut_nodes(patient) if cut.patch.rule in ("snap", "slab")]
        hu = np.concatenate([cut.patch.hu[np.abs(cut.patch.hu + 102) < 60] for cut in cuts])
        slices = 5.0 / patient.scan.habit.spacing_mm
        wanted = patient.scan.exposure.noise_hu / np.sqrt(slices)
        assert hu.std() == pytest.approx(wanted, rel=0.45)


def test_every_node_is_stored_with_its_patch_and_outline(filled):
    location, database, summary = filled
    store = PatchStore(load(location).store_root)
    with database.read() as session:
        files = session.scalars(select(PatchFile)).all()
        assert len(files) == 3
        assert sum(file.node_count for file in files) == summary.positive + summary.negative
        for file in files:
            assert store.patches(file.sha256).shape == (file.node_count, *SPEC.size_vox)
            masks = store.masks(str(file.masks_sha256))
            assert (masks.reshape(len(masks), -1).max(axis=1) > 100).all()


def test_every_node_is_a_mask_and_no_point(filled):
    _, database, _ = filled
    assert _count(database, LymphNode.id, LymphNode.mask_sha256.is_(None)) == 0


def test_measured_axes_follow_the_true_short_axis():
    patient = draw_patient(PatientPlan(5, 1, 12, 4))
    cuts = cut_nodes(patient)
    true = [cut.node.traits.short_axis_mm for cut in cuts]
    measured = [cut.measured.short_axis_mm for cut in cuts]
    assert np.corrcoef(true, measured)[0, 1] > 0.95
    assert np.mean(np.subtract(measured, true)) == pytest.approx(0, abs=1.0)


def test_filling_again_adds_nothing(filled):
    location, database, _ = filled
    tables = (Patient, Series, LymphNode, Label, PathologyReport, FindingRow, PatchFile)
    before = [_count(database, table.id) for table in tables]
    phantom_job.fill(location, 3, 4, 1)
    assert [_count(database, table.id) for table in tables] == before


def test_every_node_has_the_truth_and_a_radiologist_of_labelled_patients(filled):
    _, database, summary = filled
    nodes = summary.positive + summary.negative
    for reader in ("phantom-truth", "radiologist"):
        assert _count(database, Label.id, Label.reader == reader) == nodes
        assert (
            _count(database, Label.id, Label.reader == reader, Label.value == 1) == summary.positive
        )


def test_patients_have_the_key_that_ingest_would_give_them(filled):
    location, database, _ = filled
    pseudonyms = open_pseudonyms(load(location).secret_path, create=False)
    with database.read() as session:
        keys = set(session.scalars(select(Patient.pseudo_key)))
        reports = set(session.scalars(select(PathologyReport.patient_key)))
    assert keys == {pseudonyms.patient("", f"PH{number:04d}") for number in (1, 2, 3)}
    assert reports == keys


def test_nodes_name_their_station(filled):
    _, database, summary = filled
    nodes = summary.positive + summary.negative
    stated = LymphNode.station_source == "explicit"
    assert _count(database, LymphNode.id, stated, LymphNode.station_id.is_not(None)) == nodes


def test_the_paper_cohort_has_exactly_its_numbers():
    plans = plan_paper(0)
    labelled = [plan for plan in plans if plan.labelled]
    hidden = [plan for plan in plans if not plan.labelled]
    assert len(labelled) == 310
    assert sum(plan.negative for plan in labelled) == 3447
    assert sum(plan.positive for plan in labelled) == 188
    assert len(hidden) == 742
    assert sum(plan.negative + plan.positive for plan in hidden) == 6326
    assert [plan.number for plan in plans] == list(range(1, 1053))
    assert min(plan.negative for plan in plans) >= 1


def test_a_share_of_the_paper_cohort_has_that_share_of_everybody():
    plans = plan_paper(0, 0.5)
    labelled = [plan for plan in plans if plan.labelled]
    assert len(labelled) == 155
    assert sum(plan.positive for plan in labelled) == 94
    assert sum(plan.negative for plan in labelled) == round(3447 / 2)
    assert len(plans) - len(labelled) == 371
    assert sum(p.negative + p.positive for p in plans if not p.labelled) == 3163


def test_hidden_patients_are_as_ill_as_labelled_ones():
    hidden = [plan for plan in plan_paper(3) if not plan.labelled]
    nodes = sum(plan.negative + plan.positive for plan in hidden)
    assert sum(plan.positive for plan in hidden) / nodes == pytest.approx(188 / 3635, rel=0.01)


def test_another_seed_shares_the_nodes_otherwise():
    assert plan_cohort(8, 0) != plan_cohort(8, 1)
    assert [p.negative for p in plan_paper(0)] != [p.negative for p in plan_paper(1)]
