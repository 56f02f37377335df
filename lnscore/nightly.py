"""`lnscore nightly`: ingest new scans, score pending nodes and write the report, under one lock.

The next night repeats what a killed night has not done. An engine that cannot be used stops
neither the ingest nor the report.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.lock import writer_lock
from db.session import Database, open_database
from engines.errors import EngineError
from lnscore.dicom.sources import find
from lnscore.errors import EXIT_ENGINE
from lnscore.ingest.driver import ingest
from lnscore.ingest.job import limits
from lnscore.ingest.options import IngestOptions
from lnscore.ingest.summary import IngestSummary
from lnscore.report import job as report_job
from lnscore.report.summary import ReportSummary
from lnscore.scoring import job as scoring
from lnscore.scoring.options import ANY_ENGINE, EngineOptions
from lnscore.scoring.summary import ScoringSummary
from lnscore.settings import Settings
from lnscore.workers import Workers


@dataclass(frozen=True)
class NightlySummary:
    """The summary of one night (see `lnscore.summary.Summary`).

    Attributes:
        ingested: Summary of the ingest.
        scored: Summary of the scoring, or why the engine cannot be used.
        reported: Summary of the report.
    """

    ingested: IngestSummary
    scored: ScoringSummary | EngineError
    reported: ReportSummary

    @property
    def exit_code(self) -> int:
        """4 if the engine cannot be used; else 3 if a part of the work has exit code 3; else 0."""
        if isinstance(self.scored, EngineError):
            return EXIT_ENGINE
        return max(self.ingested.exit_code, self.scored.exit_code, self.reported.exit_code)

    def lines(self) -> list[str]:
        """Return one line that sums up the night, then everything that needs attention."""
        scored = self.scored
        unusable = [f"not scored: {scored}"] if isinstance(scored, EngineError) else []
        notes = [] if isinstance(scored, EngineError) else scored.lines()[1:]
        return [self._sum(), *self.ingested.lines()[1:], *unusable, *notes]

    def _sum(self) -> str:
        ingested, scored = self.ingested, self.scored
        refused = len(ingested.refused)
        nodes = 0
        if isinstance(scored, ScoringSummary):
            refused, nodes = refused + len(scored.refused), scored.nodes
        return (
            f"nightly: {ingested.studies} studies seen, {ingested.nodes} nodes added, {nodes} "
            f"scored, {refused} refused; report {self.reported.page}; exit {self.exit_code}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        scored = self.scored
        return {
            "ingest": self.ingested.as_dict(),
            "score": {"error": str(scored), "exit_code": EXIT_ENGINE}
            if isinstance(scored, EngineError)
            else scored.as_dict(),
            "report": self.reported.as_dict(),
            "exit_code": self.exit_code,
        }


def run(
    inbox: Path,
    out: Path,
    settings: Settings,
    engine: EngineOptions = ANY_ENGINE,
) -> NightlySummary:
    """Ingest new scans, score pending nodes and write the report.

    Args:
        inbox: Folder that new scans arrive in; nothing in it is changed.
        out: Folder of the report.
        settings: Settings with the paths of the database, the patch store and the engines.
        engine: Engine to score with.

    Raises:
        Refusal: The inbox does not exist, or the report cannot be written.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    found = find([inbox])
    with writer_lock(settings.db), open_database(settings.db, create=True) as database:
        with Workers(limits(settings)) as workers:
            ingested = ingest(database, found, settings, IngestOptions(), workers)
        scored = _score(database, settings, engine)
        return NightlySummary(ingested, scored, report_job.run(settings, out))


def _score(
    database: Database, settings: Settings, engine: EngineOptions
) -> ScoringSummary | EngineError:
    try:
        ready = scoring.ready_engine(settings, engine)
        return scoring.score(database, settings, scoring.PENDING, ready)
    except EngineError as error:
        return error
