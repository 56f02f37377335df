"""Scoring: each node once, by one engine, in the database or refused."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text, update

from db import audit, quarantine, schema
from db.errors import DatabaseError
from db.lock import writer_lock
from db.patchstore import PatchStore
from db.session import Database, open_database
from demo_bundle import DEMO, copy_demo, edit_manifest, edit_model
from engines import bundle as bundles
from engines import onnx_engine
from engines.errors import EngineError
from engines.scores import Scores
from fake_cohort import filled, settings_in, study_uid
from lnscore.errors import Refusal
from lnscore.scoring import batches as patch_batches
from lnscore.scoring import job, storing
from lnscore.scoring.options import EngineOptions
from lnscore.scoring.summary import ScoringSummary
from lnscore.settings import Settings

STUDIES, NODES = 5, 7
COLUMNS = (
    "lymph_node_id, engine_id, probability, local_probability, global_probability, "
    "calibrated_probability, calls, patch_sha256"
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    filled(settings_in(folder), STUDIES, NODES)
    return folder


@pytest.fixture
def settings(cohort: Path, tmp_path: Path) -> Settings:
    shutil.copytree(cohort, tmp_path / "site")
    return settings_in(tmp_path / "site")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with open_database(settings.db) as opened:
        yield opened


@pytest.fixture
def batches_of_16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine."""
    monkeypatch.setattr(onnx_engine, "cpu_threads", lambda: 2)
    monkeypatch.setattr(onnx_engine, "RUN_NODES", 8)
    monkeypatch.setattr(onnx_engine, "MOST_NODES", 16)


def pending(settings: Settings, engine: str | None = None) -> ScoringSummary:
    return job.run(settings, job.PENDING, EngineOptions(engine=engine))


def table(database: Database, columns: str = COLUMNS) -> list[tuple]:
    with database.read() as session:
        query = text(f"SELECT {columns} FROM score ORDER BY lymph_node_id, engine_id")
        return [tuple(row) for row in session.execute(query)]


def statuses(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(schema.Series.status).order_by(schema.Series.id)))


def spoil_patch(settings: Settings, number: int, index: int) -> Path:
    """Change one voxel of a study's stored patch."""
    with open_database(settings.db) as database, database.read() as session:
        sha256 = session.scalars(
            select(schema.PatchFile.sha256)
            .join(schema.Series, schema.Series.patch_file_id == schema.PatchFile.id)
            .join(schema.Study)
            .where(schema.Study.study_uid == study_uid(number))
        ).one()
    path = PatchStore(settings.store_root).path(sha256)
    array = np.lib.format.open_memmap(path, mode="r+")
    array[index, 9, 40, 40] += 1
    array.flush()
    return path


def test_every_node_gets_the_score_that_the_engine_gives_its_patch(settings, database) -> None:
    assert pending(settings).exit_code == 0
    engine = onnx_engine.load(bundles.read(bundles_demo()))
    manifest = engine.bundle.manifest
    store = PatchStore(settings.store_root)
    with database.read() as session:
        for node in session.scalars(select(schema.LymphNode)):
            file = node.series.patch_file
            assert file is not None
            patch = np.array(store.patches(file.sha256)[node.patch_index : node.patch_index + 1])
            expected = engine.score(patch)
            (row,) = node.scores
            assert expected.local is not None
            assert expected.global_ is not None
            assert row.probability == expected.fused[0]
            assert row.local_probability == expected.local[0]
            assert row.global_probability == expected.global_[0]
            calibrated = manifest.calibrate(expected.fused_logit)
            assert row.calibrated_probability == (None if calibrated is None else calibrated[0])
            called = manifest.calls(expected.fused)
            assert row.calls == {name: int(positive[0]) for name, positive in called.items()}
            assert row.patch_sha256 == hashlib.sha256(patch.tobytes()).hexdigest()
    assert statuses(database) == ["scored"] * STUDIES


def bundles_demo() -> Path:
    return Path(bundles.__file__).parent / "bundles" / "demo"


def test_the_summary_counts_and_names_the_engine(settings) -> None:
    summary = pending(settings)
    assert (summary.studies, summary.nodes, summary.added) == (STUDIES, 35, 35)
    first, second = summary.lines()
    assert first.startswith("35 nodes of 5 studies scored by engine demo (")
    assert first.endswith("35 scores are new")
    assert second == f"engine demo is {bundles.read_manifest(DEMO).caution}"
    assert summary.as_dict()["exit_code"] == 0


def test_a_second_run_adds_no_row(settings, database) -> None:
    pending(settings)
    before = table(database, "*")
    again = pending(settings)
    assert (again.nodes, again.added, again.exit_code) == (0, 0, 0)
    assert again.lines()[0] == "nothing to score"
    assert table(database, "*") == before


def test_one_study_alone_is_scored(settings, database) -> None:
    summary = job.run(settings, job.Selection((study_uid(2),)))
    assert (summary.studies, summary.nodes) == (1, NODES)
    assert statuses(database) == ["ready", "ready", "scored", "ready", "ready"]


def test_an_unknown_study_is_refused_with_what_to_do(settings, database) -> None:
    with pytest.raises(Refusal) as refusal:
        job.run(settings, job.Selection((study_uid(0), "9.9.9")))
    assert str(refusal.value) == (
        f"U04: no study 9.9.9 in {settings.db}; wanted the StudyInstanceUID of a study that was "
        "ingested. Ingest it first, or correct --study or --db."
    )
    assert table(database) == []


def test_a_study_without_a_usable_node_is_named(settings, database) -> None:
    with database.begin() as session:
        session.execute(
            update(schema.Series)
            .where(schema.Series.series_uid == f"{study_uid(1)}.1")
            .values(status="waiting")
        )
    summary = job.run(settings, job.Selection((study_uid(0), study_uid(1))))
    assert summary.exit_code == 3
    assert summary.lines()[-1] == (
        f"study {study_uid(1)} has no node that can be scored (lnscore status --refused)"
    )
    assert len(table(database)) == NODES


def test_scores_do_not_depend_on_how_studies_share_batches(settings, database) -> None:
    for number in reversed(range(STUDIES)):
        job.run(settings, job.Selection((study_uid(number),)))
    alone = table(database)
    with database.begin() as session:
        session.execute(text("DELETE FROM score"))
    pending(settings)
    assert table(database) == alone


@pytest.mark.usefixtures("batches_of_16")
def test_a_study_is_stored_whole_or_not_at_all(settings, database, monkeypatch) -> None:
    monkeypatch.setattr(storing, "STORE_EVERY_S", 0.0)
    seen, store = [], storing.ScoreStorage.store

    def counted(self: storing.ScoreStorage) -> None:
        store(self)
        with database.read() as session:
            seen.append(session.scalar(text("SELECT count(*) FROM score")))

    monkeypatch.setattr(storing.ScoreStorage, "store", counted)
    pending(settings)
    # Batches of 16 nodes complete two, then four of the studies of seven.
    assert seen == [14, 28, 35, 35]


def test_a_changed_patch_refuses_its_study_and_no_other(settings, database) -> None:
    spoil_patch(settings, number=3, index=2)
    summary = pending(settings)
    assert (summary.exit_code, summary.studies, summary.nodes) == (3, 4, 28)
    (refused,) = summary.refused
    assert (refused.code, refused.study_uid) == ("E16", study_uid(3))
    assert "patch 2 with SHA-256" in refused.found
    assert statuses(database) == ["scored", "scored", "scored", "ready", "scored"]
    with database.read() as session:
        (row,) = quarantine.unresolved(session)
        assert (row.code, row.scope, row.study_uid, row.tries) == (
            "E16",
            "study",
            study_uid(3),
            1,
        )


def test_patches_cut_by_other_rules_are_refused(settings, database) -> None:
    with database.begin() as session:
        session.execute(text("UPDATE patch_file SET spec_hash = 'older' WHERE id = 1"))
    summary = pending(settings)
    assert (summary.exit_code, summary.studies) == (3, 4)
    assert [(one.code, "older" in one.found) for one in summary.refused] == [("E18", True)]


def test_a_missing_patch_file_refuses_its_study(settings, database) -> None:
    path = spoil_patch(settings, number=0, index=0)
    path.unlink()
    summary = pending(settings)
    assert (summary.exit_code, summary.studies) == (3, 4)
    assert [one.code for one in summary.refused] == ["D16"]


def test_a_cut_off_patch_file_refuses_its_study(settings) -> None:
    path = spoil_patch(settings, number=0, index=0)
    path.write_bytes(path.read_bytes()[:-1000])
    assert [one.code for one in pending(settings).refused] == ["D17"]


def test_a_refused_study_is_scored_when_its_patches_are_back(settings, database) -> None:
    path = spoil_patch(settings, number=3, index=2)
    sound = bytearray(path.read_bytes())
    pending(settings)
    pending(settings)
    with database.read() as session:
        assert [row.tries for row in quarantine.unresolved(session)] == [2]
    array = np.lib.format.open_memmap(path, mode="r+")
    array[2, 9, 40, 40] -= 1
    array.flush()
    assert path.read_bytes() != bytes(sound)
    assert (pending(settings).exit_code, statuses(database)) == (0, ["scored"] * STUDIES)
    with database.read() as session:
        assert quarantine.unresolved(session) == []


def test_patches_on_another_grid_are_refused(settings, database) -> None:
    small = np.zeros((NODES, 16, 64, 64), np.int16)
    sha256, _ = PatchStore(settings.store_root).write(small, None)
    with database.begin() as session:
        session.execute(
            update(schema.PatchFile).where(schema.PatchFile.id == 1).values(sha256=sha256)
        )
    (refused,) = pending(settings).refused
    assert (refused.code, "shape (7, 16, 64, 64)" in refused.found) == ("E16", True)


def test_all_compares_and_replaces_nothing(settings, database) -> None:
    pending(settings)
    with database.begin() as session:
        session.execute(
            text("UPDATE score SET probability = 0.25 WHERE lymph_node_id = 3"),
        )
        session.execute(
            text("UPDATE score SET probability = probability + 5e-7 WHERE lymph_node_id = 5")
        )
    before = table(database, "*")
    summary = job.run(settings, job.Selection(again=True))
    (one,) = summary.differing
    assert (one.node_id, one.study_uid, one.stored) == (3, study_uid(0), 0.25)
    assert (summary.exit_code, summary.nodes, summary.added) == (3, 35, 0)
    assert summary.lines()[-1].endswith("the stored score is kept")
    assert table(database, "*") == before


def test_all_of_sound_scores_finds_no_difference(settings) -> None:
    pending(settings)
    summary = job.run(settings, job.Selection(again=True))
    assert (summary.exit_code, summary.nodes, summary.added) == (0, 35, 0)


def test_another_engine_scores_beside_the_first(settings, database, tmp_path) -> None:
    pending(settings)
    point = [{"name": "p90", "threshold": 0.9}]
    other = edit_manifest(copy_demo(tmp_path / "other"), name="other", operating_points=point)
    summary = pending(settings, str(other))
    assert (summary.engine, summary.added) == ("other", 35)
    assert len(table(database)) == 70
    assert {row[1] for row in table(database)} == {1, 2}


def test_calibrated_probabilities_are_stored_beside_the_raw_ones(settings, database, tmp_path):
    calibrated = edit_manifest(
        copy_demo(tmp_path / "calm"), name="calm", calibration={"temperature": 2.0, "bias": 0.0}
    )
    pending(settings, str(calibrated))
    for _, _, raw, _, _, value, *_ in table(database):
        logit = np.log(raw / (1 - raw)) / 2
        assert value == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)


def test_labels_and_pathology_have_no_say(settings, database) -> None:
    pending(settings)
    without = table(database)
    with database.begin() as session:
        session.execute(text("DELETE FROM score"))
        session.execute(text("UPDATE series SET status = 'ready'"))
        session.execute(
            text(
                "INSERT INTO label (lymph_node_id, reader, value, source, created_at) "
                "SELECT id, 'r', 1, 'truth', '2026-01-01T00:00:00+00:00' FROM lymph_node"
            )
        )
        session.execute(
            text(
                "INSERT INTO pathology_report (patient_key, report_id, report_date, neoadjuvant, "
                "source_sha256, created_at) SELECT pseudo_key, 'R', '2026-01-01', 'none', 's', "
                "'2026-01-01T00:00:00+00:00' FROM patient"
            )
        )
        session.execute(
            text(
                "INSERT INTO finding (report_id, n_examined, n_positive, status, source_row, "
                "source_column) SELECT id, 3, 3, 'positive', 1, '' FROM pathology_report"
            )
        )
    pending(settings)
    assert table(database) == without


def test_scoring_reads_no_dicom(settings) -> None:
    code = (
        "import sys\n"
        "for name in ('pydicom', 'highdicom', 'SimpleITK', 'torch'): sys.modules[name] = None\n"
        "from lnscore.cli import app as cli\n"
        f"sys.argv = ['lnscore', 'score', '--pending', '--db', {settings.db!r}]\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "35 nodes of 5 studies" in done.stdout


def test_the_run_row_holds_the_engine_and_why(settings, database) -> None:
    pending(settings)
    with database.read() as session:
        run = session.scalars(select(schema.RunRow).where(schema.RunRow.kind == "score")).one()
        assert (run.exit_code, run.engine_id) == (0, 1)
        assert run.finished_at is not None
        assert (run.engine_reason or "").startswith("no trained engine is here")
        assert "onnx on cpu, fp32" in (run.engine_reason or "")
        assert run.summary is not None
        assert run.summary["nodes"] == 35
        (entry,) = session.scalars(select(schema.AuditLog))
        assert (entry.action, entry.object) == ("score", f"run {run.id}")
        assert audit.verify(session) == 1


def test_the_engine_and_its_back_end_are_one_short_line_on_stderr(settings, capsys) -> None:
    pending(settings)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "engine demo on onnx, fp32\n"


def test_an_engine_off_its_golden_outputs_scores_nothing(settings, database, tmp_path) -> None:
    def shift(model) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("fused_head.1.bias"):
                tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) + 1).tobytes()

    broken = edit_model(copy_demo(tmp_path / "broken"), shift)
    with pytest.raises(EngineError, match=r"^E09"):
        pending(settings, str(broken))
    with database.read() as session:
        assert list(session.scalars(select(schema.EngineRow))) == []


@pytest.mark.usefixtures("batches_of_16")
def test_what_was_scored_before_the_engine_broke_is_kept(settings, database, monkeypatch) -> None:
    calls, gives = [], onnx_engine.OnnxEngine.score

    def breaks(self: onnx_engine.OnnxEngine, patches: np.ndarray) -> Scores:
        calls.append(len(patches))
        if len(calls) == 3:  # after the gate and one batch
            raise EngineError("E15", "nan", "a probability", "Import it again.")
        return gives(self, patches)

    monkeypatch.setattr(onnx_engine.OnnxEngine, "score", breaks)
    monkeypatch.setattr(job, "BATCHES_AT_ONCE", 1)  # so that the third call is the second batch
    with pytest.raises(EngineError, match=r"^E15"):
        pending(settings)
    assert calls[:3] == [5, 16, 16]
    assert len(table(database)) == 2 * NODES
    with database.read() as session:
        run = session.scalars(select(schema.RunRow).where(schema.RunRow.kind == "score")).one()
        assert (run.exit_code, run.summary["studies"] if run.summary else None) == (4, 2)


def test_a_database_that_another_run_holds_is_left_alone(settings, database) -> None:
    with writer_lock(settings.db), pytest.raises(DatabaseError, match=r"^D10"):
        pending(settings)
    assert table(database) == []


def test_a_database_that_is_not_there_is_not_made(tmp_path) -> None:
    with pytest.raises(DatabaseError, match=r"^D01"):
        pending(settings_in(tmp_path))
    assert not (tmp_path / "lnscore.db").exists()


def test_superseded_revisions_are_not_scored(settings, database) -> None:
    with database.begin() as session:
        session.execute(text("UPDATE series SET status = 'superseded' WHERE id = 1"))
    assert pending(settings).nodes == 28


@pytest.mark.parametrize("size", [1, 16, 100])
def test_batches_hold_every_node_once_in_order(settings, database, size: int) -> None:
    from db.scores import to_score

    with database.read() as session:
        nodes = to_score(session, None)
    batches = list(patch_batches.read_batches(nodes, PatchStore(settings.store_root), size))
    assert [node for batch in batches for node in batch.nodes] == nodes
    assert all(len(batch.nodes) == len(batch.patches) == size for batch in batches[:-1])


def test_an_error_in_the_reading_thread_reaches_the_run(settings, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr(patch_batches, "read_batch", fails)
    with pytest.raises(OSError, match="disk on fire"):
        pending(settings)
