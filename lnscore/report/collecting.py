"""Turn database rows into the facts of a report: current series, sorted nodes, problems, status."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from db import schema
from engines.manifest import of_phantoms
from lnscore.errors import CODES
from lnscore.report.facts import (
    CandidateFacts,
    EngineFacts,
    FlagFacts,
    NodeFacts,
    Problem,
    ReportedPoint,
    ScoreFacts,
    SeriesFacts,
    StationFacts,
    Status,
    StudyFacts,
)
from lnscore.report.privacy import without_paths
from lnscore.short_names import engine_key, folder_name, short


def study_facts(study: schema.Study, refused: Iterable[schema.Quarantine]) -> StudyFacts:
    """Return all facts of one study for its report, without pathology.

    Args:
        study: Row of the study with patient, series, nodes, stations, scores and engines loaded.
        refused: Unresolved quarantine rows of this study.
    """
    current = sorted(
        (one for one in study.series if one.status != "superseded"), key=lambda s: s.series_uid
    )
    rows = [node for one in current for node in one.nodes]
    engines = _newest_first(score.engine for node in rows for score in node.scores)
    nodes = _nodes(rows, [engine.id for engine in engines])
    problems = _problems(current, refused, study.study_uid)
    return StudyFacts(
        patient=short(study.patient.pseudo_key),
        study=folder_name(study.study_uid),
        study_uid=study.study_uid,
        study_date=study.study_date,
        status=_status(current, nodes, problems, [_engine_key(engine) for engine in engines]),
        engines=[_engine(engine) for engine in engines],
        series=[_series(one) for one in current],
        nodes=nodes,
        problems=problems,
    )


def problem(row: schema.Quarantine) -> Problem:
    """Return a quarantine row without its path and traceback (both may hold a patient's name)."""
    return Problem.model_validate(
        {
            "state": "refused",
            "scope": row.scope,
            "code": row.code,
            "found": without_paths(row.found, row.path),
            "wanted": without_paths(row.wanted, row.path),
            "fix": without_paths(row.fix, row.path),
            "study_uid": row.study_uid,
            "series_uid": row.series_uid,
            "sha256": row.sha256,
            "last_seen": _iso(row.last_seen),
            "tries": row.tries,
        }
    )


def _problems(
    current: Sequence[schema.Series], refused: Iterable[schema.Quarantine], study_uid: str
) -> list[Problem]:
    """Return the quarantine rows and the problems that only a series' row holds (it waits)."""
    found = [problem(row) for row in refused]
    told = {(one.series_uid, one.code) for one in found}
    for one in current:
        silent = (one.series_uid, one.code) not in told
        if one.status in ("waiting", "quarantined") and silent:
            found.append(_of_series(one, study_uid))
    return sorted(found, key=lambda p: (p.series_uid or "", p.scope, p.code, p.sha256))


def _of_series(series: schema.Series, study_uid: str) -> Problem:
    code = series.code or ""
    return Problem(
        state="waiting" if series.status == "waiting" else "refused",
        scope="series",
        code=code,
        found=without_paths(series.reason or CODES.get(code, "no reason stored")),
        wanted="",
        fix="",
        study_uid=study_uid,
        series_uid=series.series_uid,
        sha256=series.content_sha256,
        last_seen=_iso(series.created_at),
        tries=1,
    )


def _newest_first(engines: Iterable[schema.EngineRow]) -> list[schema.EngineRow]:
    unique = {engine.id: engine for engine in engines}
    return sorted(unique.values(), key=lambda e: (e.created_at, e.id), reverse=True)


def _nodes(rows: Sequence[schema.LymphNode], engine_ids: list[int]) -> list[NodeFacts]:
    """Sort nodes by the newest engine's probability, highest first, then by older engines'."""

    def rank(node: schema.LymphNode) -> tuple[object, ...]:
        by_engine = {score.engine_id: score.probability for score in node.scores}
        places = ((n, -by_engine[i]) for n, i in enumerate(engine_ids) if i in by_engine)
        best = next(places, (len(engine_ids), 0.0))
        return (*best, node.series.series_uid, node.patch_index)

    return [_node(number, row, engine_ids) for number, row in enumerate(sorted(rows, key=rank), 1)]


def _node(number: int, row: schema.LymphNode, engine_ids: list[int]) -> NodeFacts:
    scores = sorted(row.scores, key=lambda score: engine_ids.index(score.engine_id))
    return NodeFacts.model_validate(
        {
            "number": number,
            "tracking_uid": row.tracking_uid,
            "series_uid": row.series.series_uid,
            "label": row.label,
            "kind": "point" if row.mask_sha256 is None else "mask",
            "centroid_mm": (row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm),
            "volume_mm3": row.volume_mm3,
            "short_axis_mm": row.short_axis_mm,
            "long_axis_mm": row.long_axis_mm,
            "station": _station(row.station),
            "station_source": row.station_source,
            "station_candidates": [_candidate(one) for one in row.station_candidates or []],
            "padded_fraction": row.padded_fraction,
            "flags": [_flag(code) for code in row.warnings or []],
            "patch_sha256": row.patch_sha256,
            "scores": [_score(score) for score in scores],
        }
    )


def _station(row: schema.StationRow | None) -> StationFacts | None:
    if row is None:
        return None
    return StationFacts(system=row.system, version=row.version, code=row.code, meaning=row.meaning)


def _candidate(stored: dict[str, Any]) -> CandidateFacts:
    return CandidateFacts(
        system=stored["system"], code=stored["code"], overlap=stored.get("overlap")
    )


def _score(row: schema.Score) -> ScoreFacts:
    return ScoreFacts(
        engine=_engine_key(row.engine),
        probability=row.probability,
        calibrated_probability=row.calibrated_probability,
        local_probability=row.local_probability,
        global_probability=row.global_probability,
        calls={name: bool(row.calls[name]) for name in sorted(row.calls)},
        scored_at=_iso(row.created_at),
        patch_sha256=row.patch_sha256,
    )


def _engine_key(row: schema.EngineRow) -> str:
    parts = (row.weights_sha256, row.config_hash, row.spec_hash, row.backend, row.precision)
    return engine_key(*parts)


def _engine(row: schema.EngineRow) -> EngineFacts:
    return EngineFacts(
        key=_engine_key(row),
        name=row.name,
        backend=row.backend,
        precision=row.precision,
        trained=bool(row.trained),
        phantom=of_phantoms(row.manifest.get("cohort")),
        weights_sha256=row.weights_sha256,
        config_hash=row.config_hash,
        spec_hash=row.spec_hash,
        operating_points=_operating_points(row.manifest),
    )


def _operating_points(manifest: dict[str, Any]) -> list[ReportedPoint]:
    known = ("name", "threshold", "sensitivity", "specificity")
    return [
        ReportedPoint.model_validate({key: point[key] for key in known if key in point})
        for point in manifest.get("operating_points") or []
    ]


def _series(row: schema.Series) -> SeriesFacts:
    geometry = row.geometry or {}
    affine = geometry.get("affine")
    slice_mm = None
    if affine is not None:
        slice_mm = round(float(np.linalg.norm(np.array(affine, float)[:3, 0])), 3)
    return SeriesFacts.model_validate(
        {
            "series_uid": row.series_uid,
            "revision": row.revision,
            "status": row.status,
            "node_count": len(row.nodes),
            "slice_mm": slice_mm,
            "flags": [_flag(code) for code in geometry.get("flags") or []],
            "facts": row.facts or {},
        }
    )


def _flag(code: str) -> FlagFacts:
    """Return a flag's code with its meaning; a flag without a known code is its own meaning."""
    return FlagFacts(code=code, meaning=CODES.get(code.split(":")[0], code))


def _status(
    current: Sequence[schema.Series],
    nodes: Sequence[NodeFacts],
    problems: Sequence[Problem],
    engine_keys: Sequence[str],
) -> Status:
    """Return a study's status; "scored" means that its newest engine has scored every node."""
    if not any(one.status in ("ready", "scored") for one in current):
        waits = any(one.state == "waiting" for one in problems)
        return "waiting" if waits else "refused" if problems else "empty"
    if not nodes:
        return "no nodes"
    done = [any(score.engine in engine_keys[:1] for score in node.scores) for node in nodes]
    return "scored" if all(done) else "partly scored" if any(done) else "not scored"


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
