"""The rule that gives a lymph node its status from the pathology of its station.

The functions need no database. A station that no finding names is unknown, never negative,
because surgeons do not sample every station. Several stations may be sent as one specimen
(merged). A negative merged specimen means that each of its stations is negative. A positive one is
weak evidence: at least one of its stations is positive, but it is not known which.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from db.records import StationKey

Status = Literal["malignant", "benign", "unknown"]
Relations = Mapping[tuple[StationKey, StationKey], str]
"""Relation by (station of the node, station of the finding).

`narrower` means that the first is a part of the second.
"""

MAX_DAYS = 60
"""Largest number of days from CT to surgery; after more days a node may have changed."""
BEFORE_THERAPY = ("none", "unknown")
BY_STRENGTH = ("equal", "narrower", "broader", "overlaps")


@dataclass(frozen=True, kw_only=True)
class StationFinding:
    """One finding with the facts of its report that the rule needs; dates are in ISO format."""

    id: int
    report_id: int
    report_date: str
    stations: frozenset[StationKey]
    """The station of the finding; several if they were sent as one specimen."""
    status: str
    """`positive`, `negative`, `not_sampled` or `indeterminate`."""
    n_examined: int | None = None
    n_positive: int | None = None
    surgery_date: str | None = None
    neoadjuvant: str = "unknown"
    superseded: bool = False
    """True if it belongs to an older version of its report; it is then ignored."""


@dataclass(frozen=True)
class StationStatus:
    """Status of a node or of a station by pathology.

    Attributes:
        status: Malignant, benign or unknown; a station that is not in the report is unknown.
        rule: The rule that decided: positive, negative, merged_positive, merged_negative,
            not_sampled, indeterminate, absent, no_station, no_report, candidates_agree,
            candidates_disagree, crosswalk_equal, crosswalk_narrower, crosswalk_broader,
            crosswalk_overlaps, crosswalk_disagree.
        weak: True if positive only through a specimen or station that also covers others.
        findings: Ids of the findings that decided.
        excluded: Codes P09 and P10, if they apply; the status is then not used in training.
    """

    status: Status
    rule: str
    weak: bool = False
    findings: tuple[int, ...] = ()
    excluded: tuple[str, ...] = ()


def decide(
    stations: Sequence[StationKey],
    findings: Iterable[StationFinding],
    relations: Relations | None = None,
    ct_date: str | None = None,
    max_days: int = MAX_DAYS,
) -> StationStatus:
    """Decide the status of a node.

    Args:
        stations: Stations where the node may lie; several must agree.
        findings: All findings of its patient.
        relations: Relations of a crosswalk; without them only findings of the same station count.
        ct_date: Date of the CT, None if not known.
        max_days: Largest number of days from CT to surgery.
    """
    relevant = of_this_ct(list(findings), ct_date, max_days)
    said = [one for one in relevant if not one.superseded]
    if not said:
        return StationStatus("unknown", "no_report")
    if not stations:
        return StationStatus("unknown", "no_station")
    verdict = _agreed({key: of_station(key, said, relations) for key in stations})
    deciding = [one for one in said if one.id in verdict.findings]
    codes = {code for one in deciding for code in exclusions(one, ct_date, max_days)}
    return replace(verdict, excluded=tuple(sorted(codes)))


def of_this_ct(
    findings: Sequence[StationFinding], ct_date: str | None, max_days: int = MAX_DAYS
) -> list[StationFinding]:
    """Return the findings whose surgery fits this CT; all findings if none fits.

    A second operation years later gives no information about the nodes of the first CT.
    """
    fit = [one for one in findings if not exclusions(one, ct_date, max_days)]
    return fit if any(not one.superseded for one in fit) else list(findings)


def of_station(
    station: StationKey, findings: Iterable[StationFinding], relations: Relations | None = None
) -> StationStatus:
    """Decide the status of one station from a patient's findings; superseded ones are ignored."""
    said = [one for one in findings if not one.superseded]
    native = _native(station, said)
    if native.rule != "absent" or not relations:
        return native
    others = sorted({key for one in said for key in one.stations}, key=_order)
    told = [
        (relation, _native(other, said))
        for other in others
        if (relation := relations.get((station, other)))
    ]
    return _through(told) if told else native


def exclusions(
    finding: StationFinding, ct_date: str | None, max_days: int = MAX_DAYS
) -> tuple[str, ...]:
    """Return which of P09 and P10 apply to a CT and a finding; an unknown date excludes nothing.

    P09: more than `max_days` from CT to surgery. P10: the CT is after the surgery, or there was
    therapy between them.
    """
    days = days_to_surgery(finding, ct_date)
    codes = []
    if days is not None and days > max_days:
        codes.append("P09")
    # If the date of surgery is unknown, the surgery was at the latest on the report date.
    reported = finding.surgery_date is None and ct_date is not None
    after = (days is not None and days < 0) or (reported and str(ct_date) > finding.report_date)
    if after or finding.neoadjuvant not in BEFORE_THERAPY:
        codes.append("P10")
    return tuple(codes)


def days_to_surgery(finding: StationFinding, ct_date: str | None) -> int | None:
    """Return the days from CT to surgery; negative if the CT is later, None if unknown."""
    if ct_date is None or finding.surgery_date is None:
        return None
    return (date.fromisoformat(finding.surgery_date) - date.fromisoformat(ct_date)).days


def _native(station: StationKey, said: Sequence[StationFinding]) -> StationStatus:
    """Decide the status of a station from the newest report that examined it.

    In this report, findings of the station alone outrank merged findings. A finding `not_sampled`
    gives no information: findings of another report, or merged ones of the same report, still
    count.
    """
    about = [one for one in said if station in one.stations]
    looked = [one for one in about if one.status != "not_sampled"]
    if not looked:
        rule = "not_sampled" if about else "absent"
        return StationStatus("unknown", rule, findings=_ids(about))
    newest = max((one.report_date, one.report_id) for one in looked)
    of_newest = [one for one in looked if (one.report_date, one.report_id) == newest]
    alone = [one for one in of_newest if len(one.stations) == 1]
    if not alone:
        return _merged(of_newest)
    verdict = _single(alone)
    # A merged specimen is positive, but each of its stations alone is negative: one of these
    # findings must be wrong.
    if verdict.status == "benign" and (jars := _unexplained(of_newest, said)):
        return StationStatus("unknown", "indeterminate", findings=_ids([*alone, *jars]))
    return verdict


def _unexplained(
    told: Sequence[StationFinding], said: Sequence[StationFinding]
) -> list[StationFinding]:
    """Return positive merged findings whose stations are all negative alone in the same report."""
    jars = [one for one in told if len(one.stations) > 1 and one.status == "positive"]
    reports = {(one.report_date, one.report_id) for one in jars}
    negative = {
        key
        for one in said
        for key in one.stations
        if len(one.stations) == 1
        and one.status == "negative"
        and (one.report_date, one.report_id) in reports
    }
    return [one for one in jars if one.stations <= negative]


def _single(told: Sequence[StationFinding]) -> StationStatus:
    """Combine findings of one station alone; one positive specimen makes it malignant."""
    kinds = {one.status for one in told}
    if "positive" in kinds:
        return StationStatus("malignant", "positive", findings=_ids(told, "positive"))
    if "indeterminate" in kinds:
        return StationStatus("unknown", "indeterminate", findings=_ids(told))
    return StationStatus("benign", "negative", findings=_ids(told))


def _merged(told: Sequence[StationFinding]) -> StationStatus:
    """Combine merged findings; positive ones are weak, and contradictory ones decide nothing."""
    kinds = {one.status for one in told}
    if kinds == {"negative"}:
        return StationStatus("benign", "merged_negative", findings=_ids(told))
    if "positive" in kinds and "negative" not in kinds:
        return StationStatus("malignant", "merged_positive", True, _ids(told, "positive"))
    return StationStatus("unknown", "indeterminate", findings=_ids(told))


def _through(told: Sequence[tuple[str, StationStatus]]) -> StationStatus:
    """Combine the statuses of related stations of another system.

    If there is an `equal` station that was sampled, only equal stations count.
    """
    present = [(relation, one) for relation, one in told if one.rule != "absent"]
    equal = [
        (relation, one)
        for relation, one in present
        if relation == "equal" and one.rule != "not_sampled"
    ]
    mapped = [(relation, _across(relation, one)) for relation, one in equal or present]
    if not mapped:
        return StationStatus("unknown", "absent")
    known = [(relation, one) for relation, one in mapped if one.status != "unknown"]
    if len({one.status for _, one in known}) > 1:
        ids = tuple(sorted({i for _, one in known for i in one.findings}))
        return StationStatus("unknown", "crosswalk_disagree", findings=ids)
    deciding = known or mapped
    relation, first = min(deciding, key=lambda pair: (pair[1].weak, BY_STRENGTH.index(pair[0])))
    ids = tuple(sorted({i for _, one in deciding for i in one.findings}))
    return replace(first, rule=f"crosswalk_{relation}", findings=ids)


def _across(relation: str, other: StationStatus) -> StationStatus:
    """Transfer the status of a station to a station that has this relation to it.

    A part of a negative station is negative. A station with a negative part may still be positive
    in another part. A part of a positive station is not necessarily the positive part; the status
    is then weak.
    """
    if other.status == "malignant":
        return replace(other, weak=other.weak or relation in ("narrower", "overlaps"))
    if other.status == "benign" and relation in ("broader", "overlaps"):
        return replace(other, status="unknown")
    return other


def _agreed(verdicts: Mapping[StationKey, StationStatus]) -> StationStatus:
    """Combine the statuses of several candidate stations, which must agree.

    Stations of a system that pathology does not use at all are ignored.
    """
    used = {key.system for key, one in verdicts.items() if one.rule != "absent"}
    told = [one for key, one in verdicts.items() if not used or key.system in used]
    if len(told) == 1:
        return told[0]
    ids = tuple(sorted({i for one in told for i in one.findings}))
    if len({one.rule for one in told}) == 1 and told[0].status == "unknown":
        return replace(told[0], findings=ids)
    if len({one.status for one in told}) == 1 and told[0].status != "unknown":
        weak = any(one.weak for one in told)
        return StationStatus(told[0].status, "candidates_agree", weak, ids)
    return StationStatus("unknown", "candidates_disagree", findings=ids)


def _ids(told: Iterable[StationFinding], status: str | None = None) -> tuple[int, ...]:
    return tuple(sorted(one.id for one in told if status in (None, one.status)))


def _order(key: StationKey) -> tuple[str, str, str]:
    return key.system, key.version, key.code
