"""Read the mask files of one study and assign each to the scan on which it was drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.records import AnnotationRecord
from lnscore.dicom.headers import FileHeader
from lnscore.dicom.sources import sha256_of
from lnscore.dicom.volume import Scan
from lnscore.errors import Refusal
from lnscore.masks.belonging import scan_of
from lnscore.masks.regions import AnnotatedFile
from lnscore.masks.rtstruct import read_rtstruct
from lnscore.masks.seg import read_seg

NRRD = (".nrrd", ".nhdr")


@dataclass(frozen=True)
class MaskFile:
    """A mask file that was read, with the series UID of its scan."""

    series_uid: str
    annotation: AnnotationRecord
    annotated: AnnotatedFile


@dataclass(frozen=True)
class BadMask:
    """A mask file that cannot be used; `series_uid` is None if its scan is not known."""

    sha256: str
    path: str
    refusal: Refusal
    series_uid: str | None


def read_dicom_masks(
    files: Sequence[FileHeader], scans: Sequence[Scan]
) -> tuple[list[MaskFile], list[BadMask]]:
    """Read every SEG and RTSTRUCT, the newest first; one bad file does not affect the others."""
    read: list[MaskFile] = []
    bad: list[BadMask] = []
    seen = set[str]()
    for file in sorted(files, key=lambda one: (one.made, one.sop_uid), reverse=True):
        sha256 = sha256_of(file.path)
        if sha256 in seen:
            continue
        seen.add(sha256)
        scan = None
        try:
            dataset = _dataset(file.path)
            scan = scan_of(dataset, file.kind, scans)
            reader = read_seg if file.kind == "seg" else read_rtstruct
            annotated = reader(dataset, scan.grid)
            frame = str(dataset.get("FrameOfReferenceUID", "")) or None
        except Refusal as refusal:
            uid = scan.grid.series_uid if scan else None
            bad.append(BadMask(sha256, file.shown, refusal, uid))
        else:
            record = AnnotationRecord(
                format=file.kind.upper(),
                sha256=sha256,
                path=file.shown,
                uid=file.sop_uid,
                for_uid=frame,
                details=annotated.details,
            )
            read.append(MaskFile(scan.grid.series_uid, record, annotated))
    return read, bad


def read_named_masks(
    masks: Sequence[str], points: Sequence[str], coord: str | None, scan: Scan
) -> tuple[list[MaskFile], list[BadMask]]:
    """Read the label maps and point files that the command line names for this scan."""
    from lnscore.masks.label_maps import read_label_map
    from lnscore.masks.points import read_points

    jobs: list[tuple[str, str, Callable[[Path], AnnotatedFile]]] = [
        (path, _format(path), lambda one: read_label_map(one, scan.grid)) for path in masks
    ]
    jobs += [(path, "POINTS", lambda one: read_points(one, coord, scan.grid)) for path in points]
    read: list[MaskFile] = []
    bad: list[BadMask] = []
    for path, kind, reader in jobs:
        sha256, uid = sha256_of(path), scan.grid.series_uid
        try:
            annotated = reader(Path(path))
        except Refusal as refusal:
            bad.append(BadMask(sha256, path, refusal, uid))
        else:
            record = AnnotationRecord(
                format=kind, sha256=sha256, path=path, details=annotated.details
            )
            read.append(MaskFile(uid, record, annotated))
    return read, bad


def _format(path: str) -> str:
    return "NRRD" if path.lower().endswith(NRRD) else "NIFTI"


def _dataset(path: str):  # noqa: ANN202 - pydicom's Dataset, imported late
    from pydicom import dcmread

    try:
        return dcmread(path)
    except MemoryError:
        raise
    except Exception as error:
        raise Refusal(
            "F01",
            f"{type(error).__name__}: {str(error)[:120]}",
            "a whole DICOM file",
            "Export the mask again.",
        ) from error
