"""Join pathology to nodes: read the station status of every node with a few statements.

The trainer, `lnscore pathology status` and the report use it; scoring never does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.batches import batches
from db.records import StationKey
from db.schema import (
    FindingRow,
    FindingStation,
    LymphNode,
    PathologyReport,
    Patient,
    Series,
    StationCrosswalk,
    StationRow,
    Study,
)
from db.station_rule import MAX_DAYS, Relations, StationFinding, StationStatus, decide

CANDIDATE_OVERLAP = 0.1
"""Smallest share of a node inside a station for which the station is a candidate (our choice).

A smaller share only means that the node touches the border of the station's mask.
"""


@dataclass(frozen=True, kw_only=True)
class PlacedNode:
    """One node of a current series, with the values that the join needs."""

    id: int
    study_id: int
    series_uid: str
    patient_key: str
    ct_date: str | None
    tracking_uid: str
    label: str
    station: StationKey | None
    stations: tuple[StationKey, ...]
    """Stations where the node may lie: its own station first, then the candidates."""


_OF_NODE: Sequence[Any] = (
    LymphNode.id,
    Series.study_id,
    Series.series_uid,
    Patient.pseudo_key,
    Study.study_date,
    LymphNode.tracking_uid,
    LymphNode.label,
    LymphNode.station_id,
    LymphNode.station_source,
    LymphNode.station_candidates,
)
_OF_FINDING: Sequence[Any] = (
    PathologyReport.patient_key,
    PathologyReport.report_date,
    PathologyReport.surgery_date,
    PathologyReport.neoadjuvant,
    PathologyReport.superseded_by_id,
    FindingRow.report_id,
    FindingRow.id,
    FindingRow.status,
    FindingRow.n_examined,
    FindingRow.n_positive,
    FindingStation.station_id,
)


def statuses(
    session: Session,
    *,
    series_ids: Sequence[int] | None = None,
    crosswalk: str | None = None,
    max_days: int = MAX_DAYS,
) -> dict[int, StationStatus]:
    """Return the station status of every node of current series.

    Args:
        session: The caller's transaction.
        series_ids: Restrict to these series; None for all.
        crosswalk: Name of a crosswalk between station systems; None for no crosswalk.
        max_days: Largest number of days from CT to surgery; above it the status gets P09.

    Returns:
        Station status by `lymph_node.id`.
    """
    stations = station_keys(session)
    nodes = list(placed_nodes(session, series_ids=series_ids, stations=stations))
    findings = findings_of(session, {node.patient_key for node in nodes}, stations)
    between = relations(session, crosswalk) if crosswalk is not None else None
    return decide_all(nodes, findings, between, max_days)


def decide_all(
    nodes: Iterable[PlacedNode],
    findings: dict[str, list[StationFinding]],
    between: Relations | None = None,
    max_days: int = MAX_DAYS,
) -> dict[int, StationStatus]:
    """Decide the station status of every node.

    Nodes of one patient with the same stations and CT date share one result.

    Args:
        nodes: The nodes.
        findings: Findings of pathology by patient key.
        between: Relations of a crosswalk, if one is used.
        max_days: Largest number of days from CT to surgery.

    Returns:
        Station status by `lymph_node.id`.
    """
    known: dict[tuple[object, ...], StationStatus] = {}
    found = {}
    for node in nodes:
        place = (node.patient_key, node.stations, node.ct_date)
        if place not in known:
            told = findings.get(node.patient_key, [])
            known[place] = decide(node.stations, told, between, node.ct_date, max_days)
        found[node.id] = known[place]
    return found


def placed_nodes(
    session: Session,
    *,
    series_ids: Sequence[int] | None = None,
    study_uid: str | None = None,
    stations: Mapping[int, StationKey] | None = None,
) -> Iterator[PlacedNode]:
    """Yield the nodes of current series with their stations, in the order of their ids.

    Args:
        session: The caller's transaction.
        series_ids: Restrict to these series; None for all.
        study_uid: Restrict to this study; None for all.
        stations: Result of `station_keys`; if None, it is read here.
    """
    stations = station_keys(session) if stations is None else stations
    by_name = defaultdict(list)
    for key in stations.values():
        by_name[key.system, key.code].append(key)
    query = (
        select(*_OF_NODE)
        .join(Series, LymphNode.series_id == Series.id)
        .join(Study, Series.study_id == Study.id)
        .join(Patient, Study.patient_id == Patient.id)
        .where(Series.status != "superseded")
        .order_by(LymphNode.id)
    )
    if study_uid is not None:
        query = query.where(Study.study_uid == study_uid)
    for row in _pieces(session, query, series_ids):
        own = stations.get(row.station_id)
        candidates = row.station_candidates or []
        yield PlacedNode(
            id=row.id,
            study_id=row.study_id,
            series_uid=row.series_uid,
            patient_key=row.pseudo_key,
            ct_date=row.study_date,
            tracking_uid=row.tracking_uid,
            label=row.label,
            station=own,
            stations=tuple(_places(own, row.station_source, candidates, by_name)),
        )


def findings_of(
    session: Session,
    patient_keys: Iterable[str] | None = None,
    stations: Mapping[int, StationKey] | None = None,
) -> dict[str, list[StationFinding]]:
    """Return all findings by patient key, including those of superseded reports.

    Args:
        session: The caller's transaction.
        patient_keys: Restrict to these patients; None for all.
        stations: Result of `station_keys`; if None, it is read here.
    """
    stations = station_keys(session) if stations is None else stations
    query = (
        select(*_OF_FINDING)
        .join(FindingRow, FindingRow.report_id == PathologyReport.id)
        .join(FindingStation, FindingStation.finding_id == FindingRow.id)
    )
    rows: dict[int, Any] = {}
    members = defaultdict(set)
    keys = None if patient_keys is None else sorted(set(patient_keys))
    for piece in [None] if keys is None else batches(keys):
        some = query if piece is None else query.where(PathologyReport.patient_key.in_(piece))
        for row in session.execute(some):
            rows[row.id] = row
            members[row.id].add(stations[row.station_id])
    found = defaultdict(list)
    for finding_id in sorted(rows):
        row = rows[finding_id]
        found[row.patient_key].append(_finding(row, frozenset(members[finding_id])))
    return dict(found)


def relations(session: Session, crosswalk: str) -> Relations:
    """Return the relations of a crosswalk, by (station of the node, station of the finding)."""
    stations = station_keys(session)
    query = select(
        StationCrosswalk.from_station_id, StationCrosswalk.to_station_id, StationCrosswalk.relation
    ).where(StationCrosswalk.name == crosswalk)
    return {
        (stations[here], stations[there]): relation
        for here, there, relation in session.execute(query)
    }


def station_keys(session: Session) -> dict[int, StationKey]:
    """Return all stations by their id."""
    query = select(StationRow.id, StationRow.system, StationRow.version, StationRow.code)
    return {station_id: StationKey(*key) for station_id, *key in session.execute(query)}


def meanings(session: Session) -> dict[StationKey, str]:
    """Return the meaning of every station, as text."""
    query = select(StationRow.system, StationRow.version, StationRow.code, StationRow.meaning)
    return {StationKey(*key): meaning for *key, meaning in session.execute(query)}


def _pieces(
    session: Session, query: Select[*tuple[Any, ...]], series_ids: Sequence[int] | None
) -> Iterator[Any]:
    if series_ids is None:
        yield from session.execute(query)
        return
    for ids in batches(sorted(set(series_ids))):
        yield from session.execute(query.where(LymphNode.series_id.in_(ids)))


def _places(
    own: StationKey | None,
    source: str,
    candidates: Sequence[dict[str, Any]],
    by_name: dict[tuple[str, str], list[StationKey]],
) -> list[StationKey]:
    """Return the node's own station and the candidates with enough overlap.

    If the author of the mask states the station, candidates of the same system are ignored.
    """
    places = [] if own is None else [own]
    stated = own.system if own is not None and source == "explicit" else None
    for one in candidates:
        name = str(one["system"]), str(one["code"])
        if name[0] == stated or (one.get("overlap") or 0.0) < CANDIDATE_OVERLAP:
            continue
        if own is None or name != (own.system, own.code):
            # A station that is not in the table has no finding.
            places += by_name.get(name) or [StationKey(name[0], "", name[1])]
    return list(dict.fromkeys(places))


def _finding(row: Any, stations: frozenset[StationKey]) -> StationFinding:  # noqa: ANN401
    return StationFinding(
        id=row.id,
        report_id=row.report_id,
        report_date=row.report_date,
        stations=stations,
        status=row.status,
        n_examined=row.n_examined,
        n_positive=row.n_positive,
        surgery_date=row.surgery_date,
        neoadjuvant=row.neoadjuvant,
        superseded=row.superseded_by_id is not None,
    )
