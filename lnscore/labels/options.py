"""The options of `lnscore labels import`."""

from dataclasses import dataclass
from typing import Annotated

from lnscore.command_options import Option


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Options for reading a file of labels."""

    reader: Annotated[
        str,
        Option(
            help="Name of the reader who labelled the nodes, if the file does not state it.",
            metavar="NAME",
        ),
    ] = ""
    tolerance_mm: Annotated[
        float,
        Option(
            help="Largest distance in mm from a point to the centroid of its node.",
            metavar="MM",
            minimum=0,
            maximum=50,
        ),
    ] = 5.0
    coord: Annotated[
        str,
        Option(
            help="Coordinate system of points, if the file does not state it: LPS_MM, RAS_MM or "
            "IJK.",
            metavar="NAME",
        ),
    ] = ""
