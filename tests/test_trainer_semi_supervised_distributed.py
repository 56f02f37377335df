"""The semi-supervised stage over two processes does what one does, to rounding."""

# ruff: noqa: TID253

from pathlib import Path

import pytest
import torch

from fake_training import TINY, make_cohort, quick, without_masks
from processes import run_ranks
from trainer.data.folds import assign
from trainer.networks.starting import Start
from trainer.runs import checkpoint
from trainer.runs.directory import BEST, LAST, put_json
from trainer.semi_supervised import ledger
from trainer.steps.distributed import Ranks, gathered
from trainer.supervised.run import SupervisedRun, train_folds

SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from fake_training import make_cohort, make_unlabelled, quick_ssl, without_masks
from trainer.steps import distributed
from trainer.data.folds import assign
from trainer.semi_supervised.run import SslRun, read_source, train_folds

ranks = distributed.start()
cohort = without_masks(make_cohort(patients=28, hidden=8))
config = quick_ssl(method=sys.argv[3], optimizer="sgd", learning_rate=1e-3, malignant_rule="top1")
job = SslRun(root=Path(sys.argv[1]), source=read_source(Path(sys.argv[2])), config=config,
             device=torch.device("cpu"), ranks=ranks, watch=lambda done, total, note: None)
train_folds(job, cohort, make_unlabelled(cohort), assign(cohort, 0)[:1])
distributed.stop(ranks)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A supervised run without dropout, which each process would draw for itself."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs") / "first"
    root.mkdir()
    cohort, config = without_masks(make_cohort(patients=28, hidden=8)), quick(epochs=1)
    network = TINY.model_copy(update={"dropout": 0.0})
    job = SupervisedRun(
        root=root,
        network=network,
        config=config,
        start=Start(),
        device=torch.device("cpu"),
        ranks=Ranks(),
        watch=lambda done, total, note: None,
    )
    train_folds(job, cohort, assign(cohort, 0)[:1])
    facts = {"stage": "supervised", "config": network.model_dump(mode="json")}
    put_json(root / "run.json", facts | {"values": config.model_dump(mode="json")})
    return root


def trained(folder: Path, source: Path, method: str, processes: int) -> Path:
    folder.mkdir()
    run_ranks(SCRIPT, folder, processes, str(folder / "run"), str(source), method)
    return folder / "run" / "fold-0"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pgls", "simmatch"])
def test_two_processes_end_with_the_weights_of_one(
    source: Path, tmp_path: Path, method: str
) -> None:
    places = [trained(tmp_path / f"{n}", source, method, n) for n in (1, 2)]
    one, two = (checkpoint.load(place / LAST)[0] for place in places)
    assert one.keys() == two.keys()
    start = checkpoint.load(source / "fold-0" / BEST)[0]
    names = [name for name, value in start.items() if value.is_floating_point()]
    moved, apart = (
        torch.cat([(one[name] - other[name]).flatten() for name in names]).norm()
        for other in (start, two)
    )
    assert moved > 0.05
    assert apart < 0.02 * moved
    if method == "pgls":
        first, second = (ledger.read(place / ledger.FILE) for place in places)
        assert first.drop("score").equals(second.drop("score"))
    if method == "simmatch":
        assert torch.allclose(one["state/bank"], two["state/bank"], atol=1e-3)


def test_alone_the_whole_is_the_part() -> None:
    part = torch.arange(4.0)
    assert gathered(part, Ranks()) is part
