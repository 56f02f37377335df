"""A night: ingest, score, report under one lock; what is broken stops nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text

from db import schema
from db.errors import DatabaseError
from db.lock import writer_lock
from db.session import open_database
from demo_bundle import copy_demo, edit_model
from fake_ct import make_ct, save, sphere
from fake_seg import make_seg
from lnscore import nightly
from lnscore.errors import Refusal
from lnscore.scoring.options import EngineOptions
from lnscore.settings import Settings

SHAPE, SPACING = (20, 64, 64), (5.0, 0.8, 0.8)
CENTRE_MM = (25.6, 25.6, 50.0)


def ball() -> np.ndarray:
    z, y, x = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    steps = ((x, 0.8), (y, 0.8), (z, 5.0))
    offsets = [axis * step - c for (axis, step), c in zip(steps, CENTRE_MM, strict=True)]
    return sum(v**2 for v in offsets) <= 81


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One CT with one node in a SEG, and one file that is broken."""
    folder = tmp_path_factory.mktemp("inbox")
    slices = make_ct(SHAPE, SPACING, hu=sphere(CENTRE_MM, 9.0))
    save(slices, folder / "ct")
    make_seg(slices, ball()[..., None]).save_as(folder / "seg.dcm")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(db=str(tmp_path / "study.db"), engines=tmp_path / "engines")


def run(inbox: Path, settings: Settings, engine: str | None = None) -> nightly.NightlySummary:
    return nightly.run(
        inbox, Path(settings.db).parent / "report", settings, EngineOptions(engine=engine)
    )


def test_a_night_scores_what_has_arrived_and_reports_it(inbox, settings) -> None:
    done = run(inbox, settings)
    report = Path(settings.db).parent / "report"
    assert done.exit_code == 0
    assert done.lines()[0] == (
        f"nightly: 1 studies seen, 1 nodes added, 1 scored, 0 refused; "
        f"report {report / 'index.html'}; exit 0"
    )
    assert (report / "nodes.csv").is_file()
    with open_database(settings.db) as database, database.read() as session:
        kinds = session.scalars(select(schema.RunRow.kind).order_by(schema.RunRow.id)).all()
        assert kinds == ["ingest", "score"]
        assert session.scalar(text("SELECT count(*) FROM score")) == 1


def test_the_next_night_adds_nothing(inbox, settings) -> None:
    run(inbox, settings)
    again = run(inbox, settings)
    assert again.exit_code == 0
    assert "0 nodes added, 0 scored, 0 refused" in again.lines()[0]


def test_json_holds_all_three_parts(inbox, settings) -> None:
    told = json.loads(json.dumps(run(inbox, settings).as_dict()))
    assert (told["ingest"]["nodes"], told["score"]["added"], told["exit_code"]) == (1, 1, 0)
    assert told["report"]["page"].endswith("index.html")


def test_a_broken_file_costs_exit_3_and_its_sentence(inbox, settings, tmp_path) -> None:
    other = tmp_path / "inbox"
    other.mkdir()
    (other / "ct").symlink_to(inbox / "ct")
    (other / "seg.dcm").symlink_to(inbox / "seg.dcm")
    (other / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    done = run(other, settings)
    assert done.exit_code == 3
    assert "1 refused" in done.lines()[0]
    assert any("broken.dcm" in line for line in done.lines()[1:])


def test_an_unusable_engine_costs_exit_4_after_ingest_and_report(inbox, settings, tmp_path) -> None:
    def shift(model) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("fused_head.1.bias"):
                tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) + 1).tobytes()

    broken = edit_model(copy_demo(tmp_path / "broken"), shift)
    done = run(inbox, settings, str(broken))
    assert done.exit_code == 4
    assert "1 nodes added, 0 scored" in done.lines()[0]
    assert any(line.startswith("not scored: E09: onnx fp32") for line in done.lines())
    assert done.as_dict()["score"]["exit_code"] == 4
    assert (tmp_path / "report" / "index.html").is_file()
    assert run(inbox, settings).exit_code == 0  # with a sound engine the next night catches up


def test_a_locked_database_is_left_alone(inbox, settings) -> None:
    with writer_lock(settings.db), pytest.raises(DatabaseError, match=r"^D10"):
        run(inbox, settings)
    assert not (Path(settings.db).parent / "report").exists()


def test_an_inbox_that_is_not_there_is_refused_before_anything_is_made(settings, tmp_path) -> None:
    with pytest.raises(Refusal, match=r"^F10"):
        run(tmp_path / "absent", settings)
    assert not Path(settings.db).exists()


def test_an_empty_inbox_is_a_quiet_night(settings, tmp_path) -> None:
    (tmp_path / "inbox").mkdir()
    done = run(tmp_path / "inbox", settings)
    assert (done.exit_code, done.lines()[0].startswith("nightly: 0 studies seen, 0 nodes")) == (
        0,
        True,
    )
