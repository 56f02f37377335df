"""What goes to a worker for one study and what comes back: plain values.

The driver knows only this room: it never loads what parses files of others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from db.records import RefusedRecord, SeriesRecord, StudyRecord
from lnscore.dicom.headers import FileHeader
from lnscore.dicom.slice_headers import SliceHeader
from lnscore.errors import Refusal


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """What the command line says of how to read.

    Attributes:
        masks: NIfTI or NRRD label maps of nodes.
        points: Files of points.
        coord: Coordinate system of the points.
        stations: Label map of stations.
        series: The CT series that these belong to.
        fill_gaps: Missing slices in a row that may be interpolated.
        assume_hu: Accept plausible values without a rescale tag.
        names: Patterns (`LN*`): only segments, structures and labels of such names.
    """

    masks: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    coord: str | None = None
    stations: str | None = None
    series: str | None = None
    fill_gaps: int = 0
    assume_hu: bool = False
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        masks: Sequence[Path] | None,
        points: Sequence[Path] | None,
        coord: str | None,
        stations: Path | None,
        series: str | None,
        fill_gaps: int,
        assume_hu: bool,
        names: Sequence[str] | None = None,
    ) -> "IngestOptions":
        """Options from the command line.

        Raises:
            Refusal: F10, a file that is not there.
        """
        files = [*(masks or ()), *(points or ()), *([stations] if stations else ())]
        for file in files:
            if not file.is_file():
                raise Refusal("F10", f"no file '{file}'", "one that exists", "Check it.")
        return cls(
            masks=tuple(map(str, masks or ())),
            points=tuple(map(str, points or ())),
            coord=coord,
            stations=str(stations) if stations else None,
            series=series,
            fill_gaps=fill_gaps,
            assume_hu=assume_hu,
            names=tuple(names or ()),
        )

    def wants(self, label: str) -> bool:
        """Whether a region of this name is to be used; case does not matter."""
        patterns = [pattern.casefold() for pattern in self.names]
        return not patterns or any(fnmatchcase(label.casefold(), one) for one in patterns)

    @property
    def named(self) -> bool:
        """Whether the command line names files of one series."""
        return bool(self.masks or self.points or self.stations)


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
