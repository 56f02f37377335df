"""`status` and `doctor`: what is there, what is missing, what to do."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text

from command_line import printed
from db import quarantine, schema
from db.errors import DatabaseError
from db.patchstore import PatchStore
from db.records import RefusedRecord
from db.session import open_database
from demo_bundle import copy_demo, edit_manifest
from fake_cohort import filled, settings_in
from lnscore.doctor import job, machine, place
from lnscore.doctor.machine import Check
from lnscore.engine_commands.importing import import_bundle
from lnscore.scoring import job as scoring
from lnscore.settings import Settings

REFUSED = RefusedRecord(
    sha256="ab" * 32,
    scope="series",
    code="W04",
    found="an unexpected KeyError",
    wanted="no error",
    fix="Report the traceback.",
    path="inbox/1.dcm",
    detail="Traceback (most recent call last):\nKeyError: 'x'",
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    filled(settings_in(folder), 2, 3)
    return folder


@pytest.fixture
def settings(cohort: Path, tmp_path: Path) -> Settings:
    shutil.copytree(cohort, tmp_path / "site")
    return settings_in(tmp_path / "site")


@pytest.fixture
def with_refusal(settings: Settings) -> Settings:
    with open_database(settings.db) as database, database.begin() as session:
        quarantine.add(session, REFUSED)
        quarantine.add(session, REFUSED)
    return settings


def findings(settings: Settings) -> dict[str, Check]:
    return {one.name: one for one in place.check_place(settings)}


def test_status_counts_what_waits_and_says_how_to_score_it(settings, capsys) -> None:
    printed(job.status(settings))
    assert capsys.readouterr().out.splitlines() == [
        f"{settings.db} (schema {schema.HEAD})",
        "patients 2, studies 2, series: 2 ready",
        "nodes 6",
        "2 series wait for scores. Score them: lnscore score --pending",
    ]


def test_status_counts_what_each_engine_has_scored(settings, capsys) -> None:
    scoring.run(settings, scoring.PENDING)
    capsys.readouterr()
    printed(job.status(settings))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "patients 2, studies 2, series: 2 scored",
        "nodes 6",
        "scored by demo: 6 of 6",
    ]


def test_status_names_refusals_and_lists_them_with_their_traceback(with_refusal, capsys) -> None:
    printed(job.status(with_refusal))
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == ("refused: 1 W04. lnscore status --refused lists each with what to do")
    printed(job.status(with_refusal, refused=True))
    lines = capsys.readouterr().out.splitlines()
    assert "W04 series inbox/1.dcm" in lines
    assert "  to do   Report the traceback." in lines
    assert any(line.startswith("  seen    2 times, last ") for line in lines)
    assert "  | KeyError: 'x'" in lines


def test_status_as_json_is_one_document(with_refusal, capsys) -> None:
    printed(job.status(with_refusal, refused=True), as_json=True)
    held = json.loads(capsys.readouterr().out)
    assert (held["studies"], held["nodes"], held["quarantine"]) == (2, 6, {"W04": 1})
    assert held["refused"][0]["traceback"].endswith("KeyError: 'x'")


def test_status_without_refusals_says_so(settings, capsys) -> None:
    printed(job.status(settings, refused=True))
    assert capsys.readouterr().out.splitlines()[-1] == "nothing was refused"


def test_status_needs_a_database(tmp_path) -> None:
    with pytest.raises(DatabaseError, match=r"^D01"):
        job.status(settings_in(tmp_path))


def test_doctor_passes_before_there_is_a_database_and_leaves_nothing(tmp_path, capsys) -> None:
    assert printed(job.doctor(settings_in(tmp_path))) == 0
    out = capsys.readouterr().out
    assert f"ok    database: none at {tmp_path / 'lnscore.db'} yet" in out
    assert re.search(r"ok    engine demo: reproduces its golden .*onnx fp32, onnx fp16\)", out)
    assert out.splitlines()[-1].endswith("checks: 0 failed, 0 warnings")
    assert list(tmp_path.iterdir()) == []


def test_doctor_as_json_has_a_state_and_a_fix_for_every_check(settings, capsys) -> None:
    assert printed(job.doctor(settings), as_json=True) == 1  # the cohort has patients and no secret
    rows = json.loads(capsys.readouterr().out)
    assert {row["state"] for row in rows} <= {"ok", "warn", "fail"}
    assert all(row["fix"] for row in rows if row["state"] != "ok")
    assert [row["name"] for row in rows if row["state"] == "fail"] == ["secret"]


def test_a_whole_installation_passes(settings) -> None:
    secret = settings.secret_path
    secret.write_text("0" * 64)
    secret.chmod(0o600)
    assert {one.state for one in findings(settings).values()} == {"ok"}


def test_a_secret_that_others_can_read_is_a_warning(settings) -> None:
    settings.secret_path.write_text("0" * 64)
    settings.secret_path.chmod(0o640)
    found = findings(settings)["secret"]
    assert (found.state, "mode 0640" in found.found, "chmod 600" in found.fix) == (
        "warn",
        True,
        True,
    )


def test_a_missing_secret_of_known_patients_fails(settings) -> None:
    found = findings(settings)["secret"]
    assert (found.state, found.found[:4]) == ("fail", "U02:")


@pytest.mark.parametrize("column", ["sha256", "masks_sha256"])
def test_missing_patch_and_mask_files_are_counted(settings, column: str) -> None:
    store = PatchStore(settings.store_root)
    with open_database(settings.db) as database, database.begin() as session:
        file = session.scalars(select(schema.PatchFile)).first()
        patches = store.patches(file.sha256)
        _, file.masks_sha256 = store.write(patches, np.ones(patches.shape, np.uint8))
        lost = getattr(file, column)
    assert findings(settings)["patch files"].found == f"all 3 are in {store.root}"
    store.path(lost).unlink()
    found = findings(settings)["patch files"]
    assert found.state == "fail"
    assert found.found == f"1 of 3 are not in {store.root}, the first is {lost}"
    assert found.fix == "Restore the folder beside the database, or ingest the studies again."


def test_a_broken_audit_log_fails(settings) -> None:
    scoring.run(settings, scoring.PENDING)
    with open_database(settings.db) as database, database.begin() as session:
        session.execute(text("DROP TRIGGER IF EXISTS audit_log_no_update"))
        triggers = session.scalars(
            text("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        ).all()
        for name in triggers:
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text("UPDATE audit_log SET actor = 'nobody'"))
    assert findings(settings)["audit log"].state == "fail"


def test_a_database_of_another_program_fails(tmp_path) -> None:
    other = sqlite3.connect(tmp_path / "lnscore.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    found = findings(settings_in(tmp_path))["database"]
    assert (found.state, found.found[:4]) == ("fail", "D02:")


def test_an_older_schema_is_told_of_and_not_migrated(settings, monkeypatch) -> None:
    head = schema.HEAD
    monkeypatch.setattr(place.schema, "HEAD", "9999")
    before = Path(settings.db).read_bytes()
    found = findings(settings)["database"]
    assert (found.state, found.found) == (
        "warn",
        f"{settings.db} has schema {head}, this version has 9999",
    )
    assert Path(settings.db).read_bytes() == before


def test_a_newer_schema_fails(settings) -> None:
    with closing(sqlite3.connect(settings.db)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    found = findings(settings)["database"]
    assert (found.state, found.found[:4]) == ("fail", "D03:")


def test_a_folder_that_is_not_there_fails_with_what_to_do(tmp_path) -> None:
    found = findings(settings_in(tmp_path / "absent"))["folder of the database"]
    assert (found.state, found.found[:4]) == ("fail", "D01:")


def test_a_url_without_a_store_fails_with_the_variable_to_set() -> None:
    found = findings(Settings(db="postgresql://u@h/d"))["database"]
    assert (found.state, found.fix) == ("fail", "Set LNSCORE_STORE.")


@pytest.mark.parametrize(("free_gb", "state"), [(0.4, "fail"), (3.0, "warn"), (50.0, "ok")])
def test_free_disk_is_judged(settings, monkeypatch, free_gb: float, state: str) -> None:
    usage = shutil.disk_usage("/")._replace(free=int(free_gb * 1e9))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert findings(settings)["disk of the patches"].state == state


def test_an_engine_that_cannot_be_used_is_named(settings, tmp_path) -> None:
    import_bundle(edit_manifest(copy_demo(tmp_path / "mine"), name="mine"), settings.engine_home)
    (settings.engine_home / "mine" / "model.onnx").unlink()
    found = {one.name: one for one in place.check_engines(settings)}
    assert found["engine demo"].state == "ok"
    assert (found["engine mine"].state, found["engine mine"].found[:4]) == ("fail", "E01:")


def test_a_missing_package_fails_and_a_missing_extra_does_not(monkeypatch) -> None:
    def version(name: str) -> str:
        if name in ("pebble", "psycopg"):
            raise machine.metadata.PackageNotFoundError
        return "1"

    monkeypatch.setattr(machine.metadata, "version", version)
    found = {one.name: one for one in machine.check_machine()}
    assert (found["packages"].state, found["packages"].found) == ("fail", "not installed: pebble")
    assert found["extras"].state == "ok"
    assert "postgres (psycopg)" in found["extras"].found


@pytest.mark.parametrize(
    ("flags", "state"), [("fpu avx2 avx512f", "ok"), ("fpu sse2", "warn"), (None, "ok")]
)
def test_the_processor_is_judged_by_its_flags(monkeypatch, flags: str | None, state: str) -> None:
    parsed = None if flags is None else frozenset(flags.split())
    monkeypatch.setattr(machine, "cpu_flags", lambda: parsed)
    found = {one.name: one for one in machine.check_machine()}
    assert found["processor"].state == state


def test_processor_flags_are_read_on_intel_and_on_arm(tmp_path) -> None:
    (tmp_path / "intel").write_text("processor : 0\nflags\t\t: fpu avx2\n\nprocessor : 1\n")
    (tmp_path / "arm").write_text("processor : 0\nFeatures\t: fp asimd\n")
    assert machine.cpu_flags(tmp_path / "intel") == {"fpu", "avx2"}
    assert machine.cpu_flags(tmp_path / "arm") == {"fp", "asimd"}
    assert machine.cpu_flags(tmp_path / "none") is None


@pytest.mark.parametrize(("gb", "state"), [(2.0, "warn"), (8.0, "ok"), (None, "ok")])
def test_memory_is_judged(monkeypatch, gb: float | None, state: str) -> None:
    monkeypatch.setattr(machine, "memory_gb", lambda: gb)
    found = {one.name: one for one in machine.check_machine()}
    assert found["memory"].state == state
