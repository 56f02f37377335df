"""Selects the specimens whose nodes count for a station, and sums their numbers."""

from collections.abc import Iterable, Sequence

from db.records import StationKey
from db.station_rule import StationFinding


def specimens_of(
    station: StationKey, deciding: Sequence[StationFinding], said: Iterable[StationFinding]
) -> tuple[StationFinding, ...]:
    """Return all specimens of a station in the deciding report, also those of several stations.

    One positive specimen makes the station positive; the nodes of its negative specimens were
    examined, too. If a crosswalk was used, only the deciding findings are returned.

    Args:
        station: Station whose nodes are counted.
        deciding: Findings that decide the station's verdict.
        said: Findings of all stations that are valid.
    """
    reports = {one.report_id for one in deciding}
    looked = [
        one
        for one in said
        if station in one.stations and one.report_id in reports and one.status != "not_sampled"
    ]
    return _once([*deciding, *looked])


def counted_of(
    deciding: Sequence[StationFinding], specimens: Iterable[StationFinding]
) -> tuple[StationFinding, ...]:
    """Return the specimens whose nodes count for the station.

    If a specimen of this station alone decides, specimens of several stations are left out: it
    is unknown from which of their stations the nodes came.
    """
    kinds = {len(one.stations) > 1 for one in deciding}
    return tuple(one for one in specimens if (len(one.stations) > 1) in kinds)


def all_of(specimens: Iterable[StationFinding]) -> tuple[StationFinding, ...]:
    """Return every examined specimen once, also those of several stations."""
    return _once(one for one in specimens if one.status != "not_sampled")


def examined(findings: Sequence[StationFinding]) -> int | None:
    """Return the sum of the examined nodes; None if one of the numbers is unknown."""
    known = [one.n_examined for one in findings if one.n_examined is not None]
    return sum(known) if findings and len(known) == len(findings) else None


def positive(findings: Sequence[StationFinding]) -> int | None:
    """Return the sum of the positive nodes (0 in a negative specimen); None if one is unknown."""
    numbers = [0 if one.status == "negative" else one.n_positive for one in findings]
    known = [one for one in numbers if one is not None]
    return sum(known) if findings and len(known) == len(findings) else None


def _once(findings: Iterable[StationFinding]) -> tuple[StationFinding, ...]:
    unique = {one.id: one for one in findings}
    return tuple(unique[i] for i in sorted(unique))
