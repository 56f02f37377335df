"""Records for the database's tests, small and complete."""

import hashlib
from pathlib import Path

from db.records import (
    AnnotationRecord,
    InstanceRecord,
    NodeRecord,
    PatchFileRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)

Snapshot = dict[str, tuple[bytes, int]]


def snapshot(folder: Path) -> Snapshot:
    """Name to content and time of change of every file in a folder."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.iterdir())}


def digest(text: str) -> str:
    """A SHA-256 to stand for some content."""
    return hashlib.sha256(text.encode()).hexdigest()


def study(number: int = 1, patient: PatientRecord | None = None) -> StudyRecord:
    """One study of its own patient."""
    return StudyRecord(
        patient or PatientRecord(digest(f"patient {number}"), "F", 1950, "born"),
        f"1.2.{number}",
        "2026-01-31",
    )


def node(index: int, **other: object) -> NodeRecord:
    """One node of the annotation that `series` has."""
    facts = {
        "annotation_sha256": digest("mask"),
        "tracking_uid": f"2.25.{index}",
        "label": f"node {index}",
        "centroid_mm": (1.5, -2.5, 3.5),
        "patch_index": index,
        "patch_sha256": digest(f"patch {index}"),
        "patch_affine": [[1.0, 0.0, 0.0, 0.0]] * 4,
        "padded_fraction": 0.0,
    }
    return NodeRecord(**(facts | other))


def series(
    content: str = "first", nodes: int = 2, of: StudyRecord | None = None, **other: object
) -> SeriesRecord:
    """One series with two instances, one mask and its nodes."""
    of = of or study()
    uid = other.pop("series_uid", f"{of.study_uid}.1")
    facts = {
        "study": of,
        "series_uid": uid,
        "status": "ready",
        "content_sha256": digest(f"{uid} {content}"),
        "geometry": {"shape": [2, 4, 4]},
        "patch_file": PatchFileRecord(digest(f"file {uid} {content}"), None, nodes, 1, "spec")
        if nodes
        else None,
        "instances": [InstanceRecord(f"{uid}.{i}", digest(f"{uid} {i}"), "ct.dcm") for i in (1, 2)],
        "annotations": [AnnotationRecord(format="SEG", sha256=digest("mask"), path="seg.dcm")],
        "nodes": [node(i) for i in range(nodes)],
    }
    return SeriesRecord(**(facts | other))
