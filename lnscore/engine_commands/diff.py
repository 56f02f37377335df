"""`lnscore engine diff`: list the nodes that two engines call differently, from stored scores."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from db import reading, score_pairs
from db.score_pairs import ScorePair, ScoringEngine
from db.session import open_database
from engines.errors import EngineError
from lnscore import output_files
from lnscore.errors import EXIT_DONE, Refusal
from lnscore.settings import Settings
from lnscore.short_names import engine_key, folder_name
from lnscore.spreadsheet import ENCODING, sheet
from lnscore.summary import ShownTable

SHOWN = 20
COLUMNS = (
    "operating_point",
    "study",
    "node",
    "station",
    "short_axis_mm",
    "first_engine",
    "first_probability",
    "first_call",
    "second_engine",
    "second_probability",
    "second_call",
    "study_uid",
    "tracking_uid",
)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A node that one engine calls positive and the other negative at an operating point.

    Attributes:
        point: Name of the operating point.
        study_uid: StudyInstanceUID of the node's study.
        tracking_uid: Tracking UID of the node.
        station: Station of the node as text.
        short_axis_mm: Short axis of the node; None for a point.
        first: Raw probability by the first engine.
        second: Raw probability by the second engine.
        first_call: Call by the first engine: 1 positive, 0 negative.
        second_call: Call by the second engine: 1 positive, 0 negative.
    """

    point: str
    study_uid: str
    tracking_uid: str
    station: str
    short_axis_mm: float | None
    first: float
    second: float
    first_call: int
    second_call: int


@dataclass(frozen=True)
class PointCount:
    """Number of nodes whose call changes at one operating point, in both directions."""

    name: str
    nodes: int
    up: int
    """Negative by the first engine, positive by the second."""
    down: int
    """Positive by the first engine, negative by the second."""


@dataclass(frozen=True, kw_only=True)
class EngineDifference:
    """Differences between the stored scores of two engines.

    Attributes:
        first: Name of the first engine. If both have the same name, back end and precision or
            the key are added.
        second: Name of the second engine, in the same form.
        both: Number of nodes that both engines have scored.
        only_first: Number of nodes that only the first engine has scored.
        only_second: Number of nodes that only the second engine has scored.
        points: Counts at every operating point that both engines have.
        flips: Nodes whose call changes, by operating point, largest change of probability first.
        notes: Notes for the user, in sentences.
    """

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    points: tuple[PointCount, ...]
    flips: tuple[Flip, ...]
    notes: tuple[str, ...]

    exit_code = EXIT_DONE

    def lines(self) -> list[str | ShownTable]:
        """Return the tables of the nodes, then counts and notes."""
        counts = [
            f"{one.name}: {one.up + one.down} of {one.nodes} calls flip; {one.up} from negative to "
            f"positive, {one.down} from positive to negative"
            for one in self.points
        ]
        head = f"{self.first} to {self.second}: {self.both} nodes"
        return [*_tables(self), head, *counts, *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """Return the differences for `--json`."""
        return asdict(self)


def run(
    settings: Settings, first: str, second: str, study: str | None, out: Path | None
) -> EngineDifference:
    """Compare the stored scores of two engines; nothing is scored.

    Args:
        settings: Settings with the path of the database.
        first: Name of one engine, or its key in a report.
        second: Name or key of the other engine.
        study: StudyInstanceUID of the only study to compare; None for all studies.
        out: CSV file to write; None writes none.

    Raises:
        EngineError: E22 no engine of that name has scored here, or several have.
        Refusal: U04 there is no such study; U05 one engine is named twice; R02 the file cannot
            be written.
    """
    with open_database(settings.db) as database, database.read() as session:
        known = score_pairs.engines(session)
        ours, theirs = _named(first, known), _named(second, known)
        _check(ours, theirs, study, None if study is None else reading.study_uids(session))
        found = compare(ours, theirs, score_pairs.pairs(session, ours.id, theirs.id, study))
    if out is not None:
        write(out, found)
    return found


def compare(
    first: ScoringEngine, second: ScoringEngine, pairs: Sequence[ScorePair]
) -> EngineDifference:
    """Return the differences between two engines, from pairs of stored scores of the same node."""
    both = [pair for pair in pairs if pair.first is not None and pair.second is not None]
    mine, other = _points(first), _points(second)
    shared = [name for name in mine if name in other]
    flips = [flip for name in shared for pair in both if (flip := _flip(name, pair)) is not None]
    only_first = sum(pair.second is None for pair in pairs)
    only_second = sum(pair.first is None for pair in pairs)
    mine_is, other_is = _told_apart(first, second)
    return EngineDifference(
        first=mine_is,
        second=other_is,
        both=len(both),
        only_first=only_first,
        only_second=only_second,
        points=tuple(_count(name, len(both), flips) for name in shared),
        flips=tuple(sorted(flips, key=lambda one: (one.point, -abs(one.second - one.first)))),
        notes=tuple(_notes(first, second, (only_first, only_second), mine, other)),
    )


def write(out: Path, found: EngineDifference) -> None:
    """Write the nodes whose call changes as a CSV table for spreadsheets."""
    with output_files.replacing(out, ENCODING) as file:
        add = sheet(file, COLUMNS)
        for one in found.flips:
            add(
                [
                    *(one.point, folder_name(one.study_uid), one.tracking_uid[-8:], one.station),
                    None if one.short_axis_mm is None else round(one.short_axis_mm, 2),
                    *(found.first, round(one.first, 6), one.first_call),
                    *(found.second, round(one.second, 6), one.second_call),
                    *(one.study_uid, one.tracking_uid),
                ]
            )


def _tables(found: EngineDifference) -> list[ShownTable]:
    """Return a table of the nodes whose probability changes most, for each operating point."""
    head = ["study", "node", "station", "short axis", found.first, found.second, "change"]
    tables = []
    for point in found.points:
        mine = [one for one in found.flips if one.point == point.name]
        if mine:
            title = f"{point.name}, the largest {SHOWN}" if len(mine) > SHOWN else point.name
            tables.append(ShownTable(title, head, [_cells(one) for one in mine[:SHOWN]]))
    return tables


def _named(name: str, known: Iterable[ScoringEngine]) -> ScoringEngine:
    mine = [row for row in known if row.scores and name in (row.name, _key(row))]
    if len(mine) == 1:
        return mine[0]
    if not mine:
        scored = ", ".join(sorted({row.name for row in known if row.scores})) or "none has"
        raise EngineError(
            "E22",
            f"no score by an engine '{name}' in this database",
            f"an engine that has scored: {scored}",
            f"Score with it first: lnscore score --pending --engine {name}",
        )
    keys = ", ".join(f"{_key(row)} ({_kind(row)})" for row in mine)
    raise EngineError(
        "E22",
        f"{len(mine)} engines named '{name}' have scored",
        f"the key of one: {keys}",
        "Name it by its key.",
    )


def _key(row: ScoringEngine) -> str:
    """Return the key of an engine as reports show it."""
    parts = (row.weights_sha256, row.config_hash, row.spec_hash, row.backend, row.precision)
    return engine_key(*parts)


def _told_apart(first: ScoringEngine, second: ScoringEngine) -> tuple[str, str]:
    """Return names that distinguish the engines, with back end and precision or key if needed."""
    if first.name != second.name:
        return first.name, second.name
    if _kind(first) != _kind(second):
        return f"{first.name} ({_kind(first)})", f"{second.name} ({_kind(second)})"
    return f"{first.name} ({_key(first)})", f"{second.name} ({_key(second)})"


def _kind(row: ScoringEngine) -> str:
    return f"{row.backend} {row.precision}"


def _check(
    first: ScoringEngine, second: ScoringEngine, study: str | None, uids: Sequence[str] | None
) -> None:
    if first.id == second.id:
        raise Refusal("U05", f"'{first.name}' twice", "two engines", "Name two engines.")
    if study is not None and study not in (uids or ()):
        raise Refusal(
            "U04",
            f"no study {study}",
            "the StudyInstanceUID of a study that was ingested",
            "Correct --study or --db.",
        )


def _points(row: ScoringEngine) -> list[str]:
    return [point["name"] for point in row.manifest.get("operating_points") or []]


def _flip(name: str, pair: ScorePair) -> Flip | None:
    ours, theirs = (pair.first_calls or {}).get(name), (pair.second_calls or {}).get(name)
    if ours is None or theirs is None or ours == theirs:
        return None
    if pair.first is None or pair.second is None:
        return None
    return Flip(
        point=name,
        study_uid=pair.study_uid,
        tracking_uid=pair.tracking_uid,
        station=pair.station,
        short_axis_mm=pair.short_axis_mm,
        first=pair.first,
        second=pair.second,
        first_call=ours,
        second_call=theirs,
    )


def _count(name: str, nodes: int, flips: Sequence[Flip]) -> PointCount:
    mine = [one for one in flips if one.point == name]
    up = sum(one.second_call for one in mine)
    return PointCount(name, nodes, up, len(mine) - up)


def _notes(
    first: ScoringEngine,
    second: ScoringEngine,
    only: tuple[int, int],
    mine: Sequence[str],
    other: Sequence[str],
) -> list[str]:
    mine_is, other_is = _told_apart(first, second)
    notes = [
        f"{count} nodes have no score by {name}: lnscore score --pending {_options(row, name)}"
        for count, name, row in ((only[0], other_is, second), (only[1], mine_is, first))
        if count
    ]
    if not set(mine) & set(other):
        notes.append(
            f"no operating point in common ({mine_is}: {', '.join(mine) or 'none'}; "
            f"{other_is}: {', '.join(other) or 'none'}), so no call can be compared"
        )
    return notes


def _options(row: ScoringEngine, told: str) -> str:
    """Return the options that select an engine; its name alone if the two names differ."""
    more = "" if told == row.name else f" --backend {row.backend} --precision {row.precision}"
    return f"--engine {row.name}{more}"


def _cells(one: Flip) -> list[str]:
    axis = "" if one.short_axis_mm is None else f"{one.short_axis_mm:.1f} mm"
    change = "to positive" if one.second_call else "to negative"
    values = [f"{one.first:.3f}", f"{one.second:.3f}", change]
    return [folder_name(one.study_uid), f"…{one.tracking_uid[-8:]}", one.station, axis, *values]
