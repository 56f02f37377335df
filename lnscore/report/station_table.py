"""`stations.csv`: one row for every station of a study that has pathology."""

from collections.abc import Iterator, Mapping

from lnscore.report.facts import StationFacts, StationPathology, StudyFacts
from lnscore.report.tables import training
from lnscore.spreadsheet import Cell

COLUMNS = (
    "patient",
    "study",
    "study_date",
    "station_system",
    "station_version",
    "station_code",
    "station_meaning",
    "status",
    "rule",
    "weak",
    "finding",
    "n_examined",
    "n_positive",
    "sent_together",
    "report_date",
    "nodes",
    "highest_probability",
    "engine",
    "engine_key",
    "trained",
    "trained_on_phantoms",
    "calls",
    "agrees",
    "study_uid",
)


def rows(study: StudyFacts) -> Iterator[list[Cell]]:
    """Yield a row for each station, in the order of the page; none without pathology."""
    for one in study.pathology.stations if study.pathology else ():
        yield [
            *(study.patient, study.study, study.study_date),
            *_station_cells(one),
            *_finding_cells(one),
            " ".join(map(str, one.nodes)),
            None if one.highest is None else round(one.highest, 6),
            *_engine_cells(study, one),
            *(_flags(one.calls), _flags(one.agrees)),
            study.study_uid,
        ]


def name(station: StationFacts) -> str:
    """Return a station as `SYSTEM:CODE`."""
    return f"{station.system}:{station.code}"


def _station_cells(one: StationPathology) -> list[Cell]:
    station, verdict = one.station, one.verdict
    named = [station.system, station.version, station.code, station.meaning]
    return [*named, verdict.status, verdict.rule, int(verdict.weak)]


def _finding_cells(one: StationPathology) -> list[Cell]:
    """Return the cells of a station's findings.

    Several findings that decide together share a cell, separated by a space. The counts are
    those of the station: over all its specimens in the report that decides.
    """
    findings = one.findings
    if not findings:
        return [None] * 5
    together = {name(station) for finding in findings for station in finding.stations}
    shared = [finding for finding in findings if len(finding.stations) > 1]
    return [
        " ".join(dict.fromkeys(finding.status for finding in findings)),
        *(one.n_examined, one.n_positive),
        "+".join(sorted(together)) if shared else "",
        " ".join(dict.fromkeys(finding.report_date for finding in findings)),
    ]


def _engine_cells(study: StudyFacts, one: StationPathology) -> list[Cell]:
    if one.highest is None:
        return [None] * 4
    engine = study.engines[0]
    return [engine.name, engine.key, *training(engine)]


def _flags(values: Mapping[str, bool]) -> str:
    return " ".join(f"{key}={int(value)}" for key, value in values.items())
