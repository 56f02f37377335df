"""Two processes do what one does, to rounding."""

# ruff: noqa: TID253

from pathlib import Path

import pytest
import torch
from torch import nn

from fake_training import TINY, make_cohort, quick, without_masks
from processes import run_ranks
from trainer.data.folds import assign
from trainer.networks.starting import Start
from trainer.runs import checkpoint
from trainer.runs.directory import LAST
from trainer.steps.distributed import Ranks, spread
from trainer.supervised.run import SupervisedRun, begin

WIDE = TINY.model_copy(update={"backbone_width": 1.0, "input_upsample": 1})
SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from fake_training import TINY, make_cohort, quick, without_masks
from trainer.steps import distributed
from trainer.data.folds import assign
from trainer.networks.starting import Start
from trainer.supervised.run import SupervisedRun, train_folds

ranks = distributed.start()
cohort = without_masks(make_cohort())
network = TINY.model_copy(update={"dropout": 0.0, "backbone_width": 1.0, "input_upsample": 1})
job = SupervisedRun(root=Path(sys.argv[1]), network=network,
                    config=quick(epochs=1, optimizer="sgd", learning_rate=1e-4), start=Start(),
                    device=torch.device("cpu"), ranks=ranks, watch=lambda done, total, note: None)
train_folds(job, cohort, assign(cohort, 0)[:1])
distributed.stop(ranks)
"""


def trained(folder: Path, processes: int) -> dict[str, torch.Tensor]:
    folder.mkdir()
    run_ranks(SCRIPT, folder, processes, str(folder / "run"))
    return checkpoint.load(folder / "run" / "fold-0" / LAST)[0]


def drawn() -> dict[str, torch.Tensor]:
    """Parameters and statistics before the first step."""
    cohort = without_masks(make_cohort())
    job = SupervisedRun(
        root=Path(),
        network=WIDE,
        config=quick(),
        start=Start(),
        device=torch.device("cpu"),
        ranks=Ranks(),
        watch=lambda done, total, note: None,
    )
    network, _, _ = begin(job, cohort, assign(cohort, 0)[0])
    return {
        name: value
        for name, value in checkpoint.weights_of(network).items()
        if value.is_floating_point()
    }


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    one, two = trained(tmp_path / "one", 1), trained(tmp_path / "two", 2)
    assert one.keys() == two.keys()
    start = drawn()
    moved = {name: (one[name] - start[name]).abs().max() for name in start}
    assert max(moved.values()) > 1e-3
    for name, most in moved.items():
        apart = (one[name] - two[name]).abs().max()
        assert apart <= 1e-2 * most + 1e-6, f"{name}: {apart:.1e} of {most:.1e}"


def test_alone_nothing_changes() -> None:
    network = nn.BatchNorm2d(3)
    assert spread(network, Ranks()) is network
    assert Ranks().share(8) == slice(0, 8)


def test_each_process_takes_its_own_part() -> None:
    taken = [Ranks(rank, 4).share(32) for rank in range(4)]
    assert [(part.start, part.stop) for part in taken] == [(0, 8), (8, 16), (16, 24), (24, 32)]


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 9 over 2 processes"):
        Ranks(0, 2).share(9)
