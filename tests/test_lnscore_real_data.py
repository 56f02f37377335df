"""Three commands on real CT: structure sets in, a score for every structure, a report out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no research data beside the checkout"),
]


def lnscore(*words: object) -> dict:
    command = [sys.executable, "-P", "-m", "lnscore", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lungs(tmp_path_factory) -> tuple[dict, dict, Path]:
    folder = tmp_path_factory.mktemp("lungs")
    database = ("--db", folder / "study.db")
    ingested = lnscore("ingest", DATA / "lung-rtstruct", *database, "--jobs", 2)
    scored = lnscore("score", "--pending", *database)
    lnscore("report", "--out", folder / "report", *database)
    return ingested, scored, folder / "report"


def test_four_structures_of_four_real_scans_are_ingested_and_scored(lungs):
    ingested, scored, _ = lungs
    assert (ingested["exit_code"], ingested["series"]["new"], ingested["nodes"]) == (0, 4, 4)
    assert (scored["exit_code"], scored["added"]) == (0, 4)


def test_every_real_node_is_on_a_page_with_its_size_and_score(lungs):
    pages = sorted(lungs[2].glob("studies/*/index.html"))
    facts = [json.loads((page.parent / "study.json").read_text()) for page in pages]
    assert len(facts) == 4
    for page, study in zip(pages, facts, strict=True):
        (node,) = study["nodes"]
        assert node["label"] == "GTV-1"
        assert 20 < node["short_axis_mm"] < node["long_axis_mm"] < 110
        assert 0 < node["scores"][0]["probability"] < 1
        assert page.read_text().count("data:image/png") == 3


def test_the_volumes_are_those_of_an_independent_computation(lungs):
    """Shoelace area of every contour times the slice spacing, from the raw files."""
    found, wanted = [], []
    for page in lungs[2].glob("studies/*/study.json"):
        found.append(json.loads(page.read_text())["nodes"][0]["volume_mm3"])
    for file in (DATA / "lung-rtstruct").rglob("*.dcm"):
        wanted += shoelace_volumes(file)
    assert sorted(found) == pytest.approx(sorted(wanted), rel=0.02)


def shoelace_volumes(file: Path) -> list[float]:
    import numpy as np
    from pydicom import dcmread

    dataset = dcmread(file, stop_before_pixels=True)
    if dataset.Modality != "RTSTRUCT":
        return []
    total = 0.0
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        x, y, _ = np.reshape(np.array(contour.ContourData, float), (-1, 3)).T
        total += abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2 * 3.0
    return [total]


def test_a_real_head_and_neck_scan_takes_points_placed_by_hand(tmp_path):
    points = tmp_path / "points.csv"
    points.write_text("x,y,z,name\n256,-256,-150,by hand\n300,-200,-100,by hand too\n")
    ingested = lnscore(
        "ingest", DATA / "head-neck-ct", "--points", points, "--coord", "LPS_MM",
        "--db", tmp_path / "study.db",
    )  # fmt: skip
    assert ingested["nodes"] == 2


def test_segs_of_another_toolkit_are_ingested_or_refused_by_name(tmp_path):
    ingested = lnscore("ingest", DATA / "seg-dcmqi", "--db", tmp_path / "study.db")
    assert ingested["nodes"] >= 9
    assert {one["code"] for one in ingested["refused"]} <= {"S15"}
