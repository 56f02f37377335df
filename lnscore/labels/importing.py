"""`lnscore labels import`: import readers' labels of nodes, all labels of a file or none."""

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db import audit, labels, node_places, runs
from db.labels import LabelRecord
from db.lock import writer_lock
from db.session import Database, Session, open_database
from lnscore.errors import EXIT_DONE, EXIT_ERROR
from lnscore.labels.checking import StatedForAllRows, check
from lnscore.labels.matching import Match, SeriesIndex, match, twice
from lnscore.labels.options import LabelOptions
from lnscore.labels.table import LabelTable, read_table
from lnscore.settings import Settings, actor
from lnscore.tables.messages import Message
from lnscore.version import version


@dataclass(frozen=True, kw_only=True)
class LabelSummary:
    """The summary of an import of labels.

    Attributes:
        name: Name of the file.
        tolerance_mm: Largest allowed distance from a point to the centroid of its node, in mm.
        matches: Every label with its node; empty if there is an error.
        new: Number of labels that were not in the database.
        messages: Errors; if there is one, nothing is written.
        notes: Notes on how the file was read.
    """

    name: str
    tolerance_mm: float
    matches: tuple[Match, ...] = ()
    new: int = 0
    messages: tuple[Message, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """0, or 1 if there are errors and nothing was written."""
        return EXIT_ERROR if self.messages else EXIT_DONE

    def lines(self) -> list[str]:
        """Return the summary as a few lines of text."""
        if self.messages:
            count = len(self.messages)
            said = f"{self.name}: {count} {'error' if count == 1 else 'errors'}; nothing imported"
            return [*self.notes, *(message.sentence for message in self.messages), said]
        point = [one.distance_mm for one in self.matches if one.distance_mm is not None]
        read = Counter(one.label.reader for one in self.matches)
        by_reader = ", ".join(f"{reader} {count}" for reader, count in sorted(read.items()))
        places = f"{len(self.matches) - len(point)} by tracking UID, {len(point)} by point"
        farthest = f" (at most {max(point):.1f} mm away)" if point else ""
        return [
            *self.notes,
            f"{self.name}: {len(self.matches)} labels ({by_reader}), {self.new} of them new",
            f"nodes found: {places}{farthest}",
            "Next: lnscore labels status",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return {
            "file": self.name,
            "tolerance_mm": self.tolerance_mm,
            "new": self.new,
            "known_before": len(self.matches) - self.new,
            "labels": [_as_dict(one) for one in self.matches],
            "messages": [message.as_dict() for message in self.messages],
            "notes": list(self.notes),
        }


def run(settings: Settings, path: Path, options: LabelOptions) -> LabelSummary:
    """Import a file of labels under the lock of the database.

    Args:
        settings: Settings with the path of the database.
        path: File of labels.
        options: Options of the command line.

    Returns:
        A summary of what was imported, or of all errors.

    Raises:
        Refusal: L06 or P14 to P19, the file cannot be used.
        DatabaseError: The database cannot be used, or another run holds its lock.
    """
    table = read_table(path)
    with writer_lock(settings.db, create=False), closing(open_database(settings.db)) as database:
        matches, messages = _matched(database, table, options)
        ignored = [f"columns not read: {', '.join(table.ignored)}"] if table.ignored else []
        notes = (*(f"{table.name}: {said}" for said in table.notes), *ignored)
        if messages:
            ordered = sorted(messages, key=lambda message: message.row or 0)
            result = LabelSummary(
                name=table.name,
                tolerance_mm=options.tolerance_mm,
                matches=(),
                new=0,
                messages=tuple(ordered),
                notes=notes,
            )
        else:
            new = _store(database, table, matches, options)
            result = LabelSummary(
                name=table.name,
                tolerance_mm=options.tolerance_mm,
                matches=tuple(matches),
                new=new,
                messages=(),
                notes=notes,
            )
    return result


def _matched(
    database: Database, table: LabelTable, options: LabelOptions
) -> tuple[list[Match], list[Message]]:
    """Find the node of every label; return the matches and all errors."""
    with database.read() as session:
        scans = SeriesIndex(node_places.current(session))
        known = labels.readers(session)
        rows, messages = check(table, StatedForAllRows(options.reader, options.coord), known)
        results = [match(row, scans, options.tolerance_mm) for row in rows]
        matches = [result for result in results if isinstance(result, Match)]
        messages += [result for result in results if isinstance(result, Message)]
        messages += twice(matches)
        messages += _said_otherwise(session, matches)
    return matches, messages


def _said_otherwise(session: Session, matches: Iterable[Match]) -> list[Message]:
    before = labels.said_before(session, [one.node.node_id for one in matches])
    messages = []
    for one in matches:
        label, uid = one.label, one.node.tracking_uid
        said = before.get((one.node.node_id, label.reader), label.value)
        if said != label.value:
            text = (
                f"reader '{label.reader}' gave {said} to node {uid} before, now {label.value}; "
                "import a second reading under another reader name"
            )
            messages.append(Message("D18", "E", text, label.row, "value"))
    return messages


def _store(
    database: Database, table: LabelTable, matches: Iterable[Match], options: LabelOptions
) -> int:
    given = [
        LabelRecord(
            one.node.node_id,
            one.label.reader,
            one.label.value,
            f"sha256 {table.sha256}, row {one.label.row}, {one.how}",
        )
        for one in matches
    ]
    with database.begin() as session:
        run_id = runs.start(session, "labels", sys.argv[1:], version())
        new = labels.add(session, given)
        details = {
            "sha256": table.sha256,
            "labels": len(given),
            "new": new,
            "readers": sorted({record.reader for record in given}),
            "tolerance_mm": options.tolerance_mm,
        }
        audit.record(session, actor(), "labels", f"run {run_id}", details)
        runs.finish(session, run_id, EXIT_DONE, details)
    return new


def _as_dict(one: Match) -> dict[str, Any]:
    return {
        "row": one.label.row,
        "reader": one.label.reader,
        "value": one.label.value,
        "tracking_uid": one.node.tracking_uid,
        "distance_mm": one.distance_mm,
    }
