"""Find the CT scan on which a mask was drawn, from the mask's references, not from its folder."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from lnscore.dicom.headers import Kind
from lnscore.dicom.volume import Scan
from lnscore.errors import Refusal
from lnscore.masks.rtstruct import referenced_series, referenced_sops


def scan_of(dataset: Dataset, kind: Kind, scans: Sequence[Scan]) -> Scan:
    """Find the one scan that a mask belongs to.

    Args:
        dataset: SEG or RTSTRUCT.
        kind: Which of the two the data set is, `seg` or `rtstruct`.
        scans: Usable scans of the mask's study.

    Raises:
        Refusal: M03 the CT of the mask is not among the scans (it may still arrive); S14 the
            mask fits several scans, or names none and fits none.
    """
    named = _series_of(dataset, kind)
    if not named:
        return _only(scans, dataset)
    fitting = [scan for scan in scans if scan.grid.series_uid.split("#")[0] in named]
    if not fitting:
        raise Refusal(
            "M03",
            f"a mask of CT series {', '.join(sorted(named))}, which is missing or was refused",
            "that series",
            "Send the whole series, or find out why it was refused.",
        )
    if len(fitting) == 1:
        return fitting[0]
    return _by_slices(fitting, _slices_of(dataset, kind))


def _series_of(dataset: Dataset, kind: Kind) -> set[str]:
    if kind == "rtstruct":
        return referenced_series(dataset)
    items = dataset.get("ReferencedSeriesSequence") or []
    return {str(item.SeriesInstanceUID) for item in items if "SeriesInstanceUID" in item}


def _slices_of(dataset: Dataset, kind: Kind) -> set[str]:
    if kind == "rtstruct":
        return referenced_sops(dataset)
    return {
        str(instance.get("ReferencedSOPInstanceUID", ""))
        for series in dataset.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedInstanceSequence") or []
    }


def _only(scans: Sequence[Scan], dataset: Dataset) -> Scan:
    """Find the scan of a mask that names no series: only one may have its frame of reference."""
    frame = str(dataset.get("FrameOfReferenceUID", ""))
    fitting = [scan for scan in scans if frame in ("", scan.grid.for_uid)]
    if len(fitting) != 1:
        raise _unclear(f"a mask that names no CT series, and {len(fitting)} series that fit it")
    return fitting[0]


def _by_slices(scans: Sequence[Scan], sop_uids: set[str]) -> Scan:
    """Choose among several acquisitions of one series the one whose slices the mask names."""
    touched = [scan for scan in scans if sop_uids & set(scan.grid.sop_uids)]
    if len(touched) != 1:
        raise _unclear(f"a mask that names slices of {len(touched)} acquisitions of its series")
    return touched[0]


def _unclear(found: str) -> Refusal:
    return Refusal(
        "S14",
        found,
        "a mask that names the slices of one CT acquisition",
        "Export the mask with its references, or ingest the one series alone.",
    )
