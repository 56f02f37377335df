"""`lnscore score`: score nodes of the database with one engine and store the scores.

The engine is loaded once and gets full batches, which can hold nodes of several studies. The
scores of a study are stored in one transaction soon after its last node is scored; after a
killed run the user repeats the command, and it goes on there. Neither labels nor pathology are
read.
"""

import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from db import audit, quarantine, reading, runs, scores
from db import engines as engine_rows
from db.lock import writer_lock
from db.patchstore import PatchStore
from db.scores import NodeToScore
from db.session import Database, open_database
from engines import load, parity
from engines.errors import EngineError
from engines.protocol import Engine
from engines.scores import Scores
from lnscore import console
from lnscore.errors import EXIT_ENGINE, Refusal
from lnscore.scoring.batches import PatchBatch, read_batches
from lnscore.scoring.engine_choice import choose, engine_record
from lnscore.scoring.options import ANY_ENGINE, EngineOptions
from lnscore.scoring.storing import ScoreStorage
from lnscore.scoring.summary import ScoringSummary
from lnscore.settings import Settings, actor
from lnscore.version import version


@dataclass(frozen=True)
class Selection:
    """The nodes to score.

    Attributes:
        study_uids: UIDs of the studies to score; empty for all studies.
        again: Whether to score nodes again that this engine has scored already. Their stored
            scores are compared with the new ones, not replaced.
    """

    study_uids: tuple[str, ...] = ()
    again: bool = False


PENDING = Selection()
BATCHES_AT_ONCE = 2


@dataclass(frozen=True)
class VerifiedEngine:
    """An engine that has just reproduced its golden outputs, and why it was chosen."""

    engine: Engine
    reason: str


def run(
    settings: Settings,
    wanted: Selection,
    engine: EngineOptions = ANY_ENGINE,
) -> ScoringSummary:
    """Score nodes under the lock of the database.

    Args:
        settings: Settings with the paths of the database, the patch store and the engines.
        wanted: Nodes to score.
        engine: Engine to score with.

    Returns:
        A summary of what was scored and what was not.

    Raises:
        EngineError: The engine cannot be used.
        Refusal: U04, there is no study with that UID.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    with writer_lock(settings.db, create=False), closing(open_database(settings.db)) as database:
        _refuse_unknown(database, wanted.study_uids)
        ready = ready_engine(settings, engine)
        return score(database, settings, wanted, ready)


def ready_engine(settings: Settings, engine: EngineOptions) -> VerifiedEngine:
    """Choose and load an engine, and check that it reproduces its golden outputs.

    Raises:
        EngineError: The engine cannot be used; E09, it differs from its golden outputs.
    """
    chosen = choose(engine.engine, settings.engine_home)
    loaded = load.load(chosen.bundle, engine.backend, engine.precision)
    parity.gate(chosen.bundle, loaded)
    return VerifiedEngine(loaded, f"{chosen.why}; {loaded.reason}")


def score(
    database: Database, settings: Settings, wanted: Selection, ready: VerifiedEngine
) -> ScoringSummary:
    """Score the wanted nodes; the caller holds the lock.

    Raises:
        EngineError: E15, an output of the engine is not a probability; the complete studies
            that it scored before are stored.
    """
    loaded = ready.engine
    console.note(f"engine {loaded.bundle.name} on {loaded.backend}, {loaded.precision}")
    storing, nodes = _begin(database, wanted, ready)
    summary, started_s = storing.summary, time.monotonic()
    try:
        _score_all(nodes, PatchStore(settings.store_root), ready.engine, storing)
    except EngineError:
        storing.store()
        _end(database, storing, EXIT_ENGINE)
        raise
    storing.store()
    summary.duration_s = time.monotonic() - started_s
    _end(database, storing, summary.exit_code)
    return summary


def _score_all(
    nodes: Sequence[NodeToScore], store: PatchStore, engine: Engine, storing: ScoreStorage
) -> None:
    with console.progress("scoring", "nodes") as advance:
        done = 0
        for batch, given in _scored(engine, read_batches(nodes, store, engine.batch_nodes)):
            storing.take(batch, given)
            done += len(batch.nodes) + len(batch.refused)
            advance(done, len(nodes))


def _end(database: Database, storing: ScoreStorage, exit_code: int) -> None:
    with database.begin() as session:
        runs.finish(session, storing.run_id, exit_code, storing.summary.counts())


def _scored(engine: Engine, batches: Iterator[PatchBatch]) -> Iterator[tuple[PatchBatch, Scores]]:
    """Score batches in their order, two at a time, so that the engine never waits for storing."""
    running: deque[tuple[PatchBatch, Future[Scores]]] = deque()
    with ThreadPoolExecutor(max_workers=BATCHES_AT_ONCE, thread_name_prefix="engine") as pool:
        for batch in batches:
            running.append((batch, pool.submit(engine.score, batch.patches)))
            if len(running) > BATCHES_AT_ONCE:
                first, given = running.popleft()
                yield first, given.result()
        for batch, given in running:
            yield batch, given.result()


def _refuse_unknown(database: Database, study_uids: Sequence[str]) -> None:
    with database.read() as session:
        unknown = set(study_uids) - set(reading.study_uids(session)) if study_uids else set()
    if unknown:
        raise Refusal(
            "U04",
            f"no study {', '.join(sorted(unknown))} in {database.location}",
            "the StudyInstanceUID of a study that was ingested",
            "Ingest it first, or correct --study or --db.",
        )


def _begin(
    database: Database, wanted: Selection, ready: VerifiedEngine
) -> tuple[ScoreStorage, list[NodeToScore]]:
    """Store the start of the run; return its score storage and the nodes to score."""
    manifest = ready.engine.bundle.manifest
    uids = wanted.study_uids or None
    with database.begin() as session:
        engine_id = engine_rows.register(session, engine_record(ready.engine))
        argv = sys.argv[1:]
        run_id = runs.start(
            session, "score", argv, version(), engine_id=engine_id, engine_reason=ready.reason
        )
        nodes = scores.to_score(session, engine_id, uids, again=wanted.again)
        details = {"engine": manifest.name, "weights": manifest.weights_sha256, "nodes": len(nodes)}
        audit.record(session, actor(), "score", f"run {run_id}", details)
        usable = {node.study_uid for node in scores.to_score(session, None, uids)} if uids else ()
        refused = {row.sha256 for row in quarantine.unresolved(session)}
    summary = ScoringSummary(
        engine=manifest.name,
        reason=ready.reason,
        trained=manifest.trained,
        phantom=manifest.phantom,
    )
    summary.without_nodes = sorted(set(wanted.study_uids) - set(usable))
    missing = Counter(node.study_id for node in nodes)
    storing = ScoreStorage(
        database=database,
        run_id=run_id,
        engine_id=engine_id,
        manifest=manifest,
        summary=summary,
        again=wanted.again,
        missing=missing,
        refused_before=refused,
    )
    return storing, nodes
