"""A run is begun, or gone on with where all that it states is equal."""

from pathlib import Path

import pytest

from fake_training import TINY, make_cohort, quick, quick_ssl
from trainer.data.cohort import Cohort
from trainer.errors import TrainerError
from trainer.runs.directory import open_run, put_json, read_json
from trainer.semi_supervised.run import facts_of, read_source


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return make_cohort(patients=8)


def source(folder: Path, **facts: object) -> Path:
    """A supervised run named `first`."""
    whole = {"stage": "supervised", "config": TINY.model_dump(mode="json"), "network": "2.5d"}
    whole |= {"values": quick().model_dump(mode="json"), "reader": "radiologist"}
    root = folder / "first"
    root.mkdir(parents=True)
    put_json(root / "run.json", whole | {"split_seed": 0, "pretrained": "none"} | facts)
    return root


def test_a_run_of_an_older_version_used_all_labels(tmp_path: Path) -> None:
    root = open_run(tmp_path / "run", {"stage": "supervised"}, resume=False)
    open_run(root, {"stage": "supervised", "labelled_share": 1.0}, resume=True)
    with pytest.raises(TrainerError, match=r"^T11: .* begun with another labelled_share; wanted"):
        open_run(root, {"stage": "supervised", "labelled_share": 0.5}, resume=True)


def test_a_run_does_not_go_on_from_another_source_of_the_same_name(
    tmp_path: Path, cohort: Cohort
) -> None:
    mine = source(tmp_path / "mine")
    other = source(tmp_path / "other", positive=7)
    facts, others = (facts_of(read_source(at), quick_ssl(), cohort) for at in (mine, other))
    root = open_run(tmp_path / "second", facts, resume=False)
    open_run(root, facts, resume=True)
    with pytest.raises(TrainerError, match=r"^T11: .* begun with another from_sha256; wanted"):
        open_run(root, others, resume=True)


def test_a_run_that_does_not_state_its_sources_hash_goes_on(tmp_path: Path, cohort: Cohort) -> None:
    facts = facts_of(read_source(source(tmp_path)), quick_ssl(), cohort)
    older = {name: value for name, value in facts.items() if name != "from_sha256"}
    root = open_run(tmp_path / "second", older, resume=False)
    open_run(root, facts, resume=True)
    assert "from_sha256" not in read_json(root / "run.json")
