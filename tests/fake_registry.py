"""A registry's table and a study database, for the pathology tests, through the command line."""

import json
from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

import db_rows
from db import studies
from db.records import PatientRecord
from db.session import open_database
from lnscore.cli.app import app
from lnscore.pseudonym import open_pseudonyms

HEAD = ("patient_key", "report_id", "report_date", "surgery_date", "station_system", "station",
        "n_examined", "n_positive", "status", "neoadjuvant")  # fmt: skip
ROW = {
    "patient_key": "K1", "report_id": "S26-1", "report_date": "2026-02-10",
    "surgery_date": "2026-02-01", "station_system": "JES11", "station": "106recR",
    "n_examined": "4", "n_positive": "0", "status": "", "neoadjuvant": "none",
}  # fmt: skip


def table(*changes: dict[str, str], end: str = "\n", delimiter: str = ",") -> str:
    """Canonical rows as CSV, one for each change of `ROW`; the first is row 2."""
    rows = [HEAD, *([(ROW | one)[name] for name in HEAD] for one in changes)]
    return "".join(delimiter.join(cells) + end for cells in rows)


class Registry:
    """A folder with a database that knows patient K1, and a table beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.db = folder, folder / "lnscore.db"
        self.pseudonyms = open_pseudonyms(folder / "lnscore.db.secret", create=True)
        self.ingest("K1")

    def key(self, patient_id: str, issuer: str = "") -> str:
        return self.pseudonyms.patient(issuer, patient_id)

    def ingest(self, patient_id: str, study_date: str = "2026-01-31", issuer: str = "") -> None:
        number = 1 + len(self.rows("study"))
        study = db_rows.study(number, PatientRecord(self.key(patient_id, issuer)))
        record = db_rows.series(of=replace(study, study_date=study_date))
        with open_database(str(self.db), create=True) as database, database.begin() as session:
            studies.add_series(session, record, 1 if number > 1 else self._run(session))

    def _run(self, session) -> int:
        from db import runs

        return runs.start(session, "ingest", [], "0")

    def rows(self, name: str) -> list[dict]:
        import sqlite3
        from contextlib import closing

        if not self.db.exists():
            return []
        with closing(sqlite3.connect(self.db)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]

    def file(self, content: str | bytes, name: str = "table.csv") -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, command: str, path: Path, *options: str):
        words = ["pathology", command, str(path), "--db", str(self.db), *options]
        return CliRunner().invoke(app, words)

    def messages(self, content: str | bytes, *options: str, command: str = "import") -> list[str]:
        """Sentences of an import, as `--json` gives them, with code, gravity and place."""
        done = self.run(command, self.file(content), "--json", *options)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        self.exit_code = done.exit_code
        told = json.loads(done.stdout)["messages"]
        return [f"{m['code']} {m['severity']} {m['row']}: {m['text']}" for m in told]
