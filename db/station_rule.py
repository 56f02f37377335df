"""The status that pathology gives a lymph node through its station; values in, values out.

A station that no finding names is unknown, never negative: surgeons sample. What several
stations shared in one jar is strong where it was negative, weak where it was positive.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from db.records import StationKey

Status = Literal["malignant", "benign", "unknown"]
Relations = Mapping[tuple[StationKey, StationKey], str]
"""(station of the node, station of the finding) to how the first lies to the second."""

MAX_DAYS = 60
"""CT to surgery: what a node was may have changed after that."""
BEFORE_THERAPY = ("none", "unknown")
BY_STRENGTH = ("equal", "narrower", "broader", "overlaps")


@dataclass(frozen=True, kw_only=True)
class StationFinding:
    """One finding with what counts of its report; dates are ISO."""

    id: int
    report_id: int
    report_date: str
    stations: frozenset[StationKey]
    """Several: they were sent as one specimen."""
    status: str
    """positive, negative, not_sampled or indeterminate."""
    n_examined: int | None = None
    n_positive: int | None = None
    surgery_date: str | None = None
    neoadjuvant: str = "unknown"
    superseded: bool = False
    """Of an older version of its report: kept, does not count."""


@dataclass(frozen=True)
class StationStatus:
    """What pathology says of a node, or of a station.

    Attributes:
        status: Absent from the report is unknown.
        rule: Why: positive, negative, merged_positive, merged_negative, not_sampled,
            indeterminate, absent, no_station, no_report, candidates_agree,
            candidates_disagree, crosswalk_equal, crosswalk_narrower, crosswalk_broader,
            crosswalk_overlaps, crosswalk_disagree.
        weak: Positive only as a member of a merged or overlapping group.
        findings: Ids of the findings that say so.
        excluded: P09, P10: the status is kept as a fact and left out of training.
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
    """The status of a node.

    Args:
        stations: Where it may lie; several count only if they agree.
        findings: All of its patient.
        relations: Of a crosswalk; without one only the same station counts.
        ct_date: Day of the CT, None where not known.
        max_days: Most days from CT to surgery.
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
    """Findings of the surgery that this CT was made for; all, where none fits it.

    A second operation years later says nothing of the nodes of the first CT.
    """
    fit = [one for one in findings if not exclusions(one, ct_date, max_days)]
    return fit if any(not one.superseded for one in fit) else list(findings)


def of_station(
    station: StationKey, findings: Iterable[StationFinding], relations: Relations | None = None
) -> StationStatus:
    """What the findings of a patient say of one station; superseded ones say nothing."""
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
    """P09 and P10 of a CT and the report of a finding; a date that is not known excludes none."""
    days = days_to_surgery(finding, ct_date)
    codes = []
    if days is not None and days > max_days:
        codes.append("P09")
    # Without its own date the surgery was before the report of it.
    reported = finding.surgery_date is None and ct_date is not None
    after = (days is not None and days < 0) or (reported and str(ct_date) > finding.report_date)
    if after or finding.neoadjuvant not in BEFORE_THERAPY:
        codes.append("P10")
    return tuple(codes)


def days_to_surgery(finding: StationFinding, ct_date: str | None) -> int | None:
    """Days from the CT to the surgery; negative where the CT is the later one."""
    if ct_date is None or finding.surgery_date is None:
        return None
    return (date.fromisoformat(finding.surgery_date) - date.fromisoformat(ct_date)).days


def _native(station: StationKey, said: Sequence[StationFinding]) -> StationStatus:
    """The newest report that looked at the station wins; alone in its jar beats merged.

    A report that did not sample a station says nothing of it: what another report found, or
    the same one in a jar shared with neighbours, stays.
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
    # A positive jar all of whose stations are negative alone: one of the lines is wrong.
    if verdict.status == "benign" and (jars := _unexplained(of_newest, said)):
        return StationStatus("unknown", "indeterminate", findings=_ids([*alone, *jars]))
    return verdict


def _unexplained(
    told: Sequence[StationFinding], said: Sequence[StationFinding]
) -> list[StationFinding]:
    """Positive jars of a report whose every station the same report calls negative alone."""
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
    """One positive specimen makes the station positive."""
    kinds = {one.status for one in told}
    if "positive" in kinds:
        return StationStatus("malignant", "positive", findings=_ids(told, "positive"))
    if "indeterminate" in kinds:
        return StationStatus("unknown", "indeterminate", findings=_ids(told))
    return StationStatus("benign", "negative", findings=_ids(told))


def _merged(told: Sequence[StationFinding]) -> StationStatus:
    """Positive: at least one somewhere in the jar. Two jars that contradict decide nothing."""
    kinds = {one.status for one in told}
    if kinds == {"negative"}:
        return StationStatus("benign", "merged_negative", findings=_ids(told))
    if "positive" in kinds and "negative" not in kinds:
        return StationStatus("malignant", "merged_positive", True, _ids(told, "positive"))
    return StationStatus("unknown", "indeterminate", findings=_ids(told))


def _through(told: Sequence[tuple[str, StationStatus]]) -> StationStatus:
    """What stations of another system say; an equal one that says something beats the rest."""
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
    """What a station's status says of one that lies to it in this relation.

    A part of a negative station is negative; a whole with a negative part may still be
    positive elsewhere. A part of a positive station need not be the part that was.
    """
    if other.status == "malignant":
        return replace(other, weak=other.weak or relation in ("narrower", "overlaps"))
    if other.status == "benign" and relation in ("broader", "overlaps"):
        return replace(other, status="unknown")
    return other


def _agreed(verdicts: Mapping[StationKey, StationStatus]) -> StationStatus:
    """One verdict of several candidate stations, only if all say the same.

    A system that pathology does not use at all does not disagree.
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
