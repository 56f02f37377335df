"""`lnscore nightly`: ingest what has arrived, score what is pending, report; one lock.

Each part stands on its own: a killed night is repeated by the next one, and an engine that
cannot be used stops neither ingest nor report.
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
    """What one night did (see `summary.Summary`).

    Attributes:
        ingested: What was read.
        scored: What was scored, or why the engine cannot be used.
        reported: What was written.
    """

    ingested: IngestSummary
    scored: ScoringSummary | EngineError
    reported: ReportSummary

    @property
    def exit_code(self) -> int:
        """4 where the engine cannot be used; else the worst of the parts: 3 or 0."""
        if isinstance(self.scored, EngineError):
            return EXIT_ENGINE
        return max(self.ingested.exit_code, self.scored.exit_code, self.reported.exit_code)

    def lines(self) -> list[str]:
        """One line that sums the night up, then whatever needs a look."""
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
        """The same for `--json`."""
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
    """Do a night's work.

    Args:
        inbox: Folder that new scans arrive in; nothing in it is changed.
        out: Folder of the report.
        settings: Where everything else is.
        engine: The engine to score with.

    Raises:
        Refusal: The inbox is not there, or the report cannot be written.
        DatabaseError: The database cannot be used, or another run holds it.
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
