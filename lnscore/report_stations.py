"""`stations.csv`: one row for every station of a study that has pathology."""

from collections.abc import Iterator, Mapping

from lnscore.report_csv import Cell, training
from lnscore.report_json import FindingFacts, StationFacts, StationPathology, StudyFacts

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
    """Stations in the order of the page; none where the patient has no report."""
    for one in study.pathology.stations if study.pathology else ():
        yield [
            *(study.patient, study.study, study.study_date),
            *_station_cells(one),
            *_finding_cells(one.findings),
            " ".join(map(str, one.nodes)),
            None if one.highest is None else round(one.highest, 6),
            *_engine_cells(study, one),
            *(_flags(one.calls), _flags(one.agrees)),
            study.study_uid,
        ]


def name(station: StationFacts) -> str:
    """A station as `SYSTEM:CODE`."""
    return f"{station.system}:{station.code}"


def _station_cells(one: StationPathology) -> list[Cell]:
    station, verdict = one.station, one.verdict
    named = [station.system, station.version, station.code, station.meaning]
    return [*named, verdict.status, verdict.rule, int(verdict.weak)]


def _finding_cells(findings: list[FindingFacts]) -> list[Cell]:
    """Several that decide together are one cell each, joined by a blank; counts are summed."""
    if not findings:
        return [None] * 5
    together = {name(station) for one in findings for station in one.stations}
    shared = [one for one in findings if len(one.stations) > 1]
    return [
        " ".join(dict.fromkeys(one.status for one in findings)),
        _sum([one.n_examined for one in findings]),
        _sum([one.n_positive for one in findings]),
        "+".join(sorted(together)) if shared else "",
        " ".join(dict.fromkeys(one.report_date for one in findings)),
    ]


def _engine_cells(study: StudyFacts, one: StationPathology) -> list[Cell]:
    if one.highest is None:
        return [None] * 4
    engine = study.engines[0]
    return [engine.name, engine.key, *training(engine)]


def _flags(values: Mapping[str, bool]) -> str:
    return " ".join(f"{key}={int(value)}" for key, value in values.items())


def _sum(counts: list[int | None]) -> int | None:
    """Unknown where one of them is."""
    known = [one for one in counts if one is not None]
    return sum(known) if len(known) == len(counts) else None
