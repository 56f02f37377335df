"""A study database as ingest and scoring leave it, with what must never leave it planted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from db import engines, pathology, quarantine, runs, schema, scores, studies
from db.patchstore import PatchStore
from db.pathology import FindingRecord
from db.records import (
    AnnotationRecord,
    InstanceRecord,
    NodeRecord,
    PatchFileRecord,
    PatientRecord,
    SeriesRecord,
    StationKey,
    StudyRecord,
)
from db.session import Database, open_database
from engines.patch import SPEC
from fake_nodes import centred_affine, node_patch
from lnscore.settings import Settings

NAME, PATIENT_ID = "PLANTED^DOROTHEA", "PID-4711-PLANTED"
PATH = f"/inbox/{NAME}/{PATIENT_ID}/IM0001.dcm"
SECRETS = (NAME, "PLANTED", "DOROTHEA", PATIENT_ID, "/inbox", "IM0001")
"""What no file of a report may hold."""

DIFFERENT = 6
"""Drawn patches of one shape; more nodes than that repeat them."""


def sha(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def uid(*parts: object) -> str:
    """A UID that looks like one, the same for the same parts."""
    return f"2.25.{int(sha(*parts)[:30], 16)}"


@dataclass(frozen=True)
class Node:
    """One node to plant; None for `probability`: not scored."""

    probability: float | None = None
    label: str = "LN"
    station: StationKey | None = None
    meaning: str = ""
    axes_mm: tuple[float, float, float] | None = (7.0, 5.0, 6.0)
    necrosis: bool = False
    warnings: tuple[str, ...] = ()
    padded_fraction: float = 0.0
    candidates: tuple[StationKey, ...] = ()
    """Stations of a map in which half of the node lies."""

    @property
    def is_point(self) -> bool:
        return self.axes_mm is None


@dataclass(frozen=True)
class Engine:
    """One engine to plant."""

    name: str = "oesophagus-a"
    trained: bool = True
    calibrated: bool = True
    points: tuple[tuple[str, float], ...] = (("screening", 0.3), ("surgery", 0.7))
    phantom: bool = False

    def record(self) -> engines.EngineRecord:
        points = [{"name": name, "threshold": at} for name, at in self.points]
        return engines.EngineRecord(
            name=self.name,
            weights_sha256=sha(self.name, "weights"),
            config_hash=sha(self.name, "config")[:16],
            spec_hash=SPEC.hash,
            backend="onnx",
            precision="fp32",
            model_sha256=sha(self.name, "model"),
            trained=self.trained,
            manifest={
                "name": self.name,
                "operating_points": points,
                "cohort": {"phantom": True} if self.phantom else None,
            },
        )


@dataclass
class Hospital:
    """A database, its patch store and the settings that name them."""

    root: Path
    settings: Settings = field(init=False)
    db: Database = field(init=False)
    store: PatchStore = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(db=str(self.root / "lnscore.db"))
        self.db = open_database(self.settings.db, create=True)
        self.store = PatchStore(self.settings.store_root)

    def add_study(
        self,
        name: str,
        nodes: Sequence[Node] = (),
        engine: Engine | None = None,
        date: str | None = "2026-11-20",
        **series: Any,
    ) -> str:
        """Store a study of one series and its scores; gives the study's UID."""
        record = self._series(name, nodes, date)
        record = replace(record, **series)
        with self.db.begin() as session:
            run_id = runs.start(session, "ingest", ["ingest", PATH], "0")
            studies.add_series(session, record, run_id)
            for node in nodes:
                self._name_station(session, node)
        if engine is not None:
            self.score(uid("study", name), [node.probability for node in nodes], engine)
        return uid("study", name)

    def score(self, study_uid: str, probabilities: Sequence[float | None], engine: Engine) -> None:
        """Store an engine's scores of a study's nodes, in the order of their patches."""
        with self.db.begin() as session:
            engine_id = engines.register(session, engine.record())
            run_id = runs.start(session, "score", [], "0", engine_id=engine_id)
            todo = scores.to_score(session, engine_id, [study_uid])
            rows = [
                _score_row(node, p, engine)
                for node, p in zip(todo, probabilities, strict=True)
                if p is not None
            ]
            scores.add(session, run_id, engine_id, rows)

    def add_report(self, name: str, *findings: FindingRecord, **other: Any) -> None:
        """Store a pathology report of a study's patient."""
        facts: dict[str, Any] = {"report_id": "R1", "report_date": "2026-12-20"}
        facts |= {"surgery_date": "2026-12-10", "neoadjuvant": "none"}
        facts |= {"source_sha256": sha("source", other), "findings": findings}
        record = pathology.ReportRecord(patient_key=sha("patient", name), **(facts | other))
        with self.db.begin() as session:
            pathology.add_report(session, record)

    def refuse(self, code: str, found: str, study_uid: str | None = None, **more: Any) -> None:
        """Store a quarantine row whose path names the patient."""
        fields = {"scope": "file", "wanted": "a whole file", "fix": "Export it again.", **more}
        row = quarantine.RefusedRecord(
            sha256=sha(code, found),
            code=code,
            found=found,
            path=PATH,
            study_uid=study_uid,
            detail=f"Traceback: {PATH}",
            **fields,
        )
        with self.db.begin() as session:
            quarantine.add(session, row)

    def _series(self, name: str, nodes: Sequence[Node], date: str | None) -> SeriesRecord:
        mask = sha(name, "mask file")
        drawn = [
            _drawn(i % DIFFERENT, node.axes_mm or (4.0, 4.0, 4.0), node.necrosis)
            for i, node in enumerate(nodes)
        ]
        file = self._patch_file(nodes, drawn) if nodes else None
        return SeriesRecord(
            study=StudyRecord(PatientRecord(sha("patient", name)), uid("study", name), date),
            series_uid=uid("series", name),
            status="ready",
            content_sha256=sha(name, "content", nodes),
            geometry={"affine": np.diag([5.0, 0.8, 0.8, 1.0]).tolist(), "shape": [91, 512, 512]},
            facts={"manufacturer": "ACME", "kernel": "B30f", "kvp": 120.0},
            patch_file=file,
            instances=[InstanceRecord(uid(name, "sop"), sha(name, "file"), PATH)],
            annotations=[AnnotationRecord(format="SEG", sha256=mask, path=PATH)],
            nodes=[
                _node(name, i, node, patch, mask)
                for i, (node, (patch, _)) in enumerate(zip(nodes, drawn, strict=True))
            ],
        )

    def _patch_file(
        self, nodes: Sequence[Node], drawn: list[tuple[np.ndarray, np.ndarray]]
    ) -> PatchFileRecord:
        masks = [
            np.zeros_like(mask) if node.is_point else mask
            for node, (_, mask) in zip(nodes, drawn, strict=True)
        ]
        written = self.store.write(np.stack([patch for patch, _ in drawn]), np.stack(masks))
        return PatchFileRecord(*written, len(nodes), SPEC.version, SPEC.hash)

    @staticmethod
    def _name_station(session: Any, node: Node) -> None:
        if node.station is not None:
            ids = studies.station_ids(session, [node.station])
            session.get(schema.StationRow, ids[node.station]).meaning = node.meaning


@cache
def _drawn(
    seed: int, axes_mm: tuple[float, float, float], necrosis: bool
) -> tuple[np.ndarray, np.ndarray]:
    return node_patch(seed, axes_mm, necrosis)


def _node(name: str, index: int, node: Node, patch: np.ndarray, mask: str) -> NodeRecord:
    place = (-3.5 - 8 * index, -12.0 + 5 * index, -180.0 - 11 * index)
    affine = centred_affine()
    affine[:3, 3] += np.array(place)
    sizes: dict[str, Any] = {}
    if node.axes_mm is not None:
        z, y, x = node.axes_mm
        sizes = {
            "volume_mm3": 4 / 3 * np.pi * z * y * x,
            "short_axis_mm": 2 * min(y, x),
            "long_axis_mm": 2 * max(y, x),
            "mask_sha256": sha(name, index, "mask"),
        }
    return NodeRecord(
        annotation_sha256=mask,
        tracking_uid=uid("node", name, index),
        label=node.label,
        centroid_mm=place,
        patch_index=index,
        patch_sha256=hashlib.sha256(patch.tobytes()).hexdigest(),
        patch_affine=affine.tolist(),
        padded_fraction=node.padded_fraction,
        station=node.station,
        station_source=_source(node),
        station_candidates=[
            {"system": one.system, "code": one.code, "overlap": 0.5} for one in node.candidates
        ],
        warnings=list(node.warnings),
        **sizes,
    )


def _source(node: Node) -> str:
    if node.station is None:
        return "unassigned"
    return "overlap" if node.candidates else "explicit"


def _score_row(node: scores.NodeToScore, probability: float, engine: Engine) -> scores.ScoreRecord:
    return scores.ScoreRecord(
        node_id=node.node_id,
        probability=probability,
        local_probability=min(1.0, probability * 1.04),
        global_probability=probability * 0.9,
        calibrated_probability=probability**1.3 if engine.calibrated else None,
        calls={name: int(probability >= at) for name, at in engine.points},
        patch_sha256=node.patch_sha256,
    )


def ajcc(code: str) -> StationKey:
    """A station of AJCC8 oesophagus."""
    return StationKey("AJCC8", "2017-ESO", code)


AJCC_4R, AJCC_7, AJCC_8M = map(ajcc, ("4R", "7", "8M"))


def typical_nodes() -> list[Node]:
    """What a reader meets: big and small, necrotic, a point, flags, no station."""
    return [
        Node(0.081, "LN 1", AJCC_8M, "Middle para-oesophageal", (6.0, 3.0, 4.5)),
        Node(0.934, "LN 2", AJCC_4R, "Right lower paratracheal", (12.0, 9.5, 11.0), True),
        Node(0.412, "LN 3", AJCC_7, "Subcarinal", None),
        Node(0.644, "LN 4", AJCC_7, "Subcarinal", (9.0, 4.0, 12.5), False, ("N01", "N08"), 0.041),
        Node(0.0002, "hilar left", None, "", (4.0, 3.0, 3.5)),
    ]


def typical_findings() -> list[FindingRecord]:
    """What a surgeon sends: alone, merged, not sampled, a station without a node on CT."""
    return [
        FindingRecord(
            stations=(AJCC_4R,), status="positive", source_row=1, n_examined=5, n_positive=2
        ),
        FindingRecord(
            stations=(AJCC_7,), status="negative", source_row=2, n_examined=9, n_positive=0
        ),
        FindingRecord(
            stations=(ajcc("8U"), AJCC_8M),
            status="positive",
            source_row=3,
            n_examined=6,
            n_positive=1,
        ),
        FindingRecord(stations=(ajcc("9L"),), status="not_sampled", source_row=4),
        FindingRecord(
            stations=(ajcc("17"),), status="positive", source_row=5, n_examined=4, n_positive=3
        ),
        FindingRecord(stations=(ajcc("20"),), status="indeterminate", source_row=6, n_examined=2),
    ]


def fill(hospital: Hospital) -> list[str]:
    """Several studies of every kind, and what was refused."""
    trained, older = Engine(), Engine("oesophagus-2025", calibrated=False)
    demo = Engine("demo", trained=False, calibrated=False, points=(("p50", 0.5),))
    scored = hospital.add_study("a", typical_nodes(), older)
    hospital.score(scored, [node.probability for node in typical_nodes()], trained)
    made = [scored, hospital.add_study("b", typical_nodes()[:2], demo, "2026-11-22")]
    made.append(hospital.add_study("c", typical_nodes()[:3], None, "2026-11-21"))
    made.append(hospital.add_study("d", (), None, None))
    waits = {"status": "waiting", "code": "M03", "reason": "the mask's CT is not there yet"}
    made.append(hospital.add_study("e", (), None, "2026-11-23", **waits))
    hospital.refuse("F01", f"{PATH}: not a whole DICOM file")
    hospital.refuse(
        "G03",
        "slice gap of 7.5 mm after z = -120.0",
        uid("study", "f"),
        scope="series",
        series_uid=uid("series", "f"),
        wanted="one spacing, 5.0 mm",
        fix="Export the series again, or pass --fill-gaps 1.",
    )
    return made
