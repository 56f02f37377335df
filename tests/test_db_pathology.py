"""Pathology reports: findings with their stations, versions that replace each other."""

from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from db import pathology
from db.pathology import FindingRecord, ReportRecord
from db.records import StationKey
from db.schema import FindingRow, FindingStation, PathologyReport, StationRow

pytest_plugins = ["db_fixtures"]

UPPER, LOWER, CARINA = (StationKey("AJCC8", "2017-ESO", code) for code in ("2R", "4R", "7"))
REPORT = ReportRecord(
    patient_key="key",
    report_id="R1",
    report_date="2026-02-01",
    surgery_date="2026-01-20",
    neoadjuvant="none",
    source_sha256="a" * 64,
    findings=(
        FindingRecord(
            stations=(UPPER, LOWER), status="positive", source_row=1, n_examined=7, n_positive=2
        ),
        FindingRecord(stations=(CARINA,), status="not_sampled", source_row=2),
    ),
)


def _add(database, record: ReportRecord) -> int:
    with database.begin() as session:
        return pathology.add_report(session, record)


def _stations_of_findings(database) -> list[tuple[str, int | None, str]]:
    query = (
        select(FindingRow.status, FindingRow.n_positive, StationRow.code)
        .join(FindingStation, FindingStation.finding_id == FindingRow.id)
        .join(StationRow, StationRow.id == FindingStation.station_id)
        .order_by(FindingRow.source_row, StationRow.code)
    )
    with database.read() as session:
        return [tuple(row) for row in session.execute(query)]


def test_a_merged_specimen_is_one_finding_about_two_stations(database):
    _add(database, REPORT)
    assert _stations_of_findings(database) == [
        ("positive", 2, "2R"), ("positive", 2, "4R"), ("not_sampled", None, "7"),
    ]  # fmt: skip


def test_the_same_report_again_adds_nothing(database):
    assert _add(database, REPORT) == _add(database, REPORT)
    assert len(_stations_of_findings(database)) == 3


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_latest_report_date_counts_whichever_came_first(database, newest_first):
    later = replace(REPORT, report_date="2026-03-01", source_sha256="b" * 64)
    for record in (later, REPORT) if newest_first else (REPORT, later):
        _add(database, record)
    with database.read() as session:
        reports = {row.report_date: row for row in session.scalars(select(PathologyReport))}
        assert reports["2026-03-01"].superseded_by_id is None
        assert reports["2026-02-01"].superseded_by_id == reports["2026-03-01"].id


def test_reports_of_two_patients_do_not_replace_each_other(database):
    _add(database, REPORT)
    _add(database, replace(REPORT, patient_key="other"))
    with database.read() as session:
        assert session.scalars(select(PathologyReport.superseded_by_id)).all() == [None, None]


def test_more_positive_than_examined_is_refused_and_leaves_nothing(database):
    wrong = replace(
        REPORT,
        findings=(
            FindingRecord(
                stations=(CARINA,), status="positive", source_row=1, n_examined=2, n_positive=3
            ),
        ),
    )
    with pytest.raises(IntegrityError, match="counts_ordered"):
        _add(database, wrong)
    with database.read() as session:
        assert session.scalars(select(PathologyReport)).all() == []


def test_a_finding_without_a_station_is_refused(database):
    wrong = replace(
        REPORT,
        findings=(
            FindingRecord(stations=(), status="positive", source_row=1, n_examined=2, n_positive=1),
        ),
    )
    with pytest.raises(ValueError, match="a finding of report R1 names no station"):
        _add(database, wrong)


def _reports(database) -> list[tuple[str, str, bool]]:
    query = select(PathologyReport).order_by(PathologyReport.id)
    with database.read() as session:
        rows = session.scalars(query).all()
        return [(r.source_sha256[0], r.report_date, r.superseded_by_id is not None) for r in rows]


def test_an_unchanged_report_of_another_file_adds_nothing(database):
    moved = tuple(replace(one, source_row=one.source_row + 5) for one in REPORT.findings)
    again = replace(REPORT, source_sha256="b" * 64, findings=moved)
    assert _add(database, REPORT) == _add(database, again)
    assert _reports(database) == [("a", "2026-02-01", False)]


def test_the_same_file_read_otherwise_is_a_new_version(database):
    _add(database, REPORT)
    _add(database, replace(REPORT, findings=REPORT.findings[:1]))
    assert _reports(database) == [("a", "2026-02-01", True), ("a", "2026-02-01", False)]


def test_an_old_file_again_does_not_win_over_what_replaced_it(database):
    changed = replace(REPORT, findings=REPORT.findings[:1], source_sha256="b" * 64)
    for record in (REPORT, changed):
        _add(database, record)
    with database.begin() as session:
        added = pathology.add_reports(session, [REPORT])
    assert (added.new, added.changed, added.same, added.outdated) == (0, 0, 1, 1)
    assert _reports(database) == [("a", "2026-02-01", True), ("b", "2026-02-01", False)]


def test_many_reports_are_added_in_several_steps_with_their_own_findings(database, monkeypatch):
    monkeypatch.setattr(pathology, "AT_ONCE", 2)
    codes = ["2R", "4R", "7", "8U", "8M"]
    records = [
        replace(
            REPORT,
            patient_key=code,
            findings=(
                FindingRecord(
                    stations=(StationKey("AJCC8", "2017-ESO", code),),
                    status="negative",
                    source_row=1,
                    n_examined=2,
                    n_positive=0,
                ),
            ),
        )
        for code in codes
    ]
    with database.begin() as session:
        added = pathology.add_reports(session, iter(records))
    query = (
        select(PathologyReport.patient_key, StationRow.code)
        .join(FindingRow, FindingRow.report_id == PathologyReport.id)
        .join(FindingStation, FindingStation.finding_id == FindingRow.id)
        .join(StationRow, StationRow.id == FindingStation.station_id)
    )
    with database.read() as session:
        assert sorted(tuple(row) for row in session.execute(query)) == [
            (code, code) for code in sorted(codes)
        ]
    assert (added.new, added.findings) == (5, 5)
