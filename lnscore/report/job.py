"""`lnscore report`: write the tables, a folder for every study, and the index.

Only one study is in memory at a time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from db import quarantine, reading
from db.errors import DatabaseError
from db.patchstore import PatchStore
from db.schema import Quarantine
from db.session import Session, SQLAlchemyError, open_database
from lnscore import console, output_files, spreadsheet
from lnscore.errors import Refusal
from lnscore.pathology import joining
from lnscore.pathology.joining import KnownStations
from lnscore.report import pages, station_table
from lnscore.report import study as study_pages
from lnscore.report import tables as report_tables
from lnscore.report.collecting import problem
from lnscore.report.facts import Problem, StudyFacts
from lnscore.report.summary import ReportSummary
from lnscore.settings import Settings
from lnscore.short_names import folder_name

INDEX = "index.html"
ALL, ONE = "all", "one"
"""Content key of an index: whether it covers all studies or one."""


@dataclass(frozen=True)
class _Source:
    """Where the studies are read from, and where their folders are written."""

    session: Session
    store: PatchStore
    out: Path
    refused: Sequence[Quarantine]
    stations: KnownStations


@dataclass
class _ReportTotals:
    """Data for the index and the list of problems, collected from the finished studies.

    Attributes:
        rows: Rows of the index.
        problems: Problems of all studies.
        patients: StudyInstanceUID to the pseudonym of its patient.
    """

    rows: list[pages.IndexRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    patients: dict[str, str] = field(default_factory=dict)


def run(settings: Settings, out: Path, study: str | None = None) -> ReportSummary:
    """Write the report of all studies, or of one.

    Pages that are current are not written again, so the report can be repeated every night. If
    one study is reported into a folder that holds all studies, only its own page is renewed.

    Args:
        settings: Settings with the paths of the database and the patch store.
        out: Folder of the report; it is made if it is missing.
        study: StudyInstanceUID of the only study to report; None for all studies.

    Raises:
        Refusal: R01, there is no such study; R02, a file cannot be written.
        DatabaseError: The database cannot be used.
    """
    out = out.absolute()
    with closing(open_database(settings.db)) as database, database.read() as session:
        refused = quarantine.unresolved(session, study)
        uids = _wanted(session, study, is_refused=bool(refused))
        store, known = PatchStore(settings.store_root), joining.known_stations(session)
        source = _Source(session, store, out, refused, known)
        summary, totals = ReportSummary(page=out / INDEX), _ReportTotals()
        if study is not None and study_pages.content_key(out / INDEX) == ALL:
            summary.tables_kept = True
            for facts in _studies(source, uids, summary, totals):
                summary.page = study_pages.folder(out, facts.study) / study_pages.PAGE
        else:
            _write_tables(source, uids, summary, totals)
            totals.problems += _of_no_study(refused, totals)
            _write_problems(out, totals)
            page = pages.index_page(totals.rows, totals.problems, ONE if study else ALL)
            output_files.write(out / INDEX, page)
    summary.problems = len(totals.problems)
    return summary


def _wanted(session: Session, study: str | None, is_refused: bool) -> Sequence[str]:
    """Return the UIDs of the studies to report; none if the study was refused as a whole."""
    uids = reading.study_uids(session)
    if study is None:
        return uids
    if study in uids:
        return [study]
    if is_refused:
        return []
    raise Refusal(
        "R01",
        f"no study {study} among the {len(uids)} of this database",
        "the StudyInstanceUID of a study that was ingested",
        "Ingest it, or leave --study out: studies.csv then names every UID.",
    )


def _write_tables(
    source: _Source, uids: Sequence[str], summary: ReportSummary, totals: _ReportTotals
) -> None:
    """Write every study's folder and rows; the tables replace the old ones at the end."""
    with ExitStack() as files:
        tables = [
            files.enter_context(output_files.replacing(source.out / name, spreadsheet.ENCODING))
            for name in ("nodes.csv", "studies.csv", "stations.csv")
        ]
        add_node = spreadsheet.sheet(tables[0], report_tables.NODE_COLUMNS)
        add_study = spreadsheet.sheet(tables[1], report_tables.STUDY_COLUMNS)
        add_station = spreadsheet.sheet(tables[2], station_table.COLUMNS)
        for facts in _studies(source, uids, summary, totals):
            add_study(report_tables.study_row(facts))
            for row in report_tables.node_rows(facts):
                add_node(row)
            for row in station_table.rows(facts):
                add_station(row)


def _studies(
    source: _Source, uids: Sequence[str], summary: ReportSummary, totals: _ReportTotals
) -> Iterator[StudyFacts]:
    """Make the folder of each study; a study that fails does not stop the others."""
    refused = defaultdict(list)
    for row in source.refused:
        refused[row.study_uid].append(row)
    with console.progress("Report", "studies") as advance:
        for done, uid in enumerate(uids, 1):
            made = _make(source, uid, refused[uid])
            if isinstance(made, Problem):
                totals.problems.append(made)
                summary.lacking.append(folder_name(uid))
            else:
                _count(made, summary, totals)
                yield made.facts
            source.session.expunge_all()
            advance(done, len(uids))


def _make(
    source: _Source, study_uid: str, refused: Iterable[Quarantine]
) -> study_pages.StudyReport | Problem:
    try:
        study = reading.study(source.session, study_uid)
        if study is None:
            raise LookupError(study_uid)
        joined = joining.of_study(source.session, study, source.stations)
        return study_pages.make(study, refused, joined, source.store, source.out)
    except (Refusal, DatabaseError, SQLAlchemyError):
        raise  # the fault is in the folder or the database, not in this study
    except Exception as error:  # noqa: BLE001  a faulty study must not stop the report
        return study_pages.unreadable(study_uid, error)


def _count(made: study_pages.StudyReport, summary: ReportSummary, totals: _ReportTotals) -> None:
    facts = made.facts
    row = pages.index_row(facts, f"studies/{facts.study}/{study_pages.PAGE}")
    totals.rows.append(row)
    totals.problems += facts.problems
    totals.patients[facts.study_uid] = facts.patient
    summary.studies += 1
    summary.nodes += row.node_count
    summary.scored += row.scored_count
    summary.pages_written += made.is_new
    summary.pages_current += not made.is_new
    if not made.is_whole:
        summary.lacking.append(facts.study)


def _of_no_study(refused: Iterable[Quarantine], totals: _ReportTotals) -> list[Problem]:
    """Return refusals that belong to no study of the report: files, archives, whole studies."""
    return [problem(row) for row in refused if row.study_uid not in totals.patients]


def _write_problems(out: Path, totals: _ReportTotals) -> None:
    """Write the problems, latest first; those that this report found have no time and lead."""
    totals.problems.sort(key=lambda p: (p.study_uid or "", p.series_uid or "", p.code, p.sha256))
    totals.problems.sort(key=lambda p: p.last_seen or "~", reverse=True)
    with output_files.replacing(out / "problems.csv", spreadsheet.ENCODING) as file:
        add = spreadsheet.sheet(file, report_tables.PROBLEM_COLUMNS)
        for one in totals.problems:
            uid = one.study_uid
            name = None if uid is None else folder_name(uid)
            add(report_tables.problem_row(one, totals.patients.get(uid or ""), name))
