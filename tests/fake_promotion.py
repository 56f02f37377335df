"""Engines with held-out nodes in a database: labels follow the shipped engine's own scores."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from db import splits
from db.cohort import nodes as nodes_of
from db.patchstore import PatchStore
from db.schema import Label
from db.scores import to_score
from db.session import Database, open_database
from demo_bundle import DEMO, copy_demo, edit_manifest
from engines import bundle as bundles
from engines import onnx_engine
from fake_cohort import filled, settings_in
from lnscore.engine_commands import importing
from lnscore.scoring.batches import read_batch
from lnscore.settings import Settings
from trainer.evaluation import held_out
from trainer.evaluation.held_out import HeldOut

STUDIES, NODES = 8, 5
SPLIT = "radiologist/seed 0/0123456789ab"


def planted_cohort(folder: Path) -> tuple[Settings, HeldOut]:
    """A cohort of which the first fold tests half of the patients.

    A node is malignant where the shipped engine scores it above the median: its AUROC is 1.
    """
    settings = filled(settings_in(folder), STUDIES, NODES)
    database = open_database(settings.db)
    held = _divide(database, settings)
    database.close()
    return settings, held


def engine(
    settings: Settings, folder: Path, name: str, held: HeldOut | None, auroc: float, **more: Any
) -> None:
    """Import a copy of the shipped engine that states this AUROC for these nodes."""
    cohort = {"run": name} | ({} if held is None else {"held_out": held.as_dict()})
    source = edit_manifest(
        copy_demo(folder / name),
        name=name,
        trained=True,
        cohort=cohort,
        metrics={"test_auroc": {"value": auroc}},
        **more,
    )
    importing.import_bundle(source, settings.engine_home)


def _divide(database: Database, settings: Settings) -> HeldOut:
    with database.begin() as session:
        nodes = nodes_of(session)
        batch = read_batch(to_score(session, None), PatchStore(settings.store_root))
        fused = onnx_engine.load(bundles.read(DEMO), "fp32", 1, "").score(batch.patches).fused
        labels = (fused > np.median(fused)).astype(int)
        now = datetime.now(UTC)
        session.add_all(
            Label(
                lymph_node_id=node.node_id,
                reader="radiologist",
                value=int(label),
                source="test",
                created_at=now,
            )
            for node, label in zip(nodes, labels, strict=True)
        )
        patients = sorted({node.patient_id for node in nodes})
        tests = patients[: STUDIES // 2]
        parts = [{one: "test" if one in tests else "train" for one in patients}]
        parts += [dict.fromkeys(patients, "train")] * 3
        splits.store(session, SPLIT, 0, parts)
    mine = [
        (node.tracking_uid, int(label))
        for node, label in zip(nodes, labels, strict=True)
        if node.patient_id in tests
    ]
    positives = sum(label for _, label in mine)
    return HeldOut(
        split=SPLIT,
        fold=0,
        reader="radiologist",
        nodes=len(mine),
        positives=positives,
        sha256=held_out.digest(mine),
    )
