"""`lnscore report` on a real database: what is written, in which order, what never is."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

import lnscore
from db.errors import DatabaseError
from db.records import StationKey
from fake_report import AJCC_7, SECRETS, Engine, Hospital, Node, fill, uid
from lnscore.errors import Refusal
from lnscore.report import job as report_job
from lnscore.report import pages as study_pages_html
from lnscore.report import study as study_pages
from lnscore.short_names import folder_name

A = Engine()
DEMO = Engine("demo", trained=False, calibrated=False, points=(("p50", 0.5),))


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    yield made
    made.db.close()


def report(hospital: Hospital, study: str | None = None, out: str = "out"):
    return report_job.run(hospital.settings, hospital.root / out, study)


def page(hospital: Hospital, name: str, out: str = "out") -> Path:
    folder = study_pages.folder(hospital.root / out, folder_name(uid("study", name)))
    return folder / "index.html"


def table(hospital: Hospital, name: str) -> list[dict[str, str]]:
    with (hospital.root / "out" / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def times(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def read(path: Path) -> Tags:
    return Tags(path.read_text(encoding="utf-8"))


# --- what is written ---


def test_a_report_is_four_tables_an_index_and_a_folder_for_every_study(hospital: Hospital) -> None:
    made = fill(hospital)
    report(hospital)
    folders = {f"studies/{folder_name(one)}/{name}" for one in made for name in PAIR}
    tables = {"index.html", "nodes.csv", "problems.csv", "stations.csv", "studies.csv"}
    assert set(contents(hospital.root / "out")) == tables | folders


PAIR = ("index.html", "study.json")


def test_every_study_json_fits_the_published_schema(hospital: Hospital) -> None:
    fill(hospital)
    report(hospital)
    schema = Path(lnscore.__file__).parent / "data" / "study.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    files = list((hospital.root / "out").rglob("study.json"))
    assert len(files) == 5
    for file in files:
        validator.validate(json.loads(file.read_text()))


def test_nodes_are_sorted_by_the_newest_engines_probability(hospital: Hospital) -> None:
    study = hospital.add_study("a", [Node(0.9, "x"), Node(0.1, "y"), Node(0.5, "z")], Engine("old"))
    hospital.score(study, [0.2, 0.7, None], A)
    report(hospital)
    found = json.loads((page(hospital, "a").parent / "study.json").read_text())["nodes"]
    assert [(node["label"], node["number"]) for node in found] == [("y", 1), ("x", 2), ("z", 3)]
    order = [row["label"] for row in table(hospital, "nodes.csv") if row["engine"] == "old"]
    assert order == ["y", "x", "z"]
    assert re.findall(r'<article class="node" id="node-(\d)"', page(hospital, "a").read_text()) == [
        "1",
        "2",
        "3",
    ]


def test_equal_probabilities_keep_the_order_of_the_patches(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5, label) for label in "cab"], A)
    report(hospital)
    assert [row["label"] for row in table(hospital, "nodes.csv")] == ["c", "a", "b"]


def test_the_table_holds_raw_and_calibrated_probability_and_engine(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.25, "LN 7", AJCC_7, "Subcarinal")], A)
    report(hospital)
    (row,) = table(hospital, "nodes.csv")
    assert (row["probability"], row["engine"], row["trained"]) == ("0.25", A.name, "1")
    assert float(row["calibrated_probability"]) == pytest.approx(0.25**1.3, abs=1e-6)
    assert (row["station_system"], row["station_code"]) == ("AJCC8", "7")
    assert (row["short_axis_mm"], row["long_axis_mm"], row["calls"]) == (
        "10",
        "12",
        "screening=0 surgery=0",
    )


def test_every_node_has_three_described_pictures(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.5), Node(0.4, axes_mm=None)], A)
    report(hospital)
    alts = [image["alt"] for image in read(page(hospital, "a")).all("img")]
    assert alts == [
        f"{plane} CT through node {number}, the node {what} in yellow"
        for number, what in ((1, "outlined"), (2, "marked by a cross"))
        for plane in ("Axial", "Coronal", "Sagittal")
    ]


def test_a_node_without_a_score_is_shown_after_those_with_one(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(None, "later"), Node(0.01, "first")], A)
    report(hospital)
    rows = table(hospital, "nodes.csv")
    assert [(row["label"], row["probability"]) for row in rows] == [
        ("first", "0.01"),
        ("later", ""),
    ]
    assert "not scored yet" in read(page(hospital, "a")).text


@pytest.mark.parametrize(("engine", "warns"), [(A, False), (DEMO, True)])
def test_an_untrained_engine_is_warned_of_on_page_and_index(
    hospital: Hospital, engine: Engine, warns: bool
) -> None:
    hospital.add_study("a", [Node(0.5)], engine)
    report(hospital)
    for path in (page(hospital, "a"), hospital.root / "out" / "index.html"):
        assert ("its probabilities mean nothing" in read(path).text) is warns


def test_an_engine_of_phantoms_is_warned_of_wherever_an_untrained_one_is(
    hospital: Hospital,
) -> None:
    hospital.add_study("a", [Node(0.9)], Engine("phantoms", phantom=True))
    report(hospital)
    for path in (page(hospital, "a"), hospital.root / "out" / "index.html"):
        text = read(path).text
        assert (
            "Engine “phantoms” was trained on phantoms: its probabilities mean nothing for "
            "patients." in text
        )
        html = path.read_text()
        assert '<span class="chip warn">trained on phantoms</span>' in html
        assert 'class="bar meaningless"' in html
        assert "untrained" not in html.lower()
    for name in ("nodes.csv", "studies.csv"):
        (row,) = table(hospital, name)
        assert (row["trained"], row["trained_on_phantoms"]) == ("1", "1")


def test_every_page_says_research_use_only(hospital: Hospital) -> None:
    fill(hospital)
    report(hospital)
    pages = list((hospital.root / "out").rglob("*.html"))
    assert len(pages) == 6
    assert all("Research use only." in read(path).text for path in pages)


def test_what_was_refused_or_waits_is_in_index_and_table(hospital: Hospital) -> None:
    fill(hospital)
    summary = report(hospital)
    text = read(hospital.root / "out" / "index.html").text
    rows = table(hospital, "problems.csv")
    assert {row["code"] for row in rows} == {"F01", "G03", "M03"}
    assert all(row["found"] in text and row["fix"] in text for row in rows)
    assert (summary.problems, summary.exit_code) == (3, 0)


def test_a_refused_series_is_told_once(hospital: Hospital) -> None:
    told = {"status": "quarantined", "code": "G03", "reason": "a gap"}
    study = hospital.add_study("a", (), **told)
    hospital.refuse("G03", "a gap", study, scope="series", series_uid=uid("series", "a"))
    report(hospital)
    assert [row["code"] for row in table(hospital, "problems.csv")] == ["G03"]
    assert table(hospital, "studies.csv")[0]["status"] == "refused"


def test_more_problems_than_a_page_holds_are_all_in_the_table(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_pages_html, "PROBLEMS_SHOWN", 2)
    for number in range(5):
        hospital.refuse("F01", f"file {number}")
    report(hospital)
    assert len(table(hospital, "problems.csv")) == 5
    assert "The latest 2 of 5" in read(hospital.root / "out" / "index.html").text


def test_a_superseded_revision_is_not_reported(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.9, "old")], A)
    hospital.add_study("a", [Node(None, "new")], None)
    report(hospital)
    assert [row["label"] for row in table(hospital, "nodes.csv")] == ["new"]


# --- one study ---


def test_one_study_is_reported_alone(hospital: Hospital) -> None:
    made = fill(hospital)
    summary = report(hospital, made[1])
    assert {row["study_uid"] for row in table(hospital, "nodes.csv")} == {made[1]}
    assert summary.studies == 1
    assert len(list((hospital.root / "out" / "studies").iterdir())) == 1


def test_one_study_in_the_folder_of_all_leaves_the_index_of_all(hospital: Hospital) -> None:
    made = fill(hospital)
    report(hospital)
    hospital.score(made[2], [0.3, 0.2, 0.1], A)
    before = contents(hospital.root / "out")
    summary = report(hospital, made[2])
    after = contents(hospital.root / "out")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"studies/{folder_name(made[2])}/{name}" for name in PAIR}
    assert summary.lines()[-1] == f"Open {page(hospital, 'c')}"


def test_all_studies_in_the_folder_of_one_make_the_index_of_all(hospital: Hospital) -> None:
    made = fill(hospital)
    report(hospital, made[0])
    report(hospital)
    assert len(table(hospital, "studies.csv")) == 5


def test_a_study_of_which_only_the_refusal_is_known_is_a_report_of_that(hospital: Hospital) -> None:
    fill(hospital)
    summary = report(hospital, uid("study", "f"))
    assert (summary.studies, summary.problems) == (0, 1)


def test_an_unknown_study_is_refused_and_nothing_is_written(hospital: Hospital) -> None:
    fill(hospital)
    with pytest.raises(Refusal, match=r"R01: no study 1\.2\.3 among the 5 of this database"):
        report(hospital, "1.2.3")
    assert not (hospital.root / "out").exists()


def command(hospital: Hospital, *more: str) -> subprocess.CompletedProcess[str]:
    out = str(hospital.root / "out")
    arguments = ["report", "--out", out, "--db", hospital.settings.db, *more]
    return subprocess.run(
        [sys.executable, "-P", "-m", "lnscore", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_leaves_with_1_and_one_sentence_for_an_unknown_study(
    hospital: Hospital,
) -> None:
    done = command(hospital, "--study", "1.2.3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error R01: no study 1.2.3 among the 0 of this database; "
        "wanted the StudyInstanceUID of a study that was ingested. "
        "Ingest it, or leave --study out: studies.csv then names every UID.\n"
    )


def test_the_command_says_what_it_wrote_and_what_to_open(hospital: Hospital) -> None:
    fill(hospital)
    done = command(hospital)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "5 studies, 10 nodes, 7 scored; 5 pages written, 0 already current",
        "3 refused or waiting: listed in the index",
        f"Open {hospital.root / 'out' / 'index.html'}",
    ]


def test_the_command_leaves_with_3_where_pictures_are_missing(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.8)], A)
    lose(hospital)
    done = command(hospital, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["exit_code"]) == (3, 3)
    assert summary["lacking"] == [folder_name(uid("study", "a"))]


def test_a_database_that_is_not_there_is_refused(tmp_path: Path, hospital: Hospital) -> None:
    settings = hospital.settings.model_copy(update={"db": str(tmp_path / "none.db")})
    with pytest.raises(DatabaseError, match="D01"):
        report_job.run(settings, tmp_path / "out")


def test_an_empty_database_is_a_report_too(hospital: Hospital) -> None:
    summary = report(hospital)
    assert (summary.studies, summary.exit_code) == (0, 0)
    assert "No study yet" in read(hospital.root / "out" / "index.html").text


# --- again, and killed ---


def test_a_second_report_touches_no_file(hospital: Hospital) -> None:
    fill(hospital)
    report(hospital)
    before = times(hospital.root / "out")
    summary = report(hospital)
    assert times(hospital.root / "out") == before
    assert (summary.pages_written, summary.pages_current) == (0, 5)


def test_the_same_database_gives_the_same_bytes(hospital: Hospital) -> None:
    fill(hospital)
    report(hospital, out="one")
    report(hospital, out="two")
    assert contents(hospital.root / "one") == contents(hospital.root / "two")


def test_a_new_score_renews_the_page_of_its_study_only(hospital: Hospital) -> None:
    made = fill(hospital)
    report(hospital)
    hospital.score(made[2], [0.3, 0.2, 0.1], A)
    summary = report(hospital)
    assert (summary.pages_written, summary.pages_current) == (1, 4)
    assert "0.300" in read(page(hospital, "c")).text


def test_a_page_of_other_templates_is_renewed(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(hospital)
    report(hospital)
    monkeypatch.setattr(study_pages, "makers_sha256", lambda: b"other")
    assert report(hospital).pages_written == 5


def test_a_run_that_dies_leaves_whole_pages_and_the_old_tables(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(hospital)
    report(hospital)
    before = contents(hospital.root / "out")
    for study in made[:3]:
        hospital.score(study, [0.5] * {0: 5, 1: 2, 2: 3}[made.index(study)], Engine("new"))
    real, calls = study_pages_html.study_page, []

    def dies_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(study_pages_html, "study_page", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        report(hospital)
    after = contents(hospital.root / "out")
    assert set(after) == set(before)
    assert {n: b for n, b in after.items() if "/" not in n} == {
        n: b for n, b in before.items() if "/" not in n
    }
    assert all(b.endswith((b"</html>", b"}\n")) for n, b in after.items() if "/" in n)


KILLED = """
import os, signal, sys
from pathlib import Path
from ground import whole_files
from lnscore.report import job
from lnscore.settings import Settings
left = int(sys.argv[3])
real = os.fsync
def fsync(file):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(file)
whole_files.os.fsync = fsync
job.run(Settings(db=sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("moment", [0, 3, 7])
def test_after_a_kill_every_named_file_is_whole_and_a_second_run_ends_the_report(
    hospital: Hospital, moment: int
) -> None:
    fill(hospital)
    report(hospital, out="undisturbed")
    wanted = contents(hospital.root / "undisturbed")
    out = hospital.root / "out"
    arguments = [hospital.settings.db, str(out), str(moment)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert killed.returncode == -9
    named = {n: b for n, b in contents(out).items() if not n.endswith(".half")}
    assert named == {name: wanted[name] for name in named}
    assert len(named) == moment
    report(hospital)
    ended = {n: b for n, b in contents(out).items() if not n.endswith(".half")}
    assert ended == wanted


# --- broken patches, broken rows ---


def damage(hospital: Hospital) -> None:
    """Turn one byte of the HU of the study that was stored last; the file still opens."""
    path = max(hospital.store.root.rglob("*.npy"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


def lose(hospital: Hospital) -> None:
    for path in hospital.store.root.rglob("*.npy"):
        path.unlink()


def lose_masks(hospital: Hospital) -> None:
    min(hospital.store.root.rglob("*.npy"), key=lambda path: path.stat().st_size).unlink()


@pytest.mark.parametrize(("harm", "code"), [(lose, "D16"), (lose_masks, "D16"), (damage, "D17")])
def test_lost_patches_cost_the_pictures_and_are_a_problem(
    hospital: Hospital, harm, code: str
) -> None:
    hospital.add_study("a", [Node(0.8, "LN 1"), Node(0.3)], A)
    harm(hospital)
    summary = report(hospital)
    shown = read(page(hospital, "a"))
    assert not shown.all("img")
    assert "No pictures" in shown.text
    assert "0.800" in shown.text
    assert [row["code"] for row in table(hospital, "problems.csv")] == [code]
    assert (summary.exit_code, summary.lacking) == (3, [folder_name(uid("study", "a"))])


def test_lost_patches_cost_no_other_study_its_pictures(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.8)], A)
    lose(hospital)
    hospital.add_study("b", [Node(0.8), Node(0.7)], A)
    report(hospital)
    assert len(read(page(hospital, "b")).all("img")) == 6


def test_restored_patches_bring_the_pictures_back(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.8)], A)
    kept = contents(hospital.store.root)
    lose(hospital)
    assert report(hospital).exit_code == 3
    again = report(hospital)
    assert (again.exit_code, again.pages_written) == (3, 0)
    for name, data in kept.items():
        (hospital.store.root / name).write_bytes(data)
    assert report(hospital).exit_code == 0
    assert len(read(page(hospital, "a")).all("img")) == 3


def test_a_study_whose_rows_do_not_fit_stops_no_other(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.8)], A, geometry={"affine": "PLANTED"})
    hospital.add_study("b", [Node(0.7)], A)
    summary = report(hospital)
    assert (summary.exit_code, summary.studies) == (3, 1)
    assert [row["code"] for row in table(hospital, "problems.csv")] == ["R03"]
    assert page(hospital, "b").exists()
    assert b"PLANTED" not in b"".join(contents(hospital.root / "out").values())


# --- hostile text, private text ---

SCRIPT = "<script>alert(1)</script>"


def test_markup_in_any_name_is_only_text(hospital: Hospital) -> None:
    station = StationKey("<b>", "v", SCRIPT)
    hospital.add_study(
        "a",
        [Node(0.5, f'"><img src=x onerror=alert(1)>{SCRIPT}', station, SCRIPT, warnings=(SCRIPT,))],
        Engine(f"</style>{SCRIPT}", trained=False, points=((SCRIPT, 0.4),)),
    )
    hospital.refuse("F01", SCRIPT, uid("study", "a"), wanted=SCRIPT, fix=SCRIPT)
    report(hospital)
    for path in (page(hospital, "a"), hospital.root / "out" / "index.html"):
        shown = read(path)
        assert not shown.all("script")
        assert all(str(image["src"]).startswith("data:image/png") for image in shown.all("img"))
        assert SCRIPT in shown.text


def test_formulas_in_any_name_are_only_text(hospital: Hospital) -> None:
    formula = '=HYPERLINK("http://planted.test","x")'
    station = StationKey(formula, formula, formula)
    hospital.add_study(
        "a", [Node(0.5, formula, station, formula)], Engine(formula, points=((formula, 0.4),))
    )
    hospital.refuse("F01", formula, wanted=formula, fix=formula)
    report(hospital)
    for name in ("nodes.csv", "studies.csv", "problems.csv"):
        cells = [cell for row in table(hospital, name) for cell in row.values()]
        assert any(formula in cell for cell in cells)
        assert not any(cell.startswith("=") for cell in cells)


def test_no_name_number_or_path_of_a_patient_is_written(hospital: Hospital) -> None:
    fill(hospital)
    reason = f"/inbox/{SECRETS[0]}/x.dcm cannot be read"
    hospital.add_study("g", (), status="waiting", code="M03", reason=reason)
    lose(hospital)
    report(hospital)
    written = contents(hospital.root / "out")
    everything = b"\n".join([*written.values(), *map(str.encode, written)]).decode()
    found = [secret for secret in (*SECRETS, str(hospital.root)) if secret in everything]
    assert not found


def test_pages_have_a_policy_that_lets_nothing_in(hospital: Hospital) -> None:
    fill(hospital)
    report(hospital)
    for path in (hospital.root / "out").rglob("*.html"):
        policies = [
            meta["content"]
            for meta in read(path).all("meta")
            if meta.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policies) == 1
        assert str(policies[0]).startswith("default-src 'none'; style-src 'unsafe-inline'; ")


# --- many ---


def test_two_hundred_nodes_fit_one_page(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(i / 200, axes_mm=(4.0, 4.0, 4.0)) for i in range(200)], A)
    report(hospital)
    assert len(read(page(hospital, "a")).all("img")) == 600
    assert [row["node"] for row in table(hospital, "nodes.csv")] == [
        str(number) for number in range(1, 201)
    ]


def test_two_hundred_studies_are_two_hundred_rows_and_links(hospital: Hospital) -> None:
    for number in range(200):
        hospital.add_study(f"s{number}", (), date=f"2026-{number % 12 + 1:02d}-01")
    report(hospital)
    links = [one["href"] for one in read(hospital.root / "out" / "index.html").all("a")]
    pages = [hospital.root / "out" / str(link) for link in links if "studies/" in str(link)]
    assert len(set(pages)) == 200
    assert all(path.is_file() for path in pages)
    dates = [row["study_date"] for row in table(hospital, "studies.csv")]
    assert dates == sorted(dates, reverse=True)
