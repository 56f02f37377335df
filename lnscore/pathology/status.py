"""`lnscore pathology status`: join pathology to the nodes of each study, and show what fits."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from db import station_status
from db import studies as stored_studies
from db.records import StationKey
from db.session import Session, open_database
from db.station_rule import Relations, StationFinding
from lnscore.errors import EXIT_DONE, Refusal
from lnscore.pathology.joining import JoinedStudy, join
from lnscore.settings import Settings
from lnscore.stations import crosswalks

STATUSES = ("malignant", "benign", "unknown")
NAMED = 8
"""Largest number of nodes or stations that a line names; `--json` has them all."""


@dataclass(frozen=True, kw_only=True)
class PathologyStatus:
    """The summary: studies joined with pathology, and findings that wait for a study.

    Attributes:
        location: File or address of the database.
        studies: Joined studies in the order of their UIDs.
        pending_findings: Number of findings whose patient has no study.
        pending_patients: Number of patients of these findings.
        crosswalk: Name of the crosswalk that was used; None if none was.
        warning: Warning about the crosswalk; empty if there is none.
        exit_code: Exit code of the command.
    """

    location: str
    studies: tuple[JoinedStudy, ...]
    pending_findings: int
    pending_patients: int
    crosswalk: str | None
    warning: str
    exit_code: int = EXIT_DONE

    @property
    def counts(self) -> dict[str, int]:
        """Number of nodes by status."""
        return _counts(self.studies)

    def lines(self) -> list[str]:
        """Return a few lines for every study with pathology, then the sums."""
        told = [one for one in self.studies if one.has_report]
        lines = [self.warning] if self.warning else []
        for one in told:
            lines += _study_lines(one)
        silent = len(self.studies) - len(told)
        if silent:
            lines.append(f"{_number(silent, 'study', 'studies')} without pathology")
        if self.pending_findings:
            lines.append(
                f"{_number(self.pending_findings, 'finding')} of "
                f"{_number(self.pending_patients, 'patient')} without a study: "
                "joined when the study is ingested"
            )
        lines.append(f"nodes of {_number(len(self.studies), 'study', 'studies')}: {self._sums()}")
        return lines

    def _sums(self) -> str:
        weak = sum(one.weak for study in self.studies for one in study.statuses.values())
        left_out = sum(bool(s.excluded) for one in self.studies for s in one.statuses.values())
        more = [f"{weak} of the malignant are weak"] if weak else []
        more += [f"{left_out} left out of training"] if left_out else []
        return ", ".join([f"{count} {name}" for name, count in self.counts.items()] + more)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`, with every node and station."""
        return {
            "database": self.location,
            "crosswalk": self.crosswalk,
            "warning": self.warning,
            "nodes": self.counts,
            "pending": {"findings": self.pending_findings, "patients": self.pending_patients},
            "studies": [_study_dict(one) for one in self.studies],
            "exit_code": self.exit_code,
        }


def run(
    settings: Settings, study: str | None, crosswalk: str | None, max_days: int
) -> PathologyStatus:
    """Join every study, or one, with the pathology that the database holds.

    Args:
        settings: Settings with the path of the database.
        study: StudyInstanceUID of the only study to join; None for all studies.
        crosswalk: Name of a crosswalk between station systems; None for no crosswalk.
        max_days: Largest number of days from CT to surgery; above it there is P09.

    Raises:
        Refusal: U04, there is no study with that UID; N11, there is no crosswalk of that name.
        DatabaseError: The database cannot be used.
    """
    with closing(open_database(settings.db)) as database, database.read() as session:
        studies = _studies(session, study, database.location)
        relations, warning = _relations(session, crosswalk)
        findings = station_status.findings_of(session)
        nodes = defaultdict(list)
        for node in station_status.placed_nodes(session, study_uid=study):
            nodes[node.study_id].append(node)
        joined = tuple(
            join(uid, date, nodes[number], findings.get(key, []), relations, max_days)
            for number, uid, date, key in studies
        )
        waiting = {} if study is not None else _pending(session, findings)
        return PathologyStatus(
            location=database.location,
            studies=joined,
            pending_findings=sum(len(one) for one in waiting.values()),
            pending_patients=len(waiting),
            crosswalk=crosswalk,
            warning=warning,
        )


def _studies(
    session: Session, study_uid: str | None, location: str
) -> list[tuple[int, str, str | None, str]]:
    """Return id, UID, date and patient key of the studies to join."""
    found = stored_studies.located_studies(session, study_uid)
    if study_uid is not None and not found:
        raise Refusal(
            "U04",
            f"no study {study_uid} in {location}",
            "the StudyInstanceUID of a study that was ingested",
            "Ingest it first, or correct --study or --db.",
        )
    return found


def _relations(session: Session, crosswalk: str | None) -> tuple[Relations | None, str]:
    """Return the relations of a crosswalk, as lnscore ships it or else as the database holds it.

    The second value is a warning if no clinician has confirmed the crosswalk.
    """
    if crosswalk is None:
        return None, ""
    ours_too = crosswalk in crosswalks.names()
    if not ours_too and (held := station_status.relations(session, crosswalk)):
        return held, f"crosswalk {crosswalk} is not confirmed by a clinician"
    shipped = crosswalks.read(crosswalk)  # the version that the warning names
    ours = {(row.from_station, row.to_station): row.relation for row in shipped.rows}
    return ours, shipped.warning


def _pending(
    session: Session, findings: Mapping[str, Sequence[StationFinding]]
) -> dict[str, Sequence[StationFinding]]:
    waiting = sorted(set(findings) - stored_studies.patients_with_studies(session))
    return {key: [one for one in findings[key] if not one.superseded] for key in waiting}


def _counts(studies: Iterable[JoinedStudy]) -> dict[str, int]:
    found = Counter(one.status for study in studies for one in study.statuses.values())
    return {name: found[name] for name in STATUSES}


def _study_lines(one: JoinedStudy) -> list[str]:
    counts = ", ".join(f"{count} {name}" for name, count in _counts([one]).items())
    date = f"CT of {one.study_date}" if one.study_date else "CT without a date"
    lines = [f"study {one.study_uid}, {date}: {_number(len(one.nodes), 'node')}, {counts}"]
    labels = {node.id: node.label or f"…{node.tracking_uid[-8:]}" for node in one.nodes}
    if one.without_finding:
        named = (
            f"{_name(at.station)} ({_number(len(at.node_ids), 'node')})"
            for at in one.without_finding
        )
        lines.append(f"  no finding for {_few(named)}: unknown")
    if one.without_node:
        lines.append(
            f"  positive without a node in the masks: {_few(map(_told, one.without_node))}"
        )
    if one.without_station:
        lines.append(f"  nodes without a station: {_few(labels[i] for i in one.without_station)}")
    if one.other_systems:
        lines.append(
            f"  findings in {', '.join(one.other_systems)}, where no node has a station of that "
            "system: joined only through a crosswalk"
        )
    for two in one.conflicts:
        lines.append(
            f"  {_name(two.station)}: {two.won.status} (report of {two.won.report_date}) counts, "
            f"not {two.lost.status} (report of {two.lost.report_date}); both are kept"
        )
    for why in one.exclusions:
        lines.append(f"  {why.code}: {why.text} ({_number(why.node_count, 'node')})")
    return lines


def _told(one: StationFinding) -> str:
    stations = "+".join(_name(key) for key in sorted(one.stations, key=lambda key: key.code))
    counts = "" if one.n_positive is None else f" {one.n_positive}"
    return f"{stations}{counts}{'' if one.n_examined is None else f'/{one.n_examined}'}"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _name(key: StationKey) -> str:
    return f"{key.system}:{key.code}"


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _study_dict(one: JoinedStudy) -> dict[str, Any]:
    return {
        "study_uid": one.study_uid,
        "study_date": one.study_date,
        "has_report": one.has_report,
        "counts": _counts([one]),
        "nodes": [
            {
                "tracking_uid": node.tracking_uid,
                "series_uid": node.series_uid,
                "label": node.label,
                "stations": [asdict(key) for key in node.stations],
                **asdict(one.statuses[node.id]),
            }
            for node in one.nodes
        ],
        "stations_without_finding": [
            {"station": asdict(at.station), "nodes": len(at.node_ids)} for at in one.without_finding
        ],
        "positive_without_node": [_finding_dict(told) for told in one.without_node],
        "nodes_without_station": [
            node.tracking_uid for node in one.nodes if node.id in one.without_station
        ],
        "other_systems": list(one.other_systems),
        "conflicts": [
            {
                "station": asdict(two.station),
                "won": _finding_dict(two.won),
                "lost": _finding_dict(two.lost),
            }
            for two in one.conflicts
        ],
        "exclusions": [asdict(why) for why in one.exclusions],
    }


def _finding_dict(one: StationFinding) -> dict[str, Any]:
    stations = sorted(one.stations, key=lambda key: (key.system, key.code))
    return {
        "id": one.id,
        "report_date": one.report_date,
        "stations": [asdict(key) for key in stations],
        "status": one.status,
        "n_examined": one.n_examined,
        "n_positive": one.n_positive,
        "superseded": one.superseded,
    }
