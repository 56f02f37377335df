"""Whose nodes a station's numbers count: every specimen, not only those that decided."""

from collections.abc import Iterable, Sequence

from db.records import StationKey
from db.station_rule import StationFinding


def specimens_of(
    station: StationKey, deciding: Sequence[StationFinding], said: Iterable[StationFinding]
) -> tuple[StationFinding, ...]:
    """What the report that decided examined of a station, alone or shared with others.

    One positive specimen decides that a station is positive; the nodes of its negative ones
    were examined all the same. Through a crosswalk there are only those that decide.

    Args:
        station: Of which the numbers are.
        deciding: Findings that the station's verdict rests on.
        said: Findings that count, of any station.
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
    """Those specimens whose nodes are the station's.

    Where one that held nothing else decides, the nodes of a shared one stay out: nobody
    knows which of its stations they came from.
    """
    kinds = {len(one.stations) > 1 for one in deciding}
    return tuple(one for one in specimens if (len(one.stations) > 1) in kinds)


def all_of(specimens: Iterable[StationFinding]) -> tuple[StationFinding, ...]:
    """Everything that was examined, a specimen of several stations once."""
    return _once(one for one in specimens if one.status != "not_sampled")


def examined(findings: Sequence[StationFinding]) -> int | None:
    """Sum of the nodes examined; unknown where one of the numbers is."""
    known = [one.n_examined for one in findings if one.n_examined is not None]
    return sum(known) if findings and len(known) == len(findings) else None


def positive(findings: Sequence[StationFinding]) -> int | None:
    """Sum of the positive nodes, none in a negative specimen; unknown where one number is."""
    numbers = [0 if one.status == "negative" else one.n_positive for one in findings]
    known = [one for one in numbers if one is not None]
    return sum(known) if findings and len(known) == len(findings) else None


def _once(findings: Iterable[StationFinding]) -> tuple[StationFinding, ...]:
    unique = {one.id: one for one in findings}
    return tuple(unique[i] for i in sorted(unique))
