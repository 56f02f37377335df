"""What goes to a worker for one study and what comes back: plain values.

The driver knows only this room: it never loads what parses files of others.
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
    """What a worker needs to know of one study.

    Attributes:
        study: Pseudonymous facts.
        slices: Every CT slice of the study.
        masks: Its SEG and RTSTRUCT files.
        options: How to read; its named files are for this study's series, if it has them.
        known: Series UID to content of what the database holds and could use.
    """

    study: StudyRecord
    slices: tuple[SliceHeader, ...]
    masks: tuple[FileHeader, ...]
    options: IngestOptions
    known: Mapping[str, str]


@dataclass(frozen=True)
class SeriesResult:
    """One series, ready to be stored; the patch file is still to be written."""

    record: SeriesRecord
    patches: np.ndarray | None = None
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class StudyResult:
    """What came of one study.

    Attributes:
        series: New or changed.
        same: Series that the database holds already.
        refused: Series, masks and regions that were not used.
        localizers: Images left out.
        used: SHA-256 of mask files that were used: earlier refusals of them are answered.
    """

    series: tuple[SeriesResult, ...] = ()
    same: tuple[str, ...] = ()
    refused: tuple[RefusedRecord, ...] = ()
    localizers: int = 0
    used: tuple[str, ...] = ()
