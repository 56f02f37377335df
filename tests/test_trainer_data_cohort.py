"""The cohort in memory is the patch store's bytes and the database's facts."""

# ruff: noqa: TID253

from dataclasses import replace

import numpy as np
import pytest
import torch

from db import labels, runs, studies
from db.errors import DatabaseError
from db.labels import LabelRecord
from db.patchstore import PatchStore
from db.records import PatchFileRecord
from db.schema import LymphNode, Series
from db_rows import node, series, study
from engines.patch import SPEC
from trainer.data import cohort
from trainer.errors import TrainerError

pytest_plugins = ["db_fixtures"]


def patches_of(number: int, nodes: int = 2) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(-1000, 1000, (nodes, *SPEC.size_vox), dtype=np.int16)


@pytest.fixture
def store(tmp_path):
    return PatchStore(tmp_path / "patches")


@pytest.fixture
def filled(sqlite_database, store):
    """Two patients of two nodes; the first node of each is labelled."""
    with sqlite_database.begin() as session:
        run_id = runs.start(session, "ingest", [], "0")
        for number in (1, 2):
            masks = np.full((2, *SPEC.size_vox), number, np.uint8)
            sha256, masks_sha256 = store.write(patches_of(number), masks)
            file = PatchFileRecord(sha256, masks_sha256, 2, SPEC.version, SPEC.hash)
            nodes = [node(i, mask_sha256=f"m{i}", tracking_uid=f"2.25.{number}{i}") for i in (0, 1)]
            geometry = {"affine": [[0, 0, 0.8, 0], [0, 0.8, 0, 0], [2.5, 0, 0, 0], [0, 0, 0, 1]]}
            made = series(of=study(number), patch_file=file, geometry=geometry)
            record = replace(made, nodes=nodes)
            added = studies.add_series(session, record, run_id)
            ids = labels.node_ids(session, added.series_id)
            labels.add(session, [LabelRecord(ids[f"2.25.{number}0"], "r", number - 1, "test")])
    return sqlite_database


def loaded(database, store, reader="r", **options):
    with database.read() as session:
        return cohort.load(session, store, reader, **options)


def test_every_patch_is_the_stored_one_in_the_order_of_the_store(filled, store):
    found = loaded(filled, store)
    wanted = np.concatenate([patches_of(1), patches_of(2)])
    assert torch.equal(found.patches, torch.from_numpy(wanted))
    assert [one.tracking_uid for one in found.nodes] == [
        "2.25.10",
        "2.25.11",
        "2.25.20",
        "2.25.21",
    ]


def test_masks_are_read_when_asked_for(filled, store):
    assert loaded(filled, store).masks is None
    masks = loaded(filled, store, masks=True).masks
    assert masks is not None
    assert masks[:, 0, 0, 0].tolist() == [1, 1, 2, 2]


def test_a_node_without_a_label_is_no_negative(filled, store):
    found = loaded(filled, store)
    assert found.labels.tolist() == [0, -1, 1, -1]
    assert found.labelled.tolist() == [0, 2]


def test_the_slice_step_comes_from_the_affine(filled, store):
    assert {node.slice_mm for node in loaded(filled, store).nodes} == {2.5}


def test_progress_ends_at_the_number_of_nodes(filled, store):
    told = []
    loaded(filled, store, advance=lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)


def test_a_superseded_revision_does_not_train(filled, store):
    with filled.begin() as session:
        session.query(Series).filter_by(series_uid="1.2.1.1").update({"status": "superseded"})
    assert [node.tracking_uid for node in loaded(filled, store).nodes] == ["2.25.20", "2.25.21"]


def test_an_empty_database_is_refused(sqlite_database, store):
    with pytest.raises(TrainerError, match=r"^T04: a database without nodes"):
        loaded(sqlite_database, store)


def test_a_reader_without_labels_is_refused_with_the_known_ones(filled, store):
    with pytest.raises(TrainerError, match=r"^T05: no labels by reader 'me' \(readers: r\)"):
        loaded(filled, store, "me")


def test_patches_cut_by_other_rules_are_refused(filled, store):
    with filled.begin() as session:
        for one in session.query(LymphNode).limit(1):
            one.series.patch_file.spec_hash = "other"
    with pytest.raises(TrainerError, match=r"^T06: 2 of 4 patches cut by other rules"):
        loaded(filled, store)


def test_a_damaged_patch_file_is_refused(filled, store):
    with filled.read() as session:
        path = store.path(session.query(Series).first().patch_file.sha256)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DatabaseError, match=r"^D17"):
        loaded(filled, store)
