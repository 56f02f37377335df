"""The shipped engine is named demo, small, and says how to make it again."""

from pathlib import Path

import pytest

from engines import bundle as bundles
from fake_run import finished_run
from trainer.bundle import ship
from trainer.errors import TrainerError

pytest_plugins = ["exported_once"]
pytestmark = pytest.mark.usefixtures("each_graph_once")


@pytest.mark.slow
def test_a_run_becomes_a_small_bundle_named_demo(tmp_path: Path) -> None:
    """Over 10 s, of the exporter, where no other test has exported the same network."""
    before = "lnscore phantom --direct phantoms.db --like-paper"
    ship.main([str(finished_run(tmp_path / "run")), str(tmp_path / "new"), "--before", before])
    bundle = bundles.read(tmp_path / "new")
    assert bundle.name == "demo"
    assert "fp32" in bundle.manifest.models
    assert 3 <= len(bundle.golden().patches) <= ship.GOLDEN_NODES
    assert bundle.manifest.how_to_make_again.startswith(f"{before} && lnscore train --stage ")
    assert sum(path.stat().st_size for path in bundle.path.iterdir()) <= ship.MAX_BYTES


def test_a_large_one_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship, "MAX_BYTES", 1_000_000)
    with pytest.raises(TrainerError, match=r"^T36: an engine of \d+\.\d MB; wanted at most 1 MB"):
        ship.ship(finished_run(tmp_path / "run"), tmp_path / "new")
    assert not (tmp_path / "new").exists()
