"""`lnscore train --stage ssl` and `lnscore train ledger` on a phantom database, from end to end."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select, update

from command_line import Run
from db import cohort, station_status
from db.schema import FindingRow, Label, PathologyReport
from db.session import open_database
from fake_phantoms import copy_of, filled

pytest_plugins = ["command_line"]
SMALL = (
    "--network", "2.5d", "--profile", "scratch", "--set", "variant=small", "--set",
    "fpn_channels=8", "--set", "group_stride=3", "--set", "backbone_width=0.25", "--set",
    "input_upsample=0.5", "--fold", "0", "--no-engine",
)  # fmt: skip
STAGE = (
    "--stage", "ssl", "--profile", "scratch", "--fold", "0", "--no-engine", "--epochs", "1",
    "--set", "labelled_batch=4", "--set", "unlabelled_batch=8", "--set", "malignant_rule=top1",
)  # fmt: skip


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    """Sixteen labelled patients and six without labels, with pathology."""
    return copy_of(filled(tmp_path_factory), tmp_path_factory.mktemp("ssl") / "own")


@pytest.fixture(scope="module")
def folder(phantoms: Path) -> Path:
    return phantoms.parent / "runs"


@pytest.fixture
def first(lnscore: Run, phantoms: Path, folder: Path) -> Path:
    """The supervised run, made once."""
    if not (folder / "first" / "fold-0" / "done.json").exists():
        code, out, err = lnscore(
            "train", "--stage", "supervised", *SMALL, "--epochs", "1", "--name", "first",
            "--out", folder, "--db", phantoms,
        )  # fmt: skip
        assert code == 0, out + err
    return folder / "first"


def turn_pathology(database: Path, keys: set[str]) -> None:
    """Positive to negative and back, in the reports of some patients."""
    with open_database(str(database)) as opened, opened.begin() as session:
        theirs = select(PathologyReport.id).where(PathologyReport.patient_key.in_(keys))
        for finding in session.scalars(select(FindingRow).where(FindingRow.report_id.in_(theirs))):
            status = {"positive": "negative", "negative": "positive"}.get(finding.status)
            session.execute(
                update(FindingRow)
                .where(FindingRow.id == finding.id)
                .values(status=status or finding.status, n_examined=None, n_positive=None)
            )


def parts(run: Path) -> dict[str, list[str]]:
    return json.loads((run / "fold-0" / "split.json").read_text())


def train(lnscore: Run, database: Path, first: Path, out: Path, *words: str) -> Path:
    code, said, err = lnscore(
        "train", *STAGE, *words, "--from", first, "--name", "second", "--out", out, "--db", database
    )
    assert code == 0, said + err
    return out / "second"


@pytest.mark.slow
def test_pathology_of_patients_with_labels_changes_no_byte(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path
) -> None:
    told = parts(first)
    with_labels = {key for part in ("train", "validation", "test") for key in told[part]}
    assert not with_labels & set(told["unlabelled"])
    changed = copy_of(phantoms, tmp_path / "changed")
    turn_pathology(changed, with_labels)
    one = train(lnscore, phantoms, first, tmp_path / "one")
    other = train(lnscore, changed, first, tmp_path / "other")
    for file in ("last.safetensors", "best.safetensors", "ledger.parquet"):
        assert (one / "fold-0" / file).read_bytes() == (other / "fold-0" / file).read_bytes()
    hidden = copy_of(phantoms, tmp_path / "hidden")
    turn_pathology(hidden, set(told["unlabelled"]))
    third = train(lnscore, hidden, first, tmp_path / "third")
    ledger = "fold-0/ledger.parquet"
    assert (one / ledger).read_bytes() != (third / ledger).read_bytes()


@pytest.mark.slow
def test_only_series_of_unlabelled_patients_are_asked_for(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    statuses = station_status.statuses

    def watched(session, *, series_ids):
        asked.extend(series_ids)
        return statuses(session, series_ids=series_ids)

    monkeypatch.setattr(station_status, "statuses", watched)
    train(lnscore, phantoms, first, tmp_path)
    with open_database(str(phantoms)) as database, database.read() as session:
        keys = {node.series_id: node.patient_key for node in cohort.nodes(session)}
    assert {keys[series] for series in asked} == set(parts(first)["unlabelled"])


@pytest.mark.slow
def test_a_report_after_therapy_leaves_its_nodes_out_and_counts_them(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path
) -> None:
    changed = copy_of(phantoms, tmp_path / "treated")
    treated = parts(first)["unlabelled"][:2]
    with open_database(str(changed)) as opened, opened.begin() as session:
        theirs = PathologyReport.patient_key.in_(treated)
        session.execute(update(PathologyReport).where(theirs).values(neoadjuvant="chemoradio"))
    run = train(lnscore, changed, first, tmp_path / "runs")
    facts = json.loads((run / "run.json").read_text())
    counts = facts["unlabelled"]
    assert counts["P10"] > 0
    assert counts["nodes"] + counts["P10"] == 18


@pytest.mark.slow
def test_all_labels_read_the_truth_of_unlabelled_patients_only(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path
) -> None:
    words = ("--method", "supervised", "--set", "truth_reader=phantom-truth")
    one = train(lnscore, phantoms, first, tmp_path / "one", *words)
    changed = copy_of(phantoms, tmp_path / "changed")
    with open_database(str(changed)) as opened, opened.begin() as session:
        known = select(Label.lymph_node_id).where(Label.reader == "radiologist")
        of_known = Label.reader == "phantom-truth", Label.lymph_node_id.in_(known)
        session.execute(update(Label).where(*of_known).values(value=1 - Label.value))
    other = train(lnscore, changed, first, tmp_path / "other", *words)
    file = "fold-0/last.safetensors"
    assert (one / file).read_bytes() == (other / file).read_bytes()
    unknown = lnscore(
        "train", *STAGE, "--method", "supervised", "--set", "truth_reader=nobody", "--from", first,
        "--name", "none", "--out", tmp_path, "--db", phantoms,
    )  # fmt: skip
    assert unknown[0] == 1
    assert "T51: no labels of unlabelled patients' nodes by reader 'nobody'" in unknown[2]


@pytest.mark.slow
def test_a_value_that_the_method_does_not_read_is_told(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path
) -> None:
    code, said, err = lnscore(
        "train", *STAGE, "--method", "mean-teacher", "--set", "beta=0.6", "--from", first,
        "--out", tmp_path, "--db", phantoms,
    )  # fmt: skip
    assert code == 0, err
    assert "warning: mean-teacher does not read --set malignant_rule, beta\n" in said


@pytest.mark.slow
def test_the_ledger_is_read_judged_and_drawn(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path
) -> None:
    run = train(lnscore, phantoms, first, tmp_path / "runs")
    out = tmp_path / "pictures"
    code, said, _ = lnscore("train", "ledger", run, "--db", phantoms, "--out", out, "--json")
    assert code == 0
    told = json.loads(said)
    assert told["truth"] == "phantom-truth"
    epoch = told["folds"][0]["epochs"][0]
    assert epoch["malignant"] > 0
    assert 0 <= epoch["right_malignant"] <= 1
    assert {path.name for path in out.iterdir()} == set(told["files"])
    assert all(path.stat().st_size > 100 for path in out.iterdir())
    code, said, _ = lnscore("train", "ledger", run, "--db", phantoms, "--truth", "nobody")
    assert code == 0
    assert "no reader has labelled these nodes" in said
    assert "malignant_top1" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "U05: --stage ssl without --from"),
        (("--from", "{first}", "--batch", "8"), "U05: --batch 8 with --stage ssl"),
        (("--from", "{first}", "--set", "betta=1"), "U05: betta: Extra inputs are not permitted"),
        (("--from", "{first}", "--method", "magic"), "U05: method: Input should be 'pgls'"),
        (("--from", "{first}", "--profile", "magic"), "U05: --profile magic"),
        (("--from", "{first}/none"), "T52: "),
        (
            ("--from", "{first}", "--labelled-share", "0.5"),
            "U05: --labelled-share 0.5 with --stage ssl; wanted 1.0, as in the supervised run.",
        ),
        (("--from", "{first}", "--reader", "other"), "U05: --reader other with --stage ssl"),
    ],
)
def test_what_does_not_fit_is_refused(
    lnscore: Run, phantoms: Path, first: Path, tmp_path: Path, words: tuple, told: str
) -> None:
    filled = [word.format(first=first) for word in words]
    code, _, err = lnscore("train", "--stage", "ssl", *filled, "--out", tmp_path, "--db", phantoms)
    assert code == 1
    assert told in " ".join(err.split())


def test_a_stage_that_is_none_is_refused(lnscore: Run, phantoms: Path) -> None:
    code, _, err = lnscore("train", "--stage", "third", "--db", phantoms)
    assert code == 1
    assert "U05: --stage third; wanted pretrain or supervised or ssl." in " ".join(err.split())


def test_a_run_without_a_ledger_is_refused(lnscore: Run, phantoms: Path, first: Path) -> None:
    code, _, err = lnscore("train", "ledger", first, "--db", phantoms)
    assert code == 1
    assert "T55: " in err
