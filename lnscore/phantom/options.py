"""The options of `lnscore phantom`: the size of the cohort, and where it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lnscore.command_options import Option


@dataclass(frozen=True, kw_only=True)
class PhantomOptions:
    """Options of a cohort of phantoms; exactly one of `out` and `direct` must be given."""

    patients: Annotated[
        int,
        Option(
            help="Number of patients. It is not used with --like-paper.",
            metavar="N",
            minimum=1,
            recorded="argv",
        ),
    ] = 6
    seed: Annotated[
        int,
        Option(
            help="Seed of the cohort. The same seed gives the same bytes.",
            metavar="N",
            minimum=0,
            recorded="argv",
        ),
    ] = 0
    out: Annotated[
        Path | None,
        Option(help="New or empty folder for DICOM files and tables.", metavar="FOLDER"),
    ] = None
    direct: Annotated[
        str | None,
        Option(
            help="Study database to write the patches, the labels and the pathology into, without "
            "DICOM files.",
            metavar="FILE|URL",
            recorded="argv",
        ),
    ] = None
    like_paper: Annotated[
        bool,
        Option(
            help="With --direct: make as many patients and nodes as the paper has. These are 1,052 "
            "patients, of whom 310 are labelled.",
            recorded="argv",
        ),
    ] = False
    share: Annotated[
        float,
        Option(
            help="With --like-paper: share of the paper's patients and nodes to make, from 0.01 "
            "to 1.",
            metavar="S",
            recorded="argv",
        ),
    ] = 1.0
