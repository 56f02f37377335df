"""Rows of the report's tables: nodes by engine, studies, and problems.

The files are UTF-8 with a byte-order mark, commas and CRLF (RFC 4180), which spreadsheets open
without asking. A text cell that a spreadsheet would run as a formula gets an apostrophe in
front; numbers never do.
"""

from collections.abc import Iterable, Iterator

from lnscore.report.facts import EngineFacts, NodeFacts, Problem, ScoreFacts, StudyFacts
from lnscore.spreadsheet import Cell

NODE_COLUMNS = (
    "patient",
    "study",
    "study_date",
    "node",
    "label",
    "station_system",
    "station_version",
    "station_code",
    "station_meaning",
    "station_source",
    "short_axis_mm",
    "long_axis_mm",
    "volume_mm3",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "engine",
    "engine_key",
    "backend",
    "precision",
    "trained",
    "trained_on_phantoms",
    "probability",
    "calibrated_probability",
    "local_probability",
    "global_probability",
    "calls",
    "scored_at",
    "padded_fraction",
    "flags",
    "study_uid",
    "series_uid",
    "tracking_uid",
    "patch_sha256",
)
STUDY_COLUMNS = (
    "patient",
    "study",
    "study_date",
    "status",
    "nodes",
    "scored",
    "highest_probability",
    "positive",
    "engine",
    "engine_key",
    "trained",
    "trained_on_phantoms",
    "problems",
    "codes",
    "study_uid",
)
PROBLEM_COLUMNS = (
    "patient",
    "study",
    "state",
    "scope",
    "code",
    "found",
    "wanted",
    "fix",
    "last_seen",
    "tries",
    "study_uid",
    "series_uid",
    "sha256",
)


def node_rows(study: StudyFacts) -> Iterator[list[Cell]]:
    """Yield one row for every node and engine; a node without a score has one row."""
    engines = {engine.key: engine for engine in study.engines}
    for node in study.nodes:
        for score in node.scores or [None]:
            engine = engines[score.engine] if score else None
            yield [
                *(study.patient, study.study, study.study_date),
                *_node_cells(node),
                *_engine_cells(engine),
                *_score_cells(score),
                *(round(node.padded_fraction, 4), " ".join(flag.code for flag in node.flags)),
                *(study.study_uid, node.series_uid, node.tracking_uid, node.patch_sha256),
            ]


def study_row(study: StudyFacts) -> list[Cell]:
    """Return the row of a study: the newest engine's results, and the problems."""
    engine = study.engines[0] if study.engines else None
    newest = [node.scores[0] for node in study.nodes if node.scores]
    newest = [score for score in newest if engine and score.engine == engine.key]
    highest = max((score.probability for score in newest), default=None)
    return [
        *(study.patient, study.study, study.study_date, study.status),
        *(len(study.nodes), len(newest), _six(highest)),
        " ".join(f"{name}={count}" for name, count in positives(newest).items()),
        *((engine.name, engine.key, *training(engine)) if engine else [None] * 4),
        len(study.problems),
        " ".join(sorted({problem.code for problem in study.problems})),
        study.study_uid,
    ]


def problem_row(problem: Problem, patient: str | None, study: str | None) -> list[Cell]:
    """Return the row of one thing that was refused or waits."""
    return [
        *(patient, study, problem.state, problem.scope),
        *(problem.code, problem.found, problem.wanted, problem.fix),
        *(problem.last_seen, problem.tries),
        *(problem.study_uid, problem.series_uid, problem.sha256),
    ]


def positives(scores: Iterable[ScoreFacts]) -> dict[str, int]:
    """Count the nodes that are called positive at each operating point."""
    counts: dict[str, int] = {}
    for score in scores:
        for name, positive in score.calls.items():
            counts[name] = counts.get(name, 0) + positive
    return dict(sorted(counts.items()))


def _node_cells(node: NodeFacts) -> list[Cell]:
    station = node.station
    named: list[Cell] = [None] * 4
    if station is not None:
        named = [station.system, station.version, station.code, station.meaning]
    sizes = (node.short_axis_mm, node.long_axis_mm, node.volume_mm3, *node.centroid_mm)
    rounded = [None if value is None else round(value, 2) for value in sizes]
    return [node.number, node.label, *named, node.station_source, *rounded]


def _engine_cells(engine: EngineFacts | None) -> list[Cell]:
    if engine is None:
        return [None] * 6
    return [engine.name, engine.key, engine.backend, engine.precision, *training(engine)]


def training(engine: EngineFacts) -> list[Cell]:
    """Return the cells that tell whether the engine is trained, and whether on phantoms."""
    return [int(engine.trained), int(engine.phantom)]


def _score_cells(score: ScoreFacts | None) -> list[Cell]:
    if score is None:
        return [None] * 6
    return [
        _six(score.probability),
        _six(score.calibrated_probability),
        _six(score.local_probability),
        _six(score.global_probability),
        " ".join(f"{name}={int(positive)}" for name, positive in score.calls.items()),
        score.scored_at,
    ]


def _six(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)
