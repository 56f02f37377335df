"""The common row of all pathology readers: a finding before and after the checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from db.records import StationKey

FIELDS = (
    "patient_key",
    "report_id",
    "report_date",
    "surgery_date",
    "station_system",
    "station",
    "n_examined",
    "n_positive",
    "status",
    "neoadjuvant",
    "source_row",
)
"""Fields of one finding; several stations joined by `+` are one merged specimen."""

MANDATORY = ("patient_key", "report_id", "report_date", "station_system", "station")

_FOUND = ("n_positive", "n_examined", "status")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One finding as its source has it: unchecked text.

    Attributes:
        values: Text of each field of `FIELDS`; a missing field is empty.
        row: Line of the file or row of the sheet, as the user sees it there, from 1.
        columns: Heading or letter of the column that each field comes from.
    """

    values: Mapping[str, str]
    row: int
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """Columns of this finding if its line can hold several findings; else empty.

        If the station has a column of its own, a line holds one finding.
        """
        held = dict.fromkeys(self.columns[name] for name in _FOUND if self.columns.get(name))
        station = self.columns.get("station")
        return "" if station and station not in held else " | ".join(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalRow:
    """One checked finding.

    Attributes:
        patient_id: Patient's id as in the source; it becomes a pseudonym and is never stored.
        report_id: Report's number as in the source.
        report_date: ISO date of the report.
        surgery_date: ISO date of the surgery; None if it is not known.
        stations: One station, or several that were sent as one specimen.
        n_examined: Number of examined nodes; None if it is not given.
        n_positive: Number of these with metastasis; None if it is not given.
        status: `positive`, `negative`, `not_sampled` or `indeterminate`.
        neoadjuvant: `none`, `chemo`, `chemoradio` or `unknown`.
        row: Line of the source, from 1.
        column: Columns of the finding, if one line of the source can hold several; else empty.
    """

    patient_id: str
    report_id: str
    report_date: str
    surgery_date: str | None
    stations: tuple[StationKey, ...]
    n_examined: int | None
    n_positive: int | None
    status: str
    neoadjuvant: str
    row: int
    column: str
