"""Files in, nodes in the database: once, whatever is broken beside them."""

import copy
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import sqlalchemy as sa
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from db import schema
from db.errors import DatabaseError
from db.lock import writer_lock
from db.patchstore import PatchStore
from db.session import open_database
from fake_ct import make_ct, save, sphere
from fake_rtstruct import FakeRoi, make_rtstruct, square
from fake_seg import grid_of, make_seg
from lnscore.dicom.sources import find
from lnscore.errors import Refusal
from lnscore.ingest import driver
from lnscore.ingest import job as ingest
from lnscore.ingest.options import IngestOptions
from lnscore.settings import Settings
from lnscore.workers import Limits, Workers

SHAPE, SPACING = (20, 64, 64), (5.0, 0.8, 0.8)
CENTRE_MM = (25.6, 25.6, 50.0)


def ct(**changes):
    hu = changes.pop("hu", sphere(CENTRE_MM, 9.0))
    return make_ct(SHAPE, SPACING, hu=hu, **changes)


def ball(radius_mm: float = 9.0, centre_mm=CENTRE_MM) -> np.ndarray:
    z, y, x = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    steps = ((x, SPACING[2]), (y, SPACING[1]), (z, SPACING[0]))
    offsets = [axis * step - c for (axis, step), c in zip(steps, centre_mm, strict=True)]
    return sum(v**2 for v in offsets) <= radius_mm**2


def seg(slices, masks=None, **changes):
    masks = ball()[..., None] if masks is None else masks
    return make_seg(slices, masks, **changes)


@pytest.fixture(scope="module")
def workers():
    with Workers(Limits()) as pool:
        yield pool


@pytest.fixture
def site(tmp_path, workers):
    return Site(tmp_path, workers)


class Site:
    """A database and an inbox; the workers are shared, they keep nothing."""

    def __init__(self, folder: Path, workers: Workers) -> None:
        self.inbox, self.settings = folder / "inbox", Settings(db=str(folder / "study.db"))
        self.inbox.mkdir(parents=True)
        self.workers = workers

    def put(self, name: str, *datasets) -> list[Path]:
        return save(datasets, self.inbox / name)

    def ingest(self, *paths: Path, **options):
        found = find(list(paths) or [self.inbox])
        database = open_database(self.settings.db, create=True)
        try:
            return driver.ingest(
                database, found, self.settings, IngestOptions(**options), self.workers
            )
        finally:
            database.close()

    def rows(self, model, *columns):
        database = open_database(self.settings.db)
        with database.read() as session:
            found = session.execute(sa.select(*(getattr(model, c) for c in columns))).all()
        database.close()
        return [tuple(row) for row in found]

    def count(self) -> dict[str, int]:
        tables = (schema.Patient, schema.Study, schema.Series, schema.Instance, schema.Annotation,
                  schema.LymphNode, schema.PatchFile, schema.Quarantine)  # fmt: skip
        return {table.__tablename__: len(self.rows(table, "id")) for table in tables}


def test_a_ct_and_its_seg_become_a_node_with_its_patch(site):
    slices = ct()
    site.put("a", *slices, seg(slices, names=["LN 1 AJCC8:7"], tracking_uids=["1.2.3.4"]))
    summary = site.ingest()
    assert (summary.exit_code, summary.nodes, dict(summary.series)["new"]) == (0, 1, 1)
    ((uid, x, y, z, volume, sha256, flags),) = site.rows(
        schema.LymphNode, "tracking_uid", "centroid_x_mm", "centroid_y_mm", "centroid_z_mm",
        "volume_mm3", "patch_sha256", "warnings"
    )  # fmt: skip
    assert uid == "1.2.3.4"
    assert (x, y, z) == pytest.approx(CENTRE_MM, abs=0.2)
    assert volume == pytest.approx(ball().sum() * 3.2, rel=1e-6)
    assert flags == []
    ((file, masks),) = site.rows(schema.PatchFile, "sha256", "masks_sha256")
    store = PatchStore(site.settings.store_root)
    patch, mask = store.patches(file)[0], store.masks(masks)[0]
    assert patch[8:10, 39:41, 39:41].min() == 60
    assert patch[9, 40, 62] == -100
    assert mask[8:10, 40, 40].min() > 200
    assert sha256


def test_ingesting_again_adds_nothing(site):
    slices = ct()
    site.put("a", *slices, seg(slices))
    broken = ct(patient_id="K18")
    site.put("broken", *broken[:5], *broken[6:])
    site.ingest()
    before = site.count()
    summary = site.ingest()
    assert site.count() == before
    assert (summary.nodes, summary.series["same"]) == (0, 2)


def stored_state(site: Site) -> dict[str, object]:
    """Everything that a repeated ingest must not change."""
    series = site.rows(schema.Series, "id", "series_uid", "revision", "status", "content_sha256")
    nodes = site.rows(schema.LymphNode, "id", "tracking_uid", "patch_sha256")
    files = {
        path.relative_to(site.settings.store_root): path.read_bytes()
        for path in site.settings.store_root.rglob("*.npy")
    }
    return {"series": series, "nodes": nodes, "files": files, "count": site.count()}


@pytest.mark.parametrize("column", ["sha256", "masks_sha256"])
def test_a_missing_patch_or_mask_file_is_written_again_and_nothing_else_changes(site, column):
    slices = ct()
    site.put("a", *slices, seg(slices))
    site.ingest()
    before = stored_state(site)
    ((lost,),) = site.rows(schema.PatchFile, column)
    PatchStore(site.settings.store_root).path(lost).unlink()
    summary = site.ingest()
    assert stored_state(site) == before
    uid = slices[0].SeriesInstanceUID
    assert summary.notes == [f"series {uid}: its patch files were missing and are written again"]
    assert (dict(summary.series), summary.nodes, summary.exit_code) == (
        {"same": 1, "kept": 0},
        0,
        0,
    )
    assert site.ingest().notes == []


def test_patches_that_are_cut_otherwise_do_not_take_the_place_of_missing_ones(site):
    slices = ct()
    site.put("a", *slices, seg(slices))
    site.ingest()
    with open_database(site.settings.db) as database, database.begin() as session:
        session.execute(sa.update(schema.PatchFile).values(sha256="0" * 64))
    before = site.rows(schema.Series, "id", "revision", "status")
    (note,) = site.ingest().notes
    assert "this version cuts other patches; restore the folder of patches" in note
    assert site.rows(schema.Series, "id", "revision", "status") == before


def test_a_broken_copy_does_not_replace_a_series_whose_patches_are_missing(site):
    slices = ct()
    site.put("a", *slices, seg(slices))
    site.ingest()
    shutil.rmtree(site.settings.store_root)
    before = site.rows(schema.Series, "id", "revision", "status")
    summary = site.ingest(*site.put("b", *slices[:5], *slices[6:]))
    assert summary.series["kept"] == 1
    assert site.rows(schema.Series, "id", "revision", "status") == before


def test_identical_bytes_in_another_folder_are_the_same_study(site):
    slices = ct()
    site.put("a", *slices, seg(slices))
    site.ingest()
    before = site.count()
    shutil.copytree(site.inbox / "a", site.inbox / "copy")
    site.ingest()
    assert site.count() == before


def test_a_changed_study_is_a_new_revision_and_supersedes_the_old(site):
    slices = ct()
    mask = seg(slices)
    site.put("a", *slices, mask)
    site.ingest()
    slices[9].PixelData = bytes(len(slices[9].PixelData))
    site.put("a", *slices, mask)
    summary = site.ingest()
    assert summary.series["revised"] == 1
    assert site.rows(schema.Series, "revision", "status") == [(1, "superseded"), (2, "ready")]


def test_an_ingest_without_the_named_points_does_not_take_their_nodes_away(site, tmp_path):
    site.put("a", *ct())
    points = tmp_path / "points.csv"
    points.write_text("x,y,z\n25.6,25.6,50\n")
    site.ingest(points=(str(points),), coord="LPS_MM")
    assert site.ingest().series["kept"] == 1
    assert site.rows(schema.Series, "revision", "status") == [(1, "ready")]


def test_a_broken_copy_is_refused_and_the_usable_revision_stays(site):
    slices = ct()
    paths = site.put("a", *slices, seg(slices))
    site.ingest()
    paths[7].unlink()
    summary = site.ingest()
    assert (summary.exit_code, summary.series["kept"]) == (3, 1)
    assert "G03" in {one.code for one in summary.refused}
    assert site.rows(schema.Series, "revision", "status") == [(1, "ready")]


def test_a_corrected_mask_is_a_new_revision(site):
    slices = ct()
    site.put("a", *slices, seg(slices))
    site.ingest()
    site.put("a", *slices, seg(slices, ball(7.0)[..., None]))
    assert site.ingest().series["revised"] == 1


def test_one_truncated_file_costs_its_series_and_nothing_else(site):
    good, bad = ct(), ct(patient_id="K18")
    site.put("good", *good, seg(good))
    paths = site.put("bad", *bad, seg(bad))
    paths[3].write_bytes(paths[3].read_bytes()[:-1000])
    summary = site.ingest()
    assert (summary.exit_code, summary.nodes) == (3, 1)
    codes = {one.code for one in summary.refused}
    assert "F09" in codes
    assert sorted(site.rows(schema.Series, "status")) == [("quarantined",), ("ready",)]


def test_a_file_of_noise_costs_one_row_of_quarantine(site):
    slices = ct()
    site.put("a", *slices, seg(slices))
    noise = site.inbox / "a" / "noise"
    noise.write_bytes(bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000))
    summary = site.ingest()
    assert (summary.exit_code, summary.nodes) == (3, 1)
    assert site.rows(schema.Quarantine, "scope", "code", "tries") == [("file", "F01", 1)]


def test_an_unreadable_file_is_named(site, monkeypatch):
    site.put("a", ct()[0])
    missing = site.inbox / "gone"
    missing.symlink_to(site.inbox / "nowhere")
    summary = site.ingest()
    assert any("gone" in note for note in summary.notes)


def test_a_refused_series_is_accepted_when_it_comes_whole(site):
    slices = ct()
    mask = seg(slices)
    site.put("a", *slices[:7], *slices[8:], mask)
    first = site.ingest()
    assert "G03" in {one.code for one in first.refused}
    site.put("b", slices[7])
    second = site.ingest()
    assert (second.exit_code, second.nodes) == (0, 1)
    database = open_database(site.settings.db)
    from db import quarantine

    with database.read() as session:
        assert quarantine.unresolved(session) == []
    database.close()


def test_a_ct_without_masks_waits_and_is_no_failure(site):
    site.put("a", *ct())
    summary = site.ingest()
    assert summary.exit_code == 0
    assert site.rows(schema.Series, "status", "code") == [("waiting", "S12")]


def test_a_thin_series_beside_the_one_with_masks_is_left_alone(site):
    study = generate_uid()
    thick = ct(study_uid=study)
    thin = make_ct((30, 32, 32), (1.0, 0.8, 0.8), study_uid=study)
    site.put("a", *thick, *thin, seg(thick))
    site.ingest()
    assert site.rows(schema.Series, "series_uid", "status") == [
        (thick[0].SeriesInstanceUID, "ready")
    ]


def test_a_mask_of_another_frame_of_reference_is_refused_with_both_uids(site):
    slices, other = ct(), ct(for_uid="1.2.99")
    mask = seg(slices)
    mask.FrameOfReferenceUID = "1.2.99"
    site.put("a", *slices, mask)
    summary = site.ingest()
    (refused,) = summary.refused
    assert refused.code == "M02"
    assert "1.2.99" in refused.found
    assert slices[0].FrameOfReferenceUID in refused.wanted
    assert other is not None
    assert site.rows(schema.Series, "status") == [("quarantined",)]


def test_a_mask_of_slices_that_have_not_come_waits(site):
    slices = ct()
    site.put("a", *slices[:-1], seg(slices))
    site.ingest()
    assert site.rows(schema.Series, "status", "code") == [("waiting", "M03")]
    site.put("b", slices[-1])
    assert site.ingest().nodes == 1


def test_a_mask_without_its_ct_is_named(site):
    slices = ct()
    site.put("a", seg(slices))
    summary = site.ingest()
    assert [one.code for one in summary.refused] == ["S17"]


def test_an_empty_seg_is_a_study_without_nodes(site):
    slices = ct()
    mask = seg(slices)
    mask.PixelData = bytes(len(mask.PixelData))
    site.put("a", *slices, mask)
    assert (site.ingest().exit_code, site.rows(schema.Series, "status")) == (0, [("ready",)])


def test_two_masks_of_one_tracking_uid_give_one_node_the_newer(site):
    slices = ct()
    old, new = (
        seg(slices, ball(radius)[..., None], tracking_uids=["1.2.3"]) for radius in (9.0, 7.0)
    )
    old.ContentDate, new.ContentDate = "20261101", "20261102"
    site.put("a", *slices, old, new)
    summary = site.ingest()
    assert [one.code for one in summary.refused] == ["S15"]
    ((volume,),) = site.rows(schema.LymphNode, "volume_mm3")
    assert volume == pytest.approx(ball(7.0).sum() * 3.2)


def test_an_rtstruct_gives_its_node(site):
    slices = ct()
    grid = grid_of(slices)
    roi = FakeRoi("LN 1", [square(grid, z, 20, 39) for z in (9, 10, 11)])
    site.put("a", *slices, make_rtstruct(grid, [roi]))
    assert site.ingest().nodes == 1
    ((volume,),) = site.rows(schema.LymphNode, "volume_mm3")
    assert volume == pytest.approx(16 * 16 * 15)


def test_every_region_that_is_left_out_has_its_row(site):
    slices = ct()
    grid = grid_of(slices)
    rois = [FakeRoi(f"LN {n}", [square(grid, 9, 20, 39)], number=n) for n in (1, 2, 3)]
    for roi in rois[1:]:
        roi.contours = ()
    site.put("a", *slices, make_rtstruct(grid, rois))
    assert site.ingest().nodes == 1
    found = site.rows(schema.Quarantine, "scope", "found")
    assert len(found) == 2
    assert {scope for scope, _ in found} == {"mask"}


def test_a_dicomdir_gives_the_nodes_of_its_files(site, tmp_path):
    slices = ct()
    mask = seg(slices)
    files = FileSet()
    for one in [*slices, mask]:
        one.SpecificCharacterSet = "ISO_IR 100"
        files.add(one)
    files.write(tmp_path / "cd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its folder to the GC
        del files
        gc.collect()
    assert site.ingest(tmp_path / "cd" / "DICOMDIR").nodes == 1


def test_an_archive_gives_the_same_nodes_as_its_folder(site, tmp_path):
    slices = ct()
    site.put("a", *slices, seg(slices))
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((site.inbox / "a").iterdir()):
            packed.write(path, path.name)
    site.ingest(archive)
    again = site.ingest(site.inbox)
    assert again.series["same"] == 1
    assert not site.settings.unpack_root.exists()
    assert all("study.zip!" in path for (path,) in site.rows(schema.Instance, "path"))


def test_what_a_killed_run_unpacked_is_removed_by_the_next(site):
    left = site.settings.unpack_root / "0"
    left.mkdir(parents=True)
    (left / "000000").write_bytes(b"a patient's image")
    site.put("a", ct()[0])
    site.ingest()
    assert not site.settings.unpack_root.exists()


def test_a_run_that_an_error_stops_is_closed_with_its_exit_code(site, tmp_path):
    site.put("a", *ct(), *ct(patient_id="K18"))
    points = tmp_path / "points.csv"
    points.write_text("x,y,z\n25.6,25.6,50\n")
    with pytest.raises(Refusal):
        site.ingest(points=(str(points),), coord="LPS_MM")
    assert site.rows(schema.RunRow, "kind", "exit_code") == [("ingest", 1)]


def test_points_give_a_node_without_a_mask(site, tmp_path):
    site.put("a", *ct())
    points = tmp_path / "points.csv"
    points.write_text("x,y,z,name\n25.6,25.6,50,LN 1\n")
    assert site.ingest(points=(str(points),), coord="LPS_MM").nodes == 1
    assert site.rows(schema.LymphNode, "volume_mm3", "label") == [(None, "LN 1")]
    assert site.rows(schema.PatchFile, "masks_sha256") == [(None,)]


def test_points_for_one_of_two_series_need_its_name(site, tmp_path):
    first = ct()
    site.put("a", *first, *ct(patient_id="K18"))
    points = tmp_path / "points.csv"
    points.write_text("x,y,z\n25.6,25.6,50\n")
    with pytest.raises(Refusal, match="S14"):
        site.ingest(points=(str(points),), coord="LPS_MM")
    uid = str(first[0].SeriesInstanceUID)
    assert site.ingest(points=(str(points),), coord="LPS_MM", series=uid).nodes == 1


def test_a_station_map_gives_a_node_its_station(site, tmp_path):
    slices = ct()
    site.put("a", *slices, seg(slices, names=["node"]))
    image = sitk.GetImageFromArray(np.ones(SHAPE, np.uint8))
    image.SetSpacing(SPACING[::-1])
    sitk.WriteImage(image, str(tmp_path / "stations.nrrd"))
    (tmp_path / "stations.json").write_text('{"1": "AJCC8:7"}')
    site.ingest(stations=str(tmp_path / "stations.nrrd"))
    assert site.rows(schema.LymphNode, "station_source") == [("overlap",)]
    assert site.rows(schema.StationRow, "system", "code") == [("AJCC8", "7")]


def test_only_regions_of_the_wanted_names_become_nodes(site):
    slices = ct()
    masks = np.stack([ball(9.0), ball(20.0)], axis=-1)
    site.put("a", *slices, seg(slices, masks, names=["LN 1", "Heart"]))
    site.ingest(names=("ln*",))
    assert site.rows(schema.LymphNode, "label") == [("LN 1",)]


def test_a_mask_that_lists_the_localizer_too_is_not_waited_for(site):
    slices = ct()
    scout = make_ct((1, 30, 30), orientation=(1, 0, 0, 0, 0, -1),
                    study_uid=slices[0].StudyInstanceUID,
                    series_uid=slices[0].SeriesInstanceUID,
                    for_uid=slices[0].FrameOfReferenceUID)[0]  # fmt: skip
    mask = seg(slices)
    listed = copy.deepcopy(mask.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0])
    listed.ReferencedSOPInstanceUID = scout.SOPInstanceUID
    mask.ReferencedSeriesSequence[0].ReferencedInstanceSequence.append(listed)
    site.put("a", scout, *slices, mask)
    summary = site.ingest()
    assert (summary.nodes, summary.skipped["localizer"]) == (1, 1)


def test_an_empty_patient_id_is_refused_not_merged(site):
    site.put("a", *ct(patient_id=""))
    assert [one.code for one in site.ingest().refused] == ["S10"]


def test_one_study_of_two_patients_is_refused(site):
    slices = ct()
    for one in slices[10:]:
        one.PatientID = "K99"
    site.put("a", *slices)
    assert [one.code for one in site.ingest().refused] == ["S11"]


def test_a_known_patient_with_another_birth_date_is_held(site):
    first, second = ct(), ct()
    for one in second:
        one.PatientBirthDate = "19700102"
    site.put("a", *first, seg(first))
    site.ingest()
    site.put("b", *second, seg(second))
    summary = site.ingest()
    assert [one.code for one in summary.refused] == ["D12"]
    assert len(site.rows(schema.Patient, "id")) == 1


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
def test_a_date_that_is_none_is_left_empty_and_said(site):
    slices = ct()
    mask = seg(slices)
    for one in slices:
        one.StudyDate = "20261399"
    site.put("a", *slices, mask)
    summary = site.ingest()
    assert any("S13" in note for note in summary.notes)
    assert site.rows(schema.Study, "study_date") == [(None,)]


def test_nothing_that_names_the_patient_is_stored(site):
    slices = ct(patient_id="SECRETID")
    for one in slices:
        one.AccessionNumber, one.PatientBirthDate = "SECRETACC", "19610315"
    site.put("a", *slices, seg(slices))
    site.ingest()
    site.ingest()
    for path in [site.settings.db, *map(str, site.settings.store_root.rglob("*.npy"))]:
        data = Path(path).read_bytes()
        for secret in (b"SECRETID", b"SECRETACC", b"19610315", b"Doe"):
            assert secret not in data


def test_two_workers_store_what_one_does(tmp_path, workers):
    sites = [Site(tmp_path / name, workers) for name in ("one", "two")]
    for number in range(3):
        slices = ct(patient_id=f"K{number}")
        datasets = [*slices, seg(slices)]
        for site in sites:
            site.put(str(number), *copy.deepcopy(datasets))
    sites[0].ingest()
    settings = sites[1].settings.model_copy(update={"jobs": 2})
    ingest.run([sites[1].inbox], settings, IngestOptions())
    columns = ("tracking_uid", "patch_sha256", "centroid_x_mm", "mask_sha256")
    assert sites[0].rows(schema.LymphNode, *columns) == sites[1].rows(schema.LymphNode, *columns)


def test_a_second_run_is_refused_while_one_holds_the_lock(site):
    site.put("a", ct()[0])
    with writer_lock(site.settings.db), pytest.raises(DatabaseError) as caught:
        ingest.run([site.inbox], site.settings, IngestOptions())
    assert caught.value.code == "D10"


@pytest.mark.slow
def test_killed_at_any_moment_and_repeated_it_ends_the_same(tmp_path, workers):
    disturbed, calm = (Site(tmp_path / name, workers) for name in ("disturbed", "calm"))
    for number in range(4):
        slices = ct(patient_id=f"K{number}")
        datasets = [*slices, seg(slices)]
        for site in (disturbed, calm):
            site.put(str(number), *copy.deepcopy(datasets))
    command = [sys.executable, "-P", "-m", "lnscore", "ingest", str(disturbed.inbox), "--db",
               disturbed.settings.db]  # fmt: skip
    for moment in np.random.default_rng(1).uniform(0.8, 4.0, 6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        time.sleep(float(moment))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    calm.ingest()
    columns = ("tracking_uid", "patch_sha256", "patch_index", "centroid_z_mm")
    assert sorted(disturbed.rows(schema.LymphNode, *columns)) == sorted(
        calm.rows(schema.LymphNode, *columns)
    )
    assert disturbed.count() == calm.count()
