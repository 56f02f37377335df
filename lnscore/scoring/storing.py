"""Turn an engine's outputs into rows; the scores of a study are stored together or not at all."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from db import quarantine, scores
from db.records import RefusedRecord
from db.scores import NodeToScore, ScoreRecord
from db.session import Database, Session
from engines.manifest import Manifest
from engines.scores import Scores
from lnscore.errors import Refusal
from lnscore.quarantine_rows import record_of
from lnscore.scoring.batches import PatchBatch
from lnscore.scoring.summary import ScoreDifference, ScoringSummary

STORE_EVERY_S = 0.5
"""Shortest time between two transactions; a killed run loses about this much work."""

SAME_WITHIN = 1e-6
"""Largest difference at which two probabilities of a node by one engine count as the same."""


@dataclass
class _Study:
    """A study that is being scored: its nodes and scores so far, and the first refusal."""

    nodes: list[NodeToScore] = field(default_factory=list)
    records: list[ScoreRecord] = field(default_factory=list)
    refusal: Refusal | None = None


@dataclass(kw_only=True)
class ScoreStorage:
    """Collector of a run's scores, which stores each study when all its nodes are scored.

    Attributes:
        database: Database to store the scores in.
        run_id: Id of the scoring run.
        engine_id: Id of the engine's row.
        manifest: Manifest with the engine's calibration and operating points.
        summary: Summary to which everything that is stored or refused is added.
        again: Whether to compare with the scores that are stored already.
        missing: Study id to the number of its nodes that are not scored yet.
        refused_before: SHA-256 of the files that earlier runs refused.
        studies: Study id to each study that is not stored yet.
        stored_s: Time of the last transaction, by `time.monotonic`.
    """

    database: Database
    run_id: int
    engine_id: int
    manifest: Manifest
    summary: ScoringSummary
    again: bool
    missing: Counter[int]
    refused_before: set[str]
    studies: dict[int, _Study] = field(default_factory=dict)
    stored_s: float = 0.0

    def take(self, batch: PatchBatch, given: Scores) -> None:
        """Add one scored batch; store the complete studies every STORE_EVERY_S seconds."""
        for node, refusal in batch.refused:
            study = self._study(node)
            study.refusal = study.refusal or refusal
        records = score_records(batch.nodes, given, self.manifest)
        for node, record in zip(batch.nodes, records, strict=True):
            self._study(node).records.append(record)
        if time.monotonic() - self.stored_s >= STORE_EVERY_S:
            self.store()

    def store(self) -> None:
        """Store every complete study in one transaction."""
        complete = [key for key in self.studies if not self.missing[key]]
        studies = [self.studies.pop(key) for key in complete]
        sound = [study for study in studies if study.refusal is None]
        records = [record for study in sound for record in study.records]
        with self.database.begin() as session:
            if self.again:
                self.summary.differing += self._differing(session, sound)
            self.summary.added += scores.add(session, self.run_id, self.engine_id, records)
            self._settle(session, studies)
        self.summary.studies += len(sound)
        self.summary.nodes += len(records)
        self.stored_s = time.monotonic()

    def _study(self, node: NodeToScore) -> _Study:
        self.missing[node.study_id] -= 1
        study = self.studies.setdefault(node.study_id, _Study())
        study.nodes.append(node)
        return study

    def _differing(self, session: Session, studies: Sequence[_Study]) -> list[ScoreDifference]:
        ids = [record.node_id for study in studies for record in study.records]
        before = scores.stored(session, self.engine_id, ids)
        return [
            ScoreDifference(
                study.nodes[0].study_uid, one.node_id, before[one.node_id], one.probability
            )
            for study in studies
            for one in study.records
            if abs(before.get(one.node_id, one.probability) - one.probability) > SAME_WITHIN
        ]

    def _settle(self, session: Session, studies: Sequence[_Study]) -> None:
        """Record refused studies, and resolve refusals of patch files that can be used now."""
        used: set[str] = set()
        for study in studies:
            if study.refusal is not None:
                refused = _refused(study.nodes[0], study.refusal)
                quarantine.add(session, refused)
                self.summary.refused.append(refused)
            else:
                used |= {node.patch_file_sha256 for node in study.nodes}
        if used & self.refused_before:
            quarantine.resolve(session, sha256s=used & self.refused_before)


def _refused(node: NodeToScore, why: Refusal) -> RefusedRecord:
    name, uid = f"study {node.study_uid}", node.study_uid
    return record_of(why, node.patch_file_sha256, "study", name, study_uid=uid)


def score_records(
    nodes: Sequence[NodeToScore], given: Scores, manifest: Manifest
) -> list[ScoreRecord]:
    """Return an engine's outputs as rows, with calibration and the call at each operating point."""
    fused: list[float] = given.fused.tolist()
    local, global_ = _listed(given.local, len(nodes)), _listed(given.global_, len(nodes))
    calibrated = _listed(manifest.calibrate(given.fused_logit), len(nodes))
    calls = {name: called.tolist() for name, called in manifest.calls(given.fused).items()}
    return [
        ScoreRecord(
            node_id=node.node_id,
            probability=fused[i],
            local_probability=local[i],
            global_probability=global_[i],
            calibrated_probability=calibrated[i],
            calls={name: int(called[i]) for name, called in calls.items()},
            patch_sha256=node.patch_sha256,
        )
        for i, node in enumerate(nodes)
    ]


def _listed(column: np.ndarray | None, count: int) -> list[Any]:
    return [None] * count if column is None else column.tolist()
