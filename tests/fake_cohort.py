"""Studies in a database with believable patches, without any DICOM."""

import hashlib
from pathlib import Path

import numpy as np

from db import runs
from db.patchstore import PatchStore
from db.records import (
    AnnotationRecord,
    NodeRecord,
    PatchFileRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)
from db.session import Database, open_database
from db.studies import add_series
from engines.patch import SPEC
from fake_nodes import centred_affine, node_patch
from lnscore.settings import Settings

DRAWN = 24
"""Patches that are drawn once; the nodes of a cohort are these with noise of their own."""


def settings_in(folder: Path) -> Settings:
    """Everything of one installation in one folder."""
    return Settings(db=str(folder / "lnscore.db"), engines=folder / "engines")


def study_uid(number: int) -> str:
    """UID of a cohort's study, from 0."""
    return f"1.2.826.{number + 1}"


def filled(settings: Settings, studies: int, nodes_per_study: int) -> Settings:
    """Fill the database of these settings, making it where it is missing."""
    database = open_database(settings.db, create=True)
    fill(database, PatchStore(settings.store_root), studies, nodes_per_study)
    database.close()
    return settings


def fill(database: Database, store: PatchStore, studies: int, nodes_per_study: int) -> None:
    """Add studies of one series each, every node with a patch of its own."""
    random = np.random.default_rng(7)
    drawn = [_drawn(number) for number in range(min(DRAWN, studies * nodes_per_study))]
    with database.begin() as session:
        run_id = runs.start(session, "ingest", [], "test")
        for number in range(studies):
            chosen = random.integers(0, len(drawn), nodes_per_study)
            patches = np.stack([drawn[index] for index in chosen])
            patches += random.integers(-3, 4, patches.shape, np.int16)
            add_series(session, series_record(number, patches, store), run_id)
        runs.finish(session, run_id, 0, {})


def series_record(number: int, patches: np.ndarray, store: PatchStore) -> SeriesRecord:
    """One study's only series; its patches are written to the store."""
    sha256, masks_sha256 = store.write(patches, None)
    mask_sha256 = hashlib.sha256(f"mask {number}".encode()).hexdigest()
    return SeriesRecord(
        study=StudyRecord(PatientRecord(f"patient {number}"), study_uid(number), "2026-01-31"),
        series_uid=f"{study_uid(number)}.1",
        status="ready",
        content_sha256=sha256,
        patch_file=PatchFileRecord(sha256, masks_sha256, len(patches), SPEC.version, SPEC.hash),
        annotations=[AnnotationRecord(format="PHANTOM", sha256=mask_sha256, path=f"mask {number}")],
        nodes=[_node(number, i, patch, mask_sha256) for i, patch in enumerate(patches)],
    )


def _node(number: int, index: int, patch: np.ndarray, mask_sha256: str) -> NodeRecord:
    return NodeRecord(
        annotation_sha256=mask_sha256,
        tracking_uid=f"{study_uid(number)}.2.{index + 1}",
        label=f"node {index + 1}",
        centroid_mm=(float(index), float(number), 0.0),
        patch_index=index,
        patch_sha256=hashlib.sha256(patch.tobytes()).hexdigest(),
        patch_affine=centred_affine().tolist(),
        padded_fraction=0.0,
    )


def _drawn(number: int) -> np.ndarray:
    axes_mm = (4.0 + number % 7, 3.0 + number % 5, 3.5 + number % 6)
    return node_patch(number, axes_mm, necrosis=number % 3 == 0)[0]
