"""Readers' labels: every label finds its one node, or nothing of the file is written."""

import contextlib
import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from sqlalchemy import func, select

from db import audit, labels, node_places, runs
from db.lock import writer_lock
from db.schema import AuditLog, Label, RunRow
from db.session import open_database
from db.studies import add_series
from db_rows import node, series
from lnscore.errors import Refusal
from lnscore.labels.importing import run
from lnscore.labels.options import LabelOptions
from lnscore.labels.table import read_table
from lnscore.phantom import job as phantom_job
from lnscore.settings import load

pytest_plugins = ["command_line"]

READER = LabelOptions(reader="Reader A", coord="LPS_MM")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Two phantom patients in a database."""
    folder = tmp_path_factory.mktemp("labels")
    phantom_job.fill(str(folder / "lnscore.db"), 2, 4, 1)
    return folder


@pytest.fixture
def settings(cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "site")
    return load(str(tmp_path / "site" / "lnscore.db"))


@pytest.fixture
def scans(settings):
    """Current series with nodes, as the database has them."""
    with open_database(settings.db) as database, database.read() as session:
        return node_places.current(session)


def write(folder: Path, rows: list[dict], name: str = "labels.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def at(scan, point, value="1", **other) -> dict:
    x, y, z = point
    return {"series_uid": scan.series_uid, "x": x, "y": y, "z": z, "value": value} | other


def stored(settings, reader="Reader A") -> dict[int, int]:
    with open_database(settings.db) as database, database.read() as session:
        query = select(Label.lymph_node_id, Label.value).where(Label.reader == reader)
        return {node_id: value for node_id, value in session.execute(query)}


def counts(settings) -> list[int | None]:
    with open_database(settings.db) as database, database.read() as session:
        columns = (Label.id, RunRow.id, AuditLog.id)
        return [session.scalar(select(func.count(column))) for column in columns]


def sentences(settings, tmp_path, rows, options=READER) -> list[str]:
    """What is said of a file that is refused; nothing was written."""
    before = counts(settings)
    result = run(settings, write(tmp_path, rows), options)
    assert result.exit_code == 1
    assert counts(settings) == before
    return [message.sentence for message in result.messages]


def test_labels_are_stored_by_tracking_uid(settings, scans, tmp_path):
    nodes = scans[0].nodes
    rows = [
        {"tracking_uid": one.tracking_uid, "value": word}
        for one, word in zip(nodes, ["1", "benign", "Positive", "0"], strict=False)
    ]
    result = run(settings, write(tmp_path, rows), READER)
    assert (result.exit_code, result.new) == (0, len(rows))
    values = [1, 0, 1, 0][: len(rows)]
    assert stored(settings) == dict(zip([one.node_id for one in nodes], values, strict=False))


@pytest.mark.parametrize("coord", ["LPS_MM", "RAS_MM", "IJK"])
def test_a_point_finds_its_node_in_every_coordinate_system(settings, scans, tmp_path, coord):
    scan = scans[0]
    affine = np.array(scan.geometry["affine"])
    rows = []
    for one in scan.nodes:
        point = np.array(one.centroid_mm)
        if coord == "IJK":
            point = np.linalg.solve(affine, [*point, 1])[2::-1]
        rows.append(at(scan, point * (-1, -1, 1) if coord == "RAS_MM" else point, coord=coord))
    result = run(
        settings, write(tmp_path, rows), LabelOptions(tolerance_mm=0.01, reader="Reader A")
    )
    assert [m.sentence for m in result.messages] == []
    assert stored(settings) == {one.node_id: 1 for one in scan.nodes}


def test_a_study_uid_is_enough_for_a_point(settings, scans, tmp_path):
    one = scans[1].nodes[0]
    row = at(scans[1], one.centroid_mm) | {"study_uid": scans[1].study_uid}
    del row["series_uid"]
    assert run(settings, write(tmp_path, [row]), READER).matches[0].node == one


def test_readers_are_kept_apart(settings, scans, tmp_path):
    uid = scans[0].nodes[0].tracking_uid
    rows = [
        {"tracking_uid": uid, "value": 1, "reader": "A"},
        {"tracking_uid": uid, "value": 0, "reader": "B"},
    ]
    assert run(settings, write(tmp_path, rows), LabelOptions()).new == 2
    assert (stored(settings, "A"), stored(settings, "B")) == (
        {scans[0].nodes[0].node_id: 1},
        {scans[0].nodes[0].node_id: 0},
    )


def test_json_states_reader_and_coordinates_for_all(settings, scans, tmp_path):
    rows = [at(scans[0], scans[0].nodes[0].centroid_mm, value=1)]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"reader": "Reader A", "coord": "LPS_MM", "labels": rows}))
    assert run(settings, path, LabelOptions()).new == 1


def test_a_workbook_is_read_by_its_numbers(settings, scans, tmp_path):
    (x, y, z), uid = scans[0].nodes[0].centroid_mm, scans[0].series_uid
    book = openpyxl.Workbook()
    for row in (["Value", "X", "Y", "Z", "Series UID"], [1, x, y, z, uid]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "labels.xlsx")
    result = run(settings, tmp_path / "labels.xlsx", READER)
    assert [one.label.row for one in result.matches] == [2]
    assert stored(settings) == {scans[0].nodes[0].node_id: 1}


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.json", '[{"tracking_uid": "1.2", "value": 1, "Value": 0}]', "two members 'value'"),
        ("a.json", '[{"tracking_uid": "1.2", "value": 1, "value": 0}]', "two members 'value'"),
        (
            "a.csv",
            "tracking_uid,value,reader\n1.2,1,Smith, J\n",
            "row 2 with more cells than there are headings",
        ),
    ],
)
def test_what_would_be_lost_without_a_word_is_refused(settings, tmp_path, name, content, found):
    (tmp_path / name).write_text(content)
    with pytest.raises(Refusal) as refusal:
        run(settings, tmp_path / name, READER)
    assert refusal.value.code == "L06"
    assert found in refusal.value.found


def test_the_same_file_again_adds_no_label(settings, scans, tmp_path):
    path = write(tmp_path, [at(scans[0], scans[0].nodes[0].centroid_mm)])
    assert [run(settings, path, READER).new for _ in range(2)] == [1, 0]


def test_a_run_and_an_audit_row_say_what_was_imported(settings, scans, tmp_path):
    run(settings, write(tmp_path, [at(scans[0], scans[0].nodes[0].centroid_mm)]), READER)
    with open_database(settings.db) as database, database.read() as session:
        audit.verify(session)
        job = session.scalars(select(RunRow).order_by(RunRow.id.desc())).first()
        log = session.scalars(select(AuditLog).order_by(AuditLog.id.desc())).first()
    assert (job.kind, job.exit_code, job.summary["new"]) == ("labels", 0, 1)
    assert (log.action, log.object) == ("labels", f"run {job.id}")
    assert log.details["readers"] == ["Reader A"]
    assert log.details["tolerance_mm"] == 5.0


def test_no_node_near_is_l01_with_the_nearest(settings, scans, tmp_path):
    scan = scans[0]
    x, y, z = np.array([one.centroid_mm for one in scan.nodes]).max(axis=0) + 30
    apart_mm = [np.linalg.norm(np.array(one.centroid_mm) - (x, y, z)) for one in scan.nodes]
    nearest = int(np.argmin(apart_mm))
    assert sentences(settings, tmp_path, [at(scan, (x, y, z))]) == [
        f"L01: row 2, column x, y, z: ({x:.1f}, {y:.1f}, {z:.1f}) mm LPS: no node within 5 mm; the "
        f"nearest is {scan.nodes[nearest].tracking_uid} at {apart_mm[nearest]:.1f} mm"
    ]


def test_two_nodes_near_are_l02_with_both(settings, scans, tmp_path):
    first, second = _closest(scans[0])
    a, b = np.array(first.centroid_mm), np.array(second.centroid_mm)
    apart_mm = float(np.linalg.norm(a - b))
    middle = (a + b) / 2
    wide = LabelOptions(tolerance_mm=apart_mm * 0.51, reader="Reader A", coord="LPS_MM")
    (said,) = sentences(settings, tmp_path, [at(scans[0], middle)], wide)
    assert said.startswith("L02: row 2, column x, y, z: (")
    assert "2 nodes within" in said
    for one in (first, second):
        assert f"{one.tracking_uid} at {apart_mm / 2:.1f} mm" in said
    assert said.endswith("; name one by its tracking_uid")


def test_two_labels_of_one_reader_for_one_node_are_l02_with_both(settings, scans, tmp_path):
    one = scans[0].nodes[0]
    x, y, z = one.centroid_mm
    rows = [
        {"tracking_uid": one.tracking_uid, "value": "1"},
        at(scans[0], (x, y, z + 0.5)),
    ]
    assert sentences(settings, tmp_path, rows) == [
        f"L02: row 3: reader 'Reader A' labels node {one.tracking_uid} twice: here (0.5 mm from "
        "its centroid) and in row 2 (by tracking UID)"
    ]


def test_unknown_uids_are_l03(settings, scans, tmp_path):
    rows = [
        {"tracking_uid": "1.2.3", "value": "1"},
        {"series_uid": "1.2.4", "value": "1", "x": 1, "y": 1, "z": 1},
        {"value": "1", "x": 1, "y": 1, "z": 1},
    ]
    assert sentences(settings, tmp_path, rows) == [
        "L03: row 2, column tracking_uid: no current series that fits the row has a node 1.2.3",
        "L03: row 3, column series_uid: the database has no series of 1.2.4",
        "L03: row 4, column series_uid: a point without series_uid or study_uid",
    ]


@pytest.mark.parametrize("value", ["", "2", "maybe", "yes", "-"])
def test_a_value_that_is_no_label_is_l04(settings, scans, tmp_path, value):
    rows = [{"tracking_uid": scans[0].nodes[0].tracking_uid, "value": value}]
    found = f"'{value}' is no label" if value else "no label"
    assert sentences(settings, tmp_path, rows) == [
        f"L04: row 2, column value: {found}; wanted one of 1, 1.0, malignant, positive, "
        "metastatic, 0, 0.0, benign, negative, or leave the row out"
    ]


def test_coordinates_without_a_system_are_l05(settings, scans, tmp_path):
    rows = [at(scans[0], scans[0].nodes[0].centroid_mm)]
    assert sentences(settings, tmp_path, rows, LabelOptions(reader="Reader A")) == [
        "L05: row 2, column coord: no coordinate system is stated; wanted one of LPS_MM, RAS_MM, "
        "IJK in column coord or by --coord"
    ]


def test_two_coordinate_systems_are_l05(settings, scans, tmp_path):
    rows = [at(scans[0], scans[0].nodes[0].centroid_mm, coord="RAS_MM")]
    (said,) = sentences(settings, tmp_path, rows)
    assert said.startswith("L05: row 2, column coord: LPS_MM and RAS_MM; wanted one of")


@pytest.mark.parametrize("text", ["1,5", "nan", "inf", "1e999", "1_0", "x"])
def test_a_coordinate_that_is_no_number_is_l05(settings, scans, tmp_path, text):
    rows = [at(scans[0], ("1", text, "2"))]
    assert sentences(settings, tmp_path, rows) == [f"L05: row 2, column y: '{text}' is no number"]


def test_no_reader_is_l08_and_two_spellings_of_one_are_too(settings, scans, tmp_path):
    first, second, third = (one.tracking_uid for one in scans[0].nodes[:3])
    rows = [
        {"tracking_uid": first, "value": 1, "reader": ""},
        {"tracking_uid": second, "value": 1, "reader": "Reader B"},
        {"tracking_uid": third, "value": 1, "reader": "reader-b"},
        {"tracking_uid": third, "value": 1, "reader": "majority"},
    ]
    assert sentences(settings, tmp_path, rows, LabelOptions()) == [
        "L08: row 2, column reader: no reader; name one, in the column or by --reader",
        "L08: row 4, column reader: 'reader-b' looks like 'Reader B'; write each reader in one way",
        "L08: row 5, column reader: 'majority' is the name of a consensus rule",
    ]


def test_a_reader_who_said_otherwise_before_is_d18(settings, scans, tmp_path):
    one = scans[0].nodes[0]
    run(settings, write(tmp_path, [{"tracking_uid": one.tracking_uid, "value": "1"}]), READER)
    rows = [{"tracking_uid": one.tracking_uid, "value": "benign"}]
    assert sentences(settings, tmp_path, rows) == [
        f"D18: row 2, column value: reader 'Reader A' gave 1 to node {one.tracking_uid} before, "
        "now 0; import a second reading under another reader name"
    ]
    assert stored(settings) == {one.node_id: 1}


def test_every_error_of_a_file_is_listed_and_its_good_rows_are_not_written(
    settings, scans, tmp_path
):
    good = {"tracking_uid": scans[0].nodes[0].tracking_uid, "value": "1"}
    rows = [good, good | {"value": "?"}, {"tracking_uid": "9", "value": "1"}]
    codes = [said.split(":")[0] for said in sentences(settings, tmp_path, rows)]
    assert codes == ["L04", "L03"]


def test_a_superseded_revision_is_not_labelled(settings, tmp_path):
    with open_database(settings.db) as database, database.begin() as session:
        job = runs.start(session, "phantom", [], "1")
        add_series(session, series("first", nodes=1), job)
        moved = node(0, centroid_mm=(50.0, 0.0, 0.0))
        new = add_series(session, replace(series("second", nodes=1), nodes=[moved]), job)
        (node_id,) = labels.node_ids(session, new.series_id).values()
    by_uid = [{"tracking_uid": "2.25.0", "value": "1"}]
    assert run(settings, write(tmp_path, by_uid), READER).matches[0].node.node_id == node_id
    there = {"series_uid": "1.2.1.1", "value": "1", "x": 1.5, "y": -2.5, "z": 3.5}
    (said,) = sentences(
        settings, tmp_path, [there], LabelOptions(reader="Reader B", coord="LPS_MM")
    )
    assert said.startswith("L01: ")


def test_a_tracking_uid_of_two_series_is_l02_unless_the_series_is_named(settings, tmp_path):
    with open_database(settings.db) as database, database.begin() as session:
        job = runs.start(session, "phantom", [], "1")
        for uid in ("1.2.1.1", "1.2.1.2"):
            add_series(session, series("one", nodes=1, series_uid=uid), job)
    row = {"tracking_uid": "2.25.0", "value": "1"}
    assert sentences(settings, tmp_path, [row]) == [
        "L02: row 2, column tracking_uid: node 2.25.0 is in 2 series (1.2.1.1, 1.2.1.2); name one "
        "in series_uid"
    ]
    assert run(settings, write(tmp_path, [row | {"series_uid": "1.2.1.2"}]), READER).new == 1


def test_series_without_a_frame_of_reference_share_no_millimetres(settings, tmp_path):
    with open_database(settings.db) as database, database.begin() as session:
        job = runs.start(session, "phantom", [], "1")
        for number in (1, 2):
            add_series(session, series("one", nodes=1, series_uid=f"1.2.1.{number}"), job)
    point = {"study_uid": "1.2.1", "value": "1", "x": 1.5, "y": -2.5, "z": 3.5}
    assert sentences(settings, tmp_path, [point]) == [
        "L05: row 2, column series_uid: the study has series without a frame of reference; name "
        "the point's series"
    ]


def test_frames_of_reference_are_not_mixed(settings, tmp_path):
    with open_database(settings.db) as database, database.begin() as session:
        job = runs.start(session, "phantom", [], "1")
        for number in (1, 2):
            uid = f"1.2.1.{number}"
            record = series("one", nodes=1, series_uid=uid, for_uid=f"1.3.{number}")
            add_series(session, record, job)
    point = {"study_uid": "1.2.1", "value": "1", "x": 1.5, "y": -2.5, "z": 3.5}
    assert sentences(settings, tmp_path, [point]) == [
        "L05: row 2, column series_uid: the study has 2 frames of reference; name the "
        "point's series"
    ]
    ijk = LabelOptions(reader="Reader A", coord="IJK")
    assert sentences(settings, tmp_path, [point], ijk) == [
        "L05: row 2, column series_uid: IJK coordinates count voxels of one series, but 2 series "
        "fit; name the series"
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"{", "L06: a.json: JSONDecodeError"),
        ("a.json", b'{"a": 1}', "L06: a.json: KeyError"),
        ("a.json", b"[1]", "L06: a.json: TypeError: label 1 is no object"),
        ("a.json", b"[" * 100_000, "L06: a.json: RecursionError"),
        ("a.json", b'[{"value": {}}]', "L06: a.json: TypeError: an object or list"),
        ("a.json", b"[]", "L06: a.json: no row below the headings"),
        ("a.csv", b"value,name\n1,2\n", "L06: a.csv: the columns 'value', 'name'"),
        ("a.csv", b"value,tracking_uid\n", "L06: a.csv: no row below the headings"),
        ("a.csv", b"value,Value,tracking_uid\n1,1,2\n", "L06: a.csv: two columns 'value'"),
    ],
)
def test_a_file_that_is_no_table_of_labels_is_l06(settings, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal) as error:
        run(settings, tmp_path / name, READER)
    assert str(error.value).startswith(said)


def test_a_missing_file_is_l06(settings, tmp_path):
    with pytest.raises(Refusal, match=r"L06: no\.csv: No such file or directory"):
        run(settings, tmp_path / "no.csv", READER)


@settings_of_hypothesis(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".json", ".csv", ".xlsx"]))
def test_no_bytes_raise_anything_but_a_refusal(tmp_path_factory, content, ending):
    for start in (b"", b"value,tracking_uid\n", b'[{"value": 1, "tracking_uid": "'):
        path = tmp_path_factory.getbasetemp() / f"any{ending}"
        path.write_bytes(start + content)
        with contextlib.suppress(Refusal):
            assert read_table(path).rows


def test_the_command_prints_what_was_imported(lnscore, settings, scans, tmp_path):
    one = scans[0].nodes[0]
    x, y, z = one.centroid_mm
    rows = [
        at(scans[0], (x + 1.5, y, z)) | {"note": "edge"},
        {"tracking_uid": scans[0].nodes[1].tracking_uid, "value": "0"},
    ]
    path = str(write(tmp_path, rows))
    words = ("--reader", "Reader A", "--coord", "lps_mm", "--db", settings.db)
    code, out, _ = lnscore("labels", "import", path, *words)
    assert code == 0
    assert out.splitlines()[-4:] == [
        "columns not read: 'note'",
        "labels.csv: 2 labels (Reader A 2), 2 of them new",
        "nodes found: 1 by tracking UID, 1 by point (at most 1.5 mm away)",
        "Next: lnscore labels status",
    ]


def test_the_command_lists_errors_and_exits_1(lnscore, settings, scans, tmp_path):
    path = str(write(tmp_path, [{"tracking_uid": "9", "value": "?"}]))
    words = ("labels", "import", path, "--db", settings.db, "--reader", "A")
    code, out, _ = lnscore(*words)
    assert code == 1
    assert out.splitlines()[-1] == "labels.csv: 1 error; nothing imported"
    code, out, _ = lnscore(*words, "--json")
    document = json.loads(out)
    assert (code, document["new"], document["labels"]) == (1, 0, [])
    (message,) = document["messages"]
    assert (message["code"], message["row"], message["column"]) == ("L04", 2, "value")


def test_a_held_database_is_exit_5(lnscore, settings, tmp_path):
    path = str(write(tmp_path, [{"tracking_uid": "9", "value": "1"}]))
    with writer_lock(settings.db):
        code, _, err = lnscore("labels", "import", path, "--db", settings.db, "--reader", "A")
    assert code == 5
    assert "D10" in err


def _closest(scan):
    """The two nodes that lie nearest each other."""
    places = np.array([one.centroid_mm for one in scan.nodes])
    apart = np.linalg.norm(places[:, None] - places, axis=-1) + np.eye(len(places)) * 1e9
    first, second = np.unravel_index(apart.argmin(), apart.shape)
    return scan.nodes[first], scan.nodes[second]
