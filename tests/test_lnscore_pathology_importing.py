"""`lnscore pathology import` through the command line: all of a file or nothing of it."""

import hashlib
import json
import sqlite3

import pytest

from fake_registry import ROW, Registry, table


@pytest.fixture
def registry(tmp_path) -> Registry:
    return Registry(tmp_path)


P01 = "station_system missing; '7' is ambiguous (AJCC8 subcarinal / JES left gastric)"
P02 = "station '106recX' not in JES11; did you mean 106recR, 106recL?"
DATE = (
    "station '2026-01-02' not in JES11; a spreadsheet may have turned '1-2' into a date: "
    "format the column as text and type it again"
)
SAID = [
    ({"station_system": "", "station": "7"}, f"P01 E 2: {P01}"),
    ({"station": "106recX"}, f"P02 E 2: {P02}"),
    ({"n_examined": "2", "n_positive": "3"}, "P03 E 2: n_positive 3 > n_examined 2"),
    ({"n_positive": "1", "status": "negative"}, "P04 E 2: status 'negative' but n_positive 1"),
    ({"n_examined": "", "n_positive": ""},
     "P05 W 2: n_examined 0 or blank: stored as not_sampled, not negative"),
    ({"n_examined": "0"}, "P05 W 2: n_examined 0 or blank: stored as not_sampled, not negative"),
    ({"station": "105+108+110", "n_positive": "1"},
     "P06 I 2: merged 105+108+110 positive: weak label over 3 stations"),
    ({"patient_key": "K17"}, "P07 E 2: no patient 'K17' in the study DB (use `--allow-pending`)"),
    ({"surgery_date": "2026-04-15", "report_date": "2026-04-20"},
     "P09 W 2: CT is 74 d before surgery (limit 60)"),
    ({"surgery_date": "2026-01-20"},
     "P10 W 2: CT after surgery, or neoadjuvant therapy between: excluded from training"),
    ({"neoadjuvant": "chemo"},
     "P10 W 2: CT after surgery, or neoadjuvant therapy between: excluded from training"),
    ({"n_positive": "３"}, "P11 W 2: '３' parsed as 3"),
    ({"n_positive": "2.0"}, "P11 W 2: '2.0' parsed as 2"),
    ({"n_positive": "1/5", "n_examined": ""},
     "P11 W 2: '1/5' parsed as 1 positive of 5 examined"),
    ({"n_positive": ">3"}, "P11 E 2: '>3' is not a whole number"),
    ({"station": "106rec"}, "P13 E 2: station side missing ('106rec'): 106recR or 106recL"),
    ({"report_id": ""}, "P15 E 2: report_id missing"),
    ({"surgery_date": "20261399"},
     "P16 W 2: surgery_date '20261399' is not a date: stored as null"),
    ({"surgery_date": "03/04/2020"},
     "P16 E 2: surgery_date '03/04/2020' may be day 3 of month 4 or day 4 of month 3; "
     "state the order, with --dates DMY or --dates MDY"),
    ({"status": "benign"}, "P22 E 2: status 'benign' not known; "
     "wanted positive, negative, not_sampled or indeterminate"),
    ({"report_id": "S26\u200b-1"}, "P23 W 2: report_id: invisible characters were removed"),
    ({"n_positive": ""}, "P25 W 2: 4 examined, positive not given: stored as indeterminate"),
    ({"station": "2026-01-02"}, f"P02 E 2: {DATE}"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), SAID, ids=[one.split(":")[0] for _, one in SAID])
def test_what_does_not_fit_is_said_and_an_error_stops_the_import(registry, change, sentence):
    told = registry.messages(table(change))
    assert sentence in told
    stopped = any(" E " in one for one in told)
    assert registry.exit_code == (1 if stopped else 0)
    assert len(registry.rows("finding")) == (0 if stopped else 1)


def test_one_error_among_good_rows_leaves_nothing(registry):
    before = registry.rows("run"), registry.rows("audit_log")
    done = registry.run("import", registry.file(table({}, {"station": "106recX"})))
    assert done.exit_code == 1
    assert "nothing was written" in done.stdout
    assert registry.rows("pathology_report") == registry.rows("finding") == []
    assert (registry.rows("run"), registry.rows("audit_log")) == before


def test_every_message_is_printed_with_row_and_column(registry):
    done = registry.run("import", registry.file(table({"station": "106recX"})))
    assert f"error P02: row 2, column station: {P02}" in done.stdout.splitlines()


def test_a_row_that_repeats_is_used_once(registry):
    told = registry.messages(table({}, {}))
    assert told == ["P12 W 3: duplicate row (same report + station): used once"]
    assert len(registry.rows("finding")) == 1


def test_a_row_that_contradicts_one_above_is_an_error(registry):
    told = registry.messages(table({}, {"n_positive": "1"}))
    assert told == ["P12 E 3: duplicate row (same report + station) differs from row 2"]


def test_rows_of_one_report_have_one_date(registry):
    told = registry.messages(table({}, {"station": "105", "report_date": "2026-02-11"}))
    assert told == ["P24 E 3: report_date 2026-02-11; row 2 of the report has 2026-02-10"]


def test_a_changed_report_is_told_and_the_old_is_kept(registry):
    registry.messages(table({"n_positive": "1"}))
    told = registry.messages(table({}))
    assert told == [
        "P08 W 2: report conflicts with earlier one (positive→negative); newest wins, old kept: "
        "106recR"
    ]
    old, new = registry.rows("pathology_report")
    assert (old["superseded_by_id"], new["superseded_by_id"]) == (new["id"], None)
    assert len(registry.rows("finding")) == 2


def test_two_reports_of_one_patient_that_disagree_are_told(registry):
    other = {"report_id": "S26-2", "report_date": "2026-03-01", "n_positive": "2"}
    told = registry.messages(table({}, other))
    assert [one for one in told if one.startswith("P08")] == [
        "P08 W 3: report conflicts with earlier one (negative→positive); newest wins, old kept: "
        "106recR"
    ]
    assert [one["superseded_by_id"] for one in registry.rows("pathology_report")] == [None, None]


def test_the_same_file_again_adds_nothing(registry):
    registry.messages(table({}, {"station": "105"}))
    before = registry.rows("pathology_report"), registry.rows("finding")
    registry.messages(table({}, {"station": "105"}))
    assert (registry.rows("pathology_report"), registry.rows("finding")) == before


def test_the_files_hash_and_row_stay_with_each_finding(registry):
    content = table({}, {"station": "105"})
    registry.messages(content)
    (report,) = registry.rows("pathology_report")
    assert report["source_sha256"] == hashlib.sha256(content.encode()).hexdigest()
    assert [one["source_row"] for one in registry.rows("finding")] == [2, 3]


def test_an_unknown_patient_waits_where_that_is_allowed(registry):
    told = registry.messages(table({"patient_key": "K17"}), "--allow-pending")
    assert told == [
        "P07 I None: 1 of 1 patients are not known; no issuer was given: where the CTs have an "
        "IssuerOfPatientID, --issuer must be the same"
    ]
    assert [one["patient_key"] for one in registry.rows("pathology_report")] == [
        registry.key("K17")
    ]


def test_the_issuer_of_the_cts_is_part_of_the_key(registry):
    registry.ingest("K2", issuer="CLINIC")
    row = table({"patient_key": "K2"})
    assert registry.messages(row)[-1].startswith("P07 E 2: no patient 'K2'")
    assert registry.messages(row, "--issuer", "CLINIC") == []


@pytest.mark.parametrize("heading", ["patient_id", "pseudo_key"])
def test_a_key_file_says_who_an_id_is(registry, heading):
    who = "K1" if heading == "patient_id" else registry.key("K1")
    keys = registry.file(f"id,{heading}\nX9,{who}\n", "keys.csv")
    assert registry.messages(table({"patient_key": "X9"}), "--key-file", str(keys)) == []
    assert registry.rows("pathology_report")[0]["patient_key"] == registry.key("K1")


def test_an_id_that_the_key_file_lacks_is_an_error_without_the_id(registry):
    keys = registry.file("id,patient_id\nX9,K1\n", "keys.csv")
    told = registry.messages(table({"patient_key": "X8"}), "--key-file", str(keys))
    assert told == ["P20 E 2: the id of this row is not in the key file"]


def test_a_key_file_with_a_column_twice_is_refused(registry):
    keys = registry.file("id,patient_id,patient_id\nX9,K1,K2\n", "keys.csv")
    (told,) = registry.messages(table({"patient_key": "X9"}), "--key-file", str(keys))
    assert told.startswith("P20 E None: the key file has a column twice")


def test_a_key_file_that_names_one_id_twice_is_refused(registry):
    keys = registry.file("id,patient_id\nX9,K1\nX9,K2\n", "keys.csv")
    told = registry.messages(table({}), "--key-file", str(keys))
    assert told == [
        "P20 E None: row 3 of the key file has an id that is another's above; wanted one person "
        "for each id. Correct the key file."
    ]


def test_another_column_may_hold_the_ids(registry):
    content = (
        table({"patient_key": "wrong"})
        .replace("\n", ",K1\n")
        .replace("neoadjuvant,K1", "neoadjuvant,pid")
    )
    registry.messages(content, "--id-column", "pid")
    assert registry.rows("pathology_report")[0]["patient_key"] == registry.key("K1")


def test_nothing_personal_reaches_the_database(registry):
    path = registry.file(table({"report_id": "K1"}), "DOE_JANE.csv")
    assert registry.run("import", path, "--issuer", "").exit_code == 0
    with sqlite3.connect(registry.db) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "DOE_JANE" not in dump
    assert "'K1'" not in dump
    (run,) = [one for one in registry.rows("run") if one["kind"] == "pathology import"]
    assert json.loads(run["argv"])[2].startswith("sha256:")


def test_a_run_and_an_audit_record_are_kept(registry):
    registry.messages(table({}))
    (run,) = [one for one in registry.rows("run") if one["kind"] == "pathology import"]
    assert (run["exit_code"], json.loads(run["summary"])["findings"]) == (0, 1)
    assert registry.rows("audit_log")[-1]["action"] == "pathology import"


def test_another_run_that_holds_the_lock_is_waited_for_by_the_user(registry, monkeypatch, capsys):
    from db.lock import writer_lock
    from lnscore.cli import app as cli

    path = registry.file(table({}))
    words = ["lnscore", "pathology", "import", str(path), "--db", str(registry.db)]
    monkeypatch.setattr("sys.argv", words)
    with writer_lock(str(registry.db)), pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 5
    assert registry.rows("pathology_report") == []


def test_no_patient_without_a_database_is_refused(tmp_path, monkeypatch, capsys):
    from lnscore.cli import app as cli

    (tmp_path / "t.csv").write_text(table({}))
    words = ["lnscore", "pathology", "import", str(tmp_path / "t.csv"), "--db", str(tmp_path / "x")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    assert not (tmp_path / "x").exists()


GERMAN = table({"patient_key": "K1", "report_id": "Müller-7"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_ids_are_intact_in_any_encoding(registry, encoding):
    registry.messages(GERMAN.encode(encoding))
    assert registry.rows("pathology_report")[0]["report_id"] == "Müller-7"


def test_ids_are_intact_in_gb18030(registry):
    content = table({"report_id": "病理报告0号"}).encode("gb18030")
    registry.messages(content, "--encoding", "gb18030")
    assert registry.rows("pathology_report")[0]["report_id"] == "病理报告0号"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table({}).encode("utf-16"), "encoding: UTF-16"),
        (table({}).encode("utf-8-sig"), "byte order mark"),
        (table({}, delimiter=";").encode(), "delimiter: semicolon, detected"),
        (table({}, end="\r\n").encode(), "delimiter: comma, detected"),
    ],
)
def test_what_was_detected_is_said(registry, content, said):
    done = registry.run("import", registry.file(content))
    assert done.exit_code == 0
    assert said in done.stdout.splitlines()[0]


def test_a_formula_is_stored_as_it_is(registry):
    registry.messages(table({"report_id": "=HYPERLINK(1)"}))
    assert registry.rows("pathology_report")[0]["report_id"] == "=HYPERLINK(1)"


def test_a_station_named_like_markup_is_only_a_station_that_is_not_there(registry):
    told = registry.messages(table({"station": "<script>[red]"}))
    assert told == ["P02 E 2: station '<script>[red]' not in JES11"]


def test_a_preview_shows_rows_and_writes_nothing(registry):
    before = {path: path.read_bytes() for path in registry.folder.glob("lnscore.db")}
    path = registry.file(table({"n_positive": "1"}))
    done = registry.run("preview", path)
    assert done.exit_code == 0
    assert "106recR" in done.stdout
    assert "K1" not in done.stdout
    assert done.stdout.splitlines()[-1] == "an import would succeed"
    assert {path: path.read_bytes() for path in registry.folder.glob("lnscore.db")} == before


def test_a_preview_works_without_a_database(registry, tmp_path):
    path = registry.file(table({}))
    registry.db = tmp_path / "none.db"
    done = registry.run("preview", path)
    assert done.exit_code == 0
    assert "no database: patients and earlier reports were not looked up" in done.stdout
    assert not registry.db.exists()
    assert list(tmp_path.glob("none.db*")) == []


def test_json_lines_are_known_by_their_content(registry):
    lines = "".join(json.dumps(ROW | {"station": s}) + "\n" for s in ("105", "107"))
    done = registry.run("import", registry.file(lines, "export.txt"))
    assert done.exit_code == 0
    assert done.stdout.startswith("read as jsonl: 2 findings")
    assert len(registry.rows("finding")) == 2
