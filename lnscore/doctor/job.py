"""`lnscore status` and `lnscore doctor`: show the state of the database and of the machine."""

from contextlib import closing
from typing import Any

from db import counts, quarantine
from db.schema import Quarantine
from db.session import open_database
from lnscore.doctor.machine import Check, check_machine
from lnscore.doctor.place import check_engines, check_place
from lnscore.errors import EXIT_DONE, EXIT_ERROR
from lnscore.settings import Settings
from lnscore.summary import Answer

PENDING = "Score them: lnscore score --pending"
REFUSED = "lnscore status --refused lists each with what to do"


def status(settings: Settings, *, refused: bool = False) -> Answer:
    """Show what the database holds, what waits for something, and what was refused.

    Args:
        settings: Settings with the path of the database.
        refused: Whether to list every open refusal, with the traceback of an unforeseen error.
            The document for `--json` always lists them.

    Raises:
        DatabaseError: D01, there is no database; or it cannot be used.
    """
    with closing(open_database(settings.db)) as database:
        revision = counts.schema_revision(database)
        with database.read() as session:
            held = counts.summary(session)
            rows = [_refusal(row) for row in quarantine.unresolved(session)]
    lines = _held(database.location, revision, held)
    if refused:
        lines += [line for row in rows for line in _refusal_lines(row)] or ["nothing was refused"]
    document = {"database": database.location, "schema": revision} | held | {"refused": rows}
    return Answer(lines, document)


def doctor(settings: Settings) -> Answer:
    """Check the machine, the database with its files, and the engines.

    Returns:
        A line for each check. The exit code is 1 if something must be corrected before lnscore
        can work, else 0.
    """
    checks = [*check_machine(), *check_place(settings), *check_engines(settings)]
    failed = sum(one.state == "fail" for one in checks)
    warned = sum(one.state == "warn" for one in checks)
    lines = [line for one in checks for line in _check_lines(one)]
    lines.append(f"{len(checks)} checks: {failed} failed, {warned} warnings")
    return Answer(lines, [vars(one) for one in checks], EXIT_ERROR if failed else EXIT_DONE)


def _held(location: str, revision: str, held: dict[str, Any]) -> list[str]:
    series = ", ".join(f"{count} {name}" for name, count in sorted(held["series"].items()))
    lines = [
        f"{location} (schema {revision})",
        f"patients {held['patients']}, studies {held['studies']}, series: {series or 'none'}",
        f"nodes {held['nodes']}",
    ]
    for engine, scored in held["scored"].items():
        lines.append(f"scored by {engine}: {scored} of {held['nodes']}")
    if held["series"].get("ready"):
        lines.append(f"{held['series']['ready']} series wait for scores. {PENDING}")
    if held["series"].get("waiting"):
        lines.append(f"{held['series']['waiting']} series wait for a mask or for their CT")
    if held["quarantine"]:
        codes = ", ".join(f"{count} {code}" for code, count in held["quarantine"].items())
        lines.append(f"refused: {codes}. {REFUSED}")
    return lines


def _refusal(row: Quarantine) -> dict[str, Any]:
    names = ("code", "scope", "path", "found", "wanted", "fix", "study_uid", "series_uid")
    facts = {name: getattr(row, name) for name in names}
    seen = {"first_seen": row.first_seen, "last_seen": row.last_seen, "tries": row.tries}
    return facts | seen | {"traceback": row.detail}


def _refusal_lines(row: dict[str, Any]) -> list[str]:
    return [
        "",
        f"{row['code']} {row['scope']} {row['path']}",
        f"  found   {row['found']}",
        f"  wanted  {row['wanted']}",
        f"  to do   {row['fix']}",
        f"  seen    {row['tries']} times, last {row['last_seen']:%Y-%m-%d %H:%M} UTC",
        *(f"  | {line}" for line in (row["traceback"] or "").splitlines()),
    ]


def _check_lines(one: Check) -> list[str]:
    return [f"{one.state:4}  {one.name}: {one.found}", *([f"      {one.fix}"] if one.fix else [])]
