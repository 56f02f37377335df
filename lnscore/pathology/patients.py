"""Turns the patients' ids of a file into the pseudonymous keys of the database.

The ids are not passed on from here. A key is computed from the issuer and the id. An id that is
already a pseudonym is looked up in a key file with the columns id, patient_id and, if wanted,
issuer; or id and pseudo_key.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lnscore.errors import Refusal
from lnscore.pseudonym import Pseudonyms
from lnscore.tables.cells import cleaned
from lnscore.tables.messages import Message

PSEUDO_KEY = re.compile(r"[0-9a-f]{64}")

SHORTEST_HELD = 4
"""Shortest id that is searched for inside report numbers; shorter ones match by chance."""


@dataclass(frozen=True)
class Person:
    """The patient behind an id of the file: issuer and PatientID of the CTs, or the key itself."""

    patient_id: str
    issuer: str = ""
    pseudo_key: str = ""

    def key(self, pseudonyms: Pseudonyms) -> str:
        """Return the key, as in the database column `patient.pseudo_key`."""
        return self.pseudo_key or pseudonyms.patient(self.issuer, self.patient_id)


@dataclass(frozen=True)
class Identities:
    """The assignment of ids to patients.

    Attributes:
        issuer: IssuerOfPatientID of the CTs; empty if they have none.
        persons: Persons of a key file, by id; None if the file has the patients' own ids.
    """

    issuer: str = ""
    persons: Mapping[str, Person] | None = None

    def person(self, id_: str) -> Person | None:
        """Return the person of an id; None if the key file does not have the id."""
        if self.persons is None:
            return Person(id_, self.issuer)
        return self.persons.get(id_)


def identities(issuer: str | None, key_file: Path | None) -> Identities:
    """Make the identities from the options of the command line.

    Raises:
        Refusal: P20 if the key file cannot be used.
    """
    return Identities(issuer or "", read_key_file(key_file, issuer or "") if key_file else None)


def read_key_file(path: Path, issuer: str = "") -> dict[str, Person]:
    """Read a key file: a table with the columns id and patient_id (issuer) or pseudo_key.

    Args:
        path: CSV or XLSX file.
        issuer: Issuer of the rows that have none.

    Raises:
        Refusal: P20 if the key file cannot be used, or another code if the table cannot be read.
    """
    from lnscore.tables.sheets import read_sheet

    sheet = read_sheet(path, header_rows=1)
    headings = [cleaned(one[-1]).casefold() for one in sheet.headings]
    columns = {heading: number for number, heading in enumerate(headings)}
    if any(headings.count(name) > 1 for name in ("id", "patient_id", "pseudo_key", "issuer")):
        raise _unusable("the key file has a column twice")
    wanted = next((name for name in ("pseudo_key", "patient_id") if name in columns), None)
    if wanted is None or "id" not in columns:
        raise _unusable("the key file has no columns id and patient_id, or id and pseudo_key")
    persons: dict[str, Person] = {}
    for row, cells in enumerate(sheet.rows, start=sheet.first_row):
        if not any(cell.strip() for cell in cells):
            continue
        values = {name: cleaned(cells[i]) if i < len(cells) else "" for name, i in columns.items()}
        person = _person(values, wanted, issuer, row)
        if persons.setdefault(values["id"], person) != person:
            raise _unusable(f"row {row} of the key file has an id that is another's above")
    return persons


def _person(values: Mapping[str, str], wanted: str, issuer: str, row: int) -> Person:
    if not values["id"] or not values[wanted]:
        raise _unusable(f"row {row} of the key file has no id or no {wanted}")
    if wanted == "patient_id":
        return Person(values["patient_id"], values.get("issuer") or issuer)
    if not PSEUDO_KEY.fullmatch(values["pseudo_key"]):
        raise _unusable(f"row {row} of the key file has a pseudo_key that is not 64 hex digits")
    return Person("", pseudo_key=values["pseudo_key"])


def _unusable(found: str) -> Refusal:
    return Refusal("P20", found, "one person for each id", "Correct the key file.")


def unknown(id_: str, row: int, column: str) -> Message:
    """Return P07, the only message that names a patient's id; it is for the terminal."""
    text = f"no patient '{id_}' in the study DB (use `--allow-pending`)"
    return Message("P07", "E", text, row, column)


def not_in_key_file(row: int, column: str) -> Message:
    """Return P20 for one row."""
    return Message("P20", "E", "the id of this row is not in the key file", row, column)


def hint(issuer: str, unknown_count: int, patient_count: int) -> Message:
    """Return a note that an issuer may be missing or wrong, if patients are not known."""
    given = f"issuer '{issuer}' was used" if issuer else "no issuer was given"
    text = (
        f"{unknown_count} of {patient_count} patients are not known; {given}: where the CTs "
        "have an IssuerOfPatientID, --issuer must be the same"
    )
    return Message("P07", "I", text)


def stored_report_id(report_id: str, ids: Iterable[str], pseudonyms: Pseudonyms) -> str:
    """Return the report's number as stored: a keyed hash if it contains the patient's id."""
    for id_ in ids:
        inside = len(id_) >= SHORTEST_HELD and id_.casefold() in report_id.casefold()
        if id_ and (inside or id_.casefold() == report_id.casefold()):
            return "keyed-" + str(pseudonyms.accession(report_id))[:24]
    return report_id
