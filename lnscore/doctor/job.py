"""`lnscore status` and `lnscore doctor`: what is there, what is missing, what to do."""

from contextlib import closing
from typing import Any

from db import counts, quarantine
from db.schema import Quarantine
from db.session import open_database
from lnscore import console
from lnscore.doctor.machine import Check, check_machine
from lnscore.doctor.place import check_engines, check_place
from lnscore.errors import EXIT_DONE, EXIT_ERROR
from lnscore.settings import Settings

PENDING = "Score them: lnscore score --pending"
REFUSED = "lnscore status --refused tells what each was and what to do"


def status(settings: Settings, *, refused: bool = False, as_json: bool = False) -> None:
    """Print what the database holds, what waits, and what was refused.

    Args:
        settings: Where the database is.
        refused: List every open refusal, with its traceback where the cause was not foreseen.
        as_json: One JSON document instead.

    Raises:
        DatabaseError: D01, there is no database; or it cannot be used.
    """
    with closing(open_database(settings.db)) as database:
        revision = counts.schema_revision(database)
        with database.read() as session:
            held = counts.summary(session)
            rows = [_refusal(row) for row in quarantine.unresolved(session)] if refused else []
    if as_json:
        listed: dict[str, Any] = {"refused": rows} if refused else {}
        console.print_json({"database": database.location, "schema": revision} | held | listed)
        return
    for line in _held(database.location, revision, held):
        console.say(line)
    for row in rows:
        _say_refusal(row)
    if refused and not rows:
        console.say("nothing was refused")


def doctor(settings: Settings, *, as_json: bool = False) -> int:
    """Check the machine, the database's place and the engines; print a line for each.

    Returns:
        1 where something must be put right before lnscore works, else 0.
    """
    findings = [*check_machine(), *check_place(settings), *check_engines(settings)]
    failed = [one for one in findings if one.state == "fail"]
    if as_json:
        console.print_json([vars(one) for one in findings])
    else:
        for one in findings:
            _say_finding(one)
        warned = sum(one.state == "warn" for one in findings)
        console.say(f"{len(findings)} checks: {len(failed)} failed, {warned} warnings")
    return EXIT_ERROR if failed else EXIT_DONE


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


def _say_refusal(row: dict[str, Any]) -> None:
    console.say("")
    console.say(f"{row['code']} {row['scope']} {row['path']}")
    console.say(f"  found   {row['found']}")
    console.say(f"  wanted  {row['wanted']}")
    console.say(f"  to do   {row['fix']}")
    console.say(f"  seen    {row['tries']} times, last {row['last_seen']:%Y-%m-%d %H:%M} UTC")
    for line in (row["traceback"] or "").splitlines():
        console.say(f"  | {line}")


def _say_finding(one: Check) -> None:
    console.say(f"{one.state:4}  {one.name}: {one.found}")
    if one.fix:
        console.say(f"      {one.fix}")
