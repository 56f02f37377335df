"""A phantom goes the long way, DICOM and ingest, and the short one: the database is the same."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from db.patchstore import PatchStore
from db.schema import LymphNode, StationRow
from db.session import open_database
from lnscore.ingest import job as ingest
from lnscore.ingest.options import IngestOptions
from lnscore.phantom import job as phantom_job
from lnscore.settings import Settings, load

SEED = 9


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Nodes of one patient by tracking UID: through DICOM files, and direct."""
    root: Path = tmp_path_factory.mktemp("both")
    phantom_job.write_dicom(root / "scans", 1, SEED, 1)
    ingest.run([root / "scans"], load(str(root / "dicom.db")), IngestOptions())
    phantom_job.fill(str(root / "direct.db"), 1, SEED, 1)
    return _nodes(load(str(root / "dicom.db"))), _nodes(load(str(root / "direct.db")))


def _nodes(settings: Settings) -> dict[str, dict]:
    store = PatchStore(settings.store_root)
    query = select(LymphNode, StationRow.code).join(
        StationRow, LymphNode.station_id == StationRow.id
    )
    found = {}
    with open_database(settings.db) as database, database.read() as session:
        for node, station in session.execute(query):
            file = node.series.patch_file
            found[node.tracking_uid] = {
                "names": (node.label, station, node.station_source, node.bbox_vox),
                "centroid_mm": (node.centroid_x_mm, node.centroid_y_mm, node.centroid_z_mm),
                "sizes": (node.volume_mm3, node.short_axis_mm, node.long_axis_mm),
                "affine": node.patch_affine,
                "patch": np.array(store.patches(file.sha256)[node.patch_index], float),
                "mask": np.array(store.masks(file.masks_sha256)[node.patch_index]),
            }
    return found


def test_the_same_nodes_arrive(both):
    dicom, direct = both
    assert len(dicom) >= 5
    assert {uid: node["names"] for uid, node in dicom.items()} == {
        uid: node["names"] for uid, node in direct.items()
    }


@pytest.mark.parametrize("what", ["centroid_mm", "sizes", "affine"])
def test_places_and_sizes_agree(both, what):
    dicom, direct = both
    for uid, node in dicom.items():
        assert np.array(node[what]) == pytest.approx(np.array(direct[uid][what]), abs=1e-3)


def test_masks_are_equal_and_patches_within_two_grains_of_noise(both):
    dicom, direct = both
    for uid, node in dicom.items():
        assert np.array_equal(node["mask"], direct[uid]["mask"])
        apart = node["patch"] - direct[uid]["patch"]
        assert abs(apart.mean()) < 0.5
        assert apart.std() < 20
