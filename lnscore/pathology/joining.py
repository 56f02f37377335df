"""Joins the nodes of one study with the pathology findings of its patient."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from db import station_status
from db.records import StationKey
from db.schema import Study
from db.session import Session
from db.station_rule import (
    BEFORE_THERAPY,
    MAX_DAYS,
    Relations,
    StationFinding,
    StationStatus,
    days_to_surgery,
    exclusions,
    of_station,
    of_this_ct,
)
from db.station_status import PlacedNode
from lnscore.pathology.specimens import all_of, counted_of, specimens_of

OPPOSED = {"malignant": "negative", "benign": "positive"}
"""For the verdict on a station, the status of a finding that contradicts it."""


@dataclass(frozen=True)
class Conflict:
    """Two reports that contradict each other about a station; both are kept."""

    station: StationKey
    won: StationFinding
    lost: StationFinding


@dataclass(frozen=True)
class Exclusion:
    """The reason why nodes of a study are left out of training; it is not an error."""

    code: str
    text: str
    days: int | None
    """Days from CT to surgery; negative if the CT is later than the surgery."""
    node_count: int


@dataclass(frozen=True)
class JoinedStation:
    """One station of a study: its verdict by pathology, and its nodes."""

    station: StationKey
    verdict: StationStatus
    findings: tuple[StationFinding, ...]
    """Findings that decide the verdict."""
    specimens: tuple[StationFinding, ...]
    """All specimens of the station in the deciding report, shared with other stations or not."""
    node_ids: tuple[int, ...]

    @property
    def counted(self) -> tuple[StationFinding, ...]:
        """The specimens whose nodes count for this station."""
        return counted_of(self.findings, self.specimens)


@dataclass(frozen=True, kw_only=True)
class JoinedStudy:
    """A study's nodes and its patient's findings, joined.

    Attributes:
        stations: Stations of the findings and of the nodes, in the order of their codes.
        statuses: Status of each node, by node id.
        without_node: Positive findings none of whose stations has a node in the masks.
        without_station: Ids of the nodes that have no station.
        other_systems: Station systems that occur in findings, but not in nodes.
        meanings: Meaning of each station in words, if requested.
    """

    study_uid: str
    study_date: str | None
    has_report: bool
    nodes: tuple[PlacedNode, ...]
    statuses: Mapping[int, StationStatus]
    stations: tuple[JoinedStation, ...]
    without_node: tuple[StationFinding, ...]
    without_station: tuple[int, ...]
    conflicts: tuple[Conflict, ...]
    exclusions: tuple[Exclusion, ...]
    other_systems: tuple[str, ...]
    meanings: Mapping[StationKey, str] = field(default_factory=dict)

    @property
    def without_finding(self) -> tuple[JoinedStation, ...]:
        """Stations that have nodes, but no finding in any report."""
        return tuple(one for one in self.stations if one.node_ids and one.verdict.rule == "absent")

    @property
    def deciding(self) -> tuple[StationFinding, ...]:
        """Every finding that decides a station; each is listed once."""
        unique = {one.id: one for station in self.stations for one in station.findings}
        return tuple(unique[i] for i in sorted(unique))

    @property
    def specimens(self) -> tuple[StationFinding, ...]:
        """All specimens of the stations in their deciding reports; each is listed once."""
        return all_of(one for station in self.stations for one in station.specimens)


@dataclass(frozen=True)
class KnownStations:
    """Every station of a database, read once for many studies.

    Attributes:
        keys: Station of each station id.
        meanings: Meaning of each station in words.
    """

    keys: Mapping[int, StationKey]
    meanings: Mapping[StationKey, str]


def known_stations(session: Session) -> KnownStations:
    """Read the stations for `of_study`."""
    return KnownStations(station_status.station_keys(session), station_status.meanings(session))


def of_study(session: Session, study: Study, known: KnownStations) -> JoinedStudy | None:
    """Join a study with its patient's findings; return None if there are no findings."""
    key = study.patient.pseudo_key
    found = station_status.findings_of(session, [key], known.keys)
    if not found:
        return None
    placed = station_status.placed_nodes(session, study_uid=study.study_uid, stations=known.keys)
    joined = join(study.study_uid, study.study_date, list(placed), found[key])
    return replace(joined, meanings=known.meanings)


def join(
    study_uid: str,
    study_date: str | None,
    nodes: Sequence[PlacedNode],
    findings: Sequence[StationFinding],
    relations: Relations | None = None,
    max_days: int = MAX_DAYS,
) -> JoinedStudy:
    """Join the nodes of one study with the findings of its patient."""
    relevant = of_this_ct(findings, study_date, max_days)
    said = [one for one in relevant if not one.superseded]
    by_key = {nodes[0].patient_key: list(said)} if nodes else {}
    statuses = station_status.decide_all(nodes, by_key, relations, max_days)
    stations = _stations(nodes, said, relations)
    systems = {key.system for node in nodes for key in node.stations}
    return JoinedStudy(
        study_uid=study_uid,
        study_date=study_date,
        has_report=bool(said),
        nodes=tuple(nodes),
        statuses=statuses,
        stations=stations,
        without_node=_without_node(stations, nodes, relations),
        without_station=tuple(node.id for node in nodes if not node.stations),
        conflicts=tuple(_conflicts(findings, said)),
        exclusions=tuple(_exclusions(said, statuses, study_date, max_days)),
        other_systems=tuple(
            sorted({key.system for one in said for key in one.stations} - systems)
            if systems
            else ()
        ),
    )


def natural(key: StationKey) -> tuple[object, ...]:
    """Return the sort key of a station, which puts 2R before 10R."""
    parts = re.findall(r"\d+|\D+", key.code)
    numbered = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
    return key.system, key.version, numbered


def _stations(
    nodes: Sequence[PlacedNode], said: Sequence[StationFinding], relations: Relations | None
) -> tuple[JoinedStation, ...]:
    of_nodes: dict[StationKey, list[int]] = {}
    for node in nodes:
        for key in node.stations[:1]:
            of_nodes.setdefault(key, []).append(node.id)
    keys = {key for one in said for key in one.stations} | set(of_nodes)
    by_id = {one.id: one for one in said}
    joined = []
    for key in sorted(keys, key=natural):
        verdict = of_station(key, said, relations)
        deciding = tuple(by_id[i] for i in verdict.findings)
        specimens = specimens_of(key, deciding, said)
        ids = tuple(of_nodes.get(key, ()))
        joined.append(JoinedStation(key, verdict, deciding, specimens, ids))
    return tuple(joined)


def _without_node(
    stations: Iterable[JoinedStation], nodes: Sequence[PlacedNode], relations: Relations | None
) -> tuple[StationFinding, ...]:
    """Return positive findings without a node; one station of a merged specimen is enough."""
    occupied = {key for node in nodes for key in node.stations}
    occupied |= {there for (here, there) in relations or () if here in occupied}
    positive = {
        one.id: one
        for station in stations
        for one in station.findings
        if one.status == "positive" and not occupied & one.stations
    }
    return tuple(positive[i] for i in sorted(positive))


def _conflicts(
    findings: Sequence[StationFinding], said: Sequence[StationFinding]
) -> Iterable[Conflict]:
    """Yield, for each station, every report that contradicts the verdict."""
    by_id = {one.id: one for one in findings}
    for key in sorted({key for one in findings for key in one.stations}, key=natural):
        verdict = of_station(key, said)
        deciding = [by_id[i] for i in verdict.findings]
        lost = {
            one.report_id: one
            for one in findings
            if key in one.stations
            and one.status == OPPOSED.get(verdict.status)
            and all(one.report_id != other.report_id for other in deciding)
        }
        for _, one in sorted(lost.items()):
            yield Conflict(key, deciding[0], one)


def _exclusions(
    said: Sequence[StationFinding],
    statuses: Mapping[int, StationStatus],
    ct_date: str | None,
    max_days: int,
) -> Iterable[Exclusion]:
    """Yield one exclusion for each code and reason, with the number of nodes that it affects."""
    found: dict[tuple[str, str], tuple[int | None, set[int]]] = {}
    for one in said:
        days = days_to_surgery(one, ct_date)
        nodes = {node for node, status in statuses.items() if one.id in status.findings}
        for code in exclusions(one, ct_date, max_days):
            for text in _why(code, one, days, max_days):
                found.setdefault((code, text), (days, set()))[1].update(nodes)
    for (code, text), (days, nodes) in sorted(found.items()):
        if nodes:  # another operation of the patient may lie years apart
            yield Exclusion(code, text, days, len(nodes))


def _why(code: str, one: StationFinding, days: int | None, max_days: int) -> Iterable[str]:
    if code == "P09":
        yield f"CT is {days} d before surgery (limit {max_days})"
        return
    if days is not None and days < 0:
        yield f"CT is {-days} d after surgery: excluded from training"
    elif one.neoadjuvant in BEFORE_THERAPY:
        yield f"CT is after the report of {one.report_date}: excluded from training"
    if one.neoadjuvant not in BEFORE_THERAPY:
        therapy = {"chemo": "chemotherapy", "chemoradio": "chemoradiotherapy"}
        named = therapy.get(one.neoadjuvant, one.neoadjuvant)
        yield f"neoadjuvant {named} before surgery: excluded from training"
