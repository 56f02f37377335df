"""The join in the database: who gets whose findings, through which stations."""

from dataclasses import replace

from sqlalchemy import event, insert, select

from db import pathology, runs, schema, studies
from db.pathology import FindingRecord, ReportRecord
from db.records import PatientRecord, StationKey
from db.session import Database
from db.station_status import findings_of, placed_nodes, statuses
from db_rows import digest, node, series, study

pytest_plugins = ["db_fixtures"]

UPPER, LOWER, CARINA = (StationKey("AJCC8", "2017-ESO", code) for code in ("2R", "4R", "7"))
TRACHEA = StationKey("JES11", "2015", "106tbR")


def patient(number: int) -> str:
    return digest(f"patient {number}")


def report(*findings: FindingRecord, of: int = 1, **other) -> ReportRecord:
    facts = {"patient_key": patient(of), "report_id": f"R{of}", "report_date": "2026-03-01"}
    facts |= {"source_sha256": digest(f"source {other}"), "findings": findings}
    return ReportRecord(**(facts | other))


def finding(status: str, *stations: StationKey, row: int = 1) -> FindingRecord:
    return FindingRecord(stations=stations, status=status, source_row=row)


def add_study(database: Database, number: int, *stations: StationKey | None, **other) -> int:
    """One study of patient `number` with a node in each of the stations; gives the series."""
    nodes = [
        node(
            i,
            tracking_uid=f"2.25.{number}.{i}",
            station=station,
            **{"station_source": "explicit" if station else "unassigned", **other},
        )
        for i, station in enumerate(stations)
    ]
    record = series(f"study {number}", len(nodes), study(number))
    with database.begin() as session:
        run_id = runs.start(session, "ingest", [], "0")
        return studies.add_series(session, replace(record, nodes=nodes), run_id).series_id


def add_report(database: Database, record: ReportRecord) -> None:
    with database.begin() as session:
        pathology.add_report(session, record)


def rules(database: Database, **options) -> list[str]:
    """The rule of every node, in the order of the nodes."""
    with database.read() as session:
        found = statuses(session, **options)
        return [found[node_id].rule for node_id in sorted(found)]


def test_every_node_of_current_series_has_a_status(database):
    add_study(database, 1, LOWER, CARINA, None)
    add_report(database, report(finding("positive", LOWER)))
    assert rules(database) == ["positive", "absent", "no_station"]


def test_a_patients_findings_never_reach_another_patient(database):
    for number in (1, 2, 3):
        add_study(database, number, LOWER)
    add_report(database, report(finding("positive", LOWER), of=2))
    add_report(database, report(finding("negative", LOWER), of=3))
    assert rules(database) == ["no_report", "positive", "negative"]


def test_a_report_that_came_before_its_study_joins_when_the_study_arrives(database):
    add_report(database, report(finding("positive", LOWER)))
    assert rules(database) == []
    add_study(database, 1, LOWER)
    assert rules(database) == ["positive"]


def test_all_studies_of_a_patient_get_the_findings(database):
    add_study(database, 1, LOWER)
    other = study(9, PatientRecord(patient(1), "F", 1950, "born"))
    record = replace(series("other", 1, other), nodes=[node(0, station=LOWER)])
    with database.begin() as session:
        studies.add_series(session, record, runs.start(session, "ingest", [], "0"))
    add_report(database, report(finding("positive", LOWER)))
    assert rules(database) == ["positive", "positive"]


def test_a_superseded_series_has_no_status(database):
    add_study(database, 1, LOWER)
    record = series("again", 1, study(1))
    with database.begin() as session:
        studies.add_series(session, record, runs.start(session, "ingest", [], "0"))
    assert rules(database) == ["no_report"]


def test_only_the_series_asked_for_are_told(database):
    first, second = add_study(database, 1, LOWER), add_study(database, 2, LOWER, CARINA)
    assert len(rules(database, series_ids=[first])) == 1
    assert len(rules(database, series_ids=[second])) == 2
    assert rules(database, series_ids=[]) == []


def test_a_newer_version_of_a_report_replaces_the_older_one(database):
    add_study(database, 1, LOWER)
    add_report(database, report(finding("positive", LOWER)))
    newer = report(finding("negative", LOWER), report_date="2026-04-01", source_sha256="b" * 64)
    add_report(database, newer)
    assert rules(database) == ["negative"]
    with database.read() as session:
        old, new = findings_of(session)[patient(1)]
    assert (old.superseded, new.superseded) == (True, False)


def test_a_merged_finding_keeps_its_members(database):
    add_report(database, report(finding("positive", UPPER, LOWER)))
    with database.read() as session:
        (found,) = findings_of(session)[patient(1)]
    assert found.stations == {UPPER, LOWER}


def candidate(station: StationKey, overlap: float) -> dict[str, object]:
    return {"system": station.system, "code": station.code, "overlap": overlap}


def test_a_candidate_of_the_map_must_agree(database):
    both = [candidate(LOWER, 0.6), candidate(UPPER, 0.4)]
    add_study(database, 1, LOWER, station_source="overlap", station_candidates=both)
    add_report(database, report(finding("positive", LOWER), finding("negative", UPPER, row=2)))
    assert rules(database) == ["candidates_disagree"]


def test_a_candidate_that_only_touches_the_node_is_none(database):
    both = [candidate(LOWER, 0.95), candidate(UPPER, 0.05)]
    add_study(database, 1, LOWER, station_source="overlap", station_candidates=both)
    add_report(database, report(finding("positive", LOWER), finding("negative", UPPER, row=2)))
    assert rules(database) == ["positive"]


def test_a_stated_station_is_not_weighed_against_the_map_of_its_system(database):
    add_study(database, 1, LOWER, station_candidates=[candidate(UPPER, 1.0)])
    add_report(database, report(finding("positive", LOWER), finding("negative", UPPER, row=2)))
    assert rules(database) == ["positive"]


def test_the_map_of_another_system_joins_pathology_of_that_system(database):
    add_study(database, 1, LOWER, station_candidates=[candidate(TRACHEA, 1.0)])
    add_report(database, report(finding("negative", TRACHEA)))
    assert rules(database) == ["negative"]


def test_a_candidate_that_no_table_names_is_absent(database):
    unheard = {"system": "JES11", "code": "999", "overlap": 0.5}
    add_study(database, 1, None, station_candidates=[unheard])
    add_report(database, report(finding("negative", CARINA)))
    assert rules(database) == ["absent"]


def add_crosswalk(database: Database, relation: str, name: str = "test") -> None:
    with database.begin() as session:
        ids = studies.station_ids(session, [LOWER, TRACHEA])
        row = {"name": name, "relation": relation, "source": "a test"}
        row |= {"from_station_id": ids[LOWER], "to_station_id": ids[TRACHEA]}
        session.execute(insert(schema.StationCrosswalk), [row])


def test_a_crosswalk_is_used_only_by_name(database):
    add_study(database, 1, LOWER)
    add_report(database, report(finding("positive", TRACHEA)))
    add_crosswalk(database, "narrower")
    assert rules(database) == ["absent"]
    assert rules(database, crosswalk="test") == ["crosswalk_narrower"]
    assert rules(database, crosswalk="other") == ["absent"]


def test_the_days_to_surgery_are_the_callers(database):
    add_study(database, 1, LOWER)  # CT on 2026-01-31
    add_report(database, report(finding("positive", LOWER), surgery_date="2026-02-28"))
    with database.read() as session:
        (usual,) = statuses(session).values()
        (strict,) = statuses(session, max_days=27).values()
    assert (usual.excluded, strict.excluded) == ((), ("P09",))


def test_ten_thousand_nodes_take_three_statements(sqlite_database):
    database = sqlite_database
    stations = [StationKey("AJCC8", "2017-ESO", str(code)) for code in range(20)]
    for number in range(1, 51):
        add_study(database, number, *(stations * 10))
        lines = [finding("positive", key, row=row) for row, key in enumerate(stations, 1)]
        add_report(database, report(*lines, of=number))
    asked = []
    with database.read() as session:
        session.execute(select(1))
        listen = session.get_bind()
        event.listen(listen, "before_cursor_execute", lambda *a: asked.append(a[2]))
        found = statuses(session)
    assert len(found) == 10_000
    assert len(asked) == 3  # stations, nodes, findings


def test_nodes_come_in_the_order_of_their_ids(database):
    add_study(database, 1, LOWER, CARINA)
    with database.read() as session:
        found = list(placed_nodes(session, study_uid="1.2.1"))
    assert [one.station for one in found] == [LOWER, CARINA]
    assert found[0].id < found[1].id
