"""The options of `lnscore ingest`."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from lnscore.command_options import Option
from lnscore.errors import Refusal


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How the files are read.

    Attributes:
        masks: NIfTI or NRRD label maps of nodes.
        points: Files of points.
        coord: Coordinate system of the points.
        stations: Label map of stations.
        series: SeriesInstanceUID of the CT series that these files belong to.
        fill_gaps: Largest number of missing slices in a row that are interpolated.
        assume_hu: Whether plausible values without a rescale tag are accepted.
        names: Patterns such as `LN*`; only segments, structures and labels whose name fits one
            of them are used. Empty: all are used.
    """

    masks: Annotated[
        tuple[str, ...],
        Option(
            help="NIfTI or NRRD label map of the nodes. Repeat the option for several files.",
            metavar="FILE",
            recorded="argv",
        ),
    ] = ()
    points: Annotated[
        tuple[str, ...],
        Option(
            help="Table (CSV), JSON or 3D Slicer markups (.mrk.json) of node centres. Repeat the "
            "option for several files.",
            metavar="FILE",
            recorded="argv",
        ),
    ] = ()
    coord: Annotated[
        str | None,
        Option(
            help="Coordinate system of the points, if their file does not state it: LPS_MM, "
            "RAS_MM or IJK.",
            metavar="NAME",
            recorded="argv",
        ),
    ] = None
    stations: Annotated[
        str | None,
        Option(
            help="Label map of the stations. Its legend must be in the same folder.",
            metavar="FILE",
            recorded="argv",
        ),
    ] = None
    series: Annotated[
        str | None,
        Option(
            help="SeriesInstanceUID of the CT series that --masks, --points and --stations "
            "belong to. It is needed if PATHS hold more than one CT series.",
            metavar="UID",
            recorded="argv",
        ),
    ] = None
    fill_gaps: Annotated[
        int,
        Option(
            help="Largest number of missing slices in a row that are interpolated. The series "
            "is flagged.",
            metavar="N",
            minimum=0,
            recorded="argv",
        ),
    ] = 0
    assume_hu: Annotated[
        bool,
        Option(
            help="Accept a series without rescale tags if its values are plausible Hounsfield "
            "units. The series is flagged.",
            recorded="argv",
        ),
    ] = False
    names: Annotated[
        tuple[str, ...],
        Option(
            help="Use only regions whose name fits this pattern, for example 'LN*'. Repeat the "
            "option for several patterns.",
            flag="--only",
            metavar="PATTERN",
            recorded="argv",
        ),
    ] = ()

    def check_files(self) -> None:
        """Check that the named files exist.

        Raises:
            Refusal: F10, a file does not exist.
        """
        for file in (*self.masks, *self.points, *([self.stations] if self.stations else ())):
            if not Path(file).is_file():
                raise Refusal("F10", f"no file '{file}'", "one that exists", "Check the path.")

    def wants(self, label: str) -> bool:
        """Return whether a region of this name is to be used; upper and lower case are equal."""
        patterns = [pattern.casefold() for pattern in self.names]
        return not patterns or any(fnmatchcase(label.casefold(), one) for one in patterns)

    @property
    def named(self) -> bool:
        """Whether the command line names masks, points or stations of one series."""
        return bool(self.masks or self.points or self.stations)
