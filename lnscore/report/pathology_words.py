"""Texts of the page about pathology."""

from lnscore.report.facts import FindingFacts, StationFacts, StationPathology, StudyFacts
from lnscore.report.station_table import name


def finding(one: FindingFacts) -> str:
    """Return the status of a finding with its counts, for example `positive 2 of 7`."""
    if one.status == "not_sampled":
        return "not sampled"
    words = one.status
    if one.n_examined is not None and one.n_positive is not None:
        return f"{words} {one.n_positive} of {one.n_examined}"
    if one.n_examined is not None:
        return f"{words}, {one.n_examined} examined"
    return words if one.n_positive is None else f"{words} {one.n_positive}"


def in_all(one: StationPathology) -> str:
    """Return the station's total counts, if more nodes were examined than the findings show."""
    shown = [finding.n_examined for finding in one.findings]
    if one.n_examined is None or one.n_examined == sum(count or 0 for count in shown):
        return ""
    count = f"{one.n_positive} of " if one.n_positive is not None else ""
    return f"in all {count}{one.n_examined} examined"


def others(one: FindingFacts, station: StationFacts) -> str:
    """Return the other stations of a specimen; the system is left out if it is the same."""
    rest = [other for other in one.stations if other != station]
    return ", ".join(o.code if o.system == station.system else name(o) for o in rest)


def notes(study: StudyFacts) -> list[str]:
    """Return notes on contradictions, on missing nodes or stations, and on training."""
    pathology = study.pathology
    if pathology is None:
        return []
    said = [f"{one.text[:1].upper()}{one.text[1:]} ({one.code})" for one in pathology.exclusions]
    for two in pathology.conflicts:
        said.append(
            f"{name(two.station)}: {_dated(two.won)} counts, {_dated(two.lost)} does not: the "
            "reports contradict each other"
        )
    said += [
        f"{_together(one)} is {finding(one)}, but no node of the masks lies there"
        for one in pathology.without_node
    ]
    if pathology.without_station:
        numbers = ", ".join(map(str, pathology.without_station))
        many = len(pathology.without_station) > 1
        said.append(
            f"Node{'s' if many else ''} {numbers}: no station is known, so pathology gives no "
            f"status for {'them' if many else 'it'}"
        )
    if pathology.other_systems:
        said.append(
            f"The report names stations of {', '.join(pathology.other_systems)}, but no node has "
            "a station of that system, so they are not joined to nodes"
        )
    return said


def _together(one: FindingFacts) -> str:
    return " + ".join(name(station) for station in one.stations)


def _dated(one: FindingFacts) -> str:
    return f"{finding(one)} (report of {one.report_date})"
