"""The task that a worker gets for one study, and the result that it returns: plain values.

The driver imports this module, and not those that parse files from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from db.records import RefusedRecord, SeriesRecord, StudyRecord
from lnscore.dicom.headers import FileHeader
from lnscore.dicom.slice_headers import SliceHeader
from lnscore.ingest.options import IngestOptions


@dataclass(frozen=True)
class StudyTask:
    """One study for a worker to read.

    Attributes:
        study: Pseudonymous facts of the study.
        slices: Every CT slice of the study.
        masks: SEG and RTSTRUCT files of the study.
        options: How to read the files; masks, points and stations that it names belong to a
            series of this study.
        known: Series UID to content hash of each usable series in the database; None if a patch
            or mask file of the series is missing, so that its patches are cut again.
    """

    study: StudyRecord
    slices: tuple[SliceHeader, ...]
    masks: tuple[FileHeader, ...]
    options: IngestOptions
    known: Mapping[str, str | None]


@dataclass(frozen=True)
class SeriesResult:
    """One series, ready to be stored; its patch file has not been written yet."""

    record: SeriesRecord
    patches: np.ndarray | None = None
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class StudyResult:
    """Result of reading one study.

    Attributes:
        series: New or changed series.
        same: UIDs of the series that the database holds already.
        refused: Series, masks and regions that were not used.
        localizers: Number of localizer images, which are left out.
        used: SHA-256 of the mask files that were used; their earlier refusals are resolved.
    """

    series: tuple[SeriesResult, ...] = ()
    same: tuple[str, ...] = ()
    refused: tuple[RefusedRecord, ...] = ()
    localizers: int = 0
    used: tuple[str, ...] = ()
