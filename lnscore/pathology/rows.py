"""The canonical row: what every reader of pathology comes down to, before and after the checks."""

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
"""Of one finding; a station of several joined by `+` is one specimen of merged stations."""

MANDATORY = ("patient_key", "report_id", "report_date", "station_system", "station")

_FOUND = ("n_positive", "n_examined", "status")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One finding as its source has it: text, unchecked.

    Attributes:
        values: Field of `FIELDS` to text; what is absent is empty.
        row: Line of the file or row of the sheet, as the user sees it there, from 1.
        columns: Field to the heading or letter of the column that it came from.
    """

    values: Mapping[str, str]
    row: int
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """Columns that held this finding, where one line has several; else empty.

        Where a column of its own says the station, a line is one finding.
        """
        held = dict.fromkeys(self.columns[name] for name in _FOUND if self.columns.get(name))
        station = self.columns.get("station")
        return "" if station and station not in held else " | ".join(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalRow:
    """One finding, checked.

    Attributes:
        patient_id: As in the source; it becomes a pseudonym and is never stored.
        report_id: As in the source.
        report_date: ISO date.
        surgery_date: ISO date, None where it is not known.
        stations: One; several where they were sent as one specimen.
        n_examined: Nodes looked at, None where not given.
        n_positive: Of these with metastasis, None where not given.
        status: `positive`, `negative`, `not_sampled` or `indeterminate`.
        neoadjuvant: `none`, `chemo`, `chemoradio` or `unknown`.
        row: Line of the source, from 1.
        column: Where one line of the source holds several findings.
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
