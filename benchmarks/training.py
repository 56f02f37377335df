"""The contestants that the benchmarks of training compare.

`python -m benchmarks.training NAME FOLDER` runs one contestant once. Steps and input paths print
the seconds of their own loop; `ready` is timed as a whole process.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.data import INPUT_NODES, STEPS
from engines.patch import SPEC

if TYPE_CHECKING:
    from trainer.supervised.stage import FoldJob

WARM_UP = 3
BATCH = 32


def bare_step(folder: Path) -> None:
    """Time forward, backward and optimiser on one fixed batch in memory."""
    from trainer.steps.losses import sup_loss

    job = training_job(folder)
    hu = torch.zeros(BATCH, *SPEC.crop_vox)
    target = torch.zeros(BATCH)
    optimizer = torch.optim.AdamW(job.network.parameters(), 1e-3)
    job.network.train()

    def steps() -> Iterator[None]:
        while True:
            loss = sup_loss(job.network(hu), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            yield

    time_steps(steps())


def our_step(folder: Path) -> None:
    """Time the same in the loop of the supervised stage: draw, gather, augment, train and check."""
    from trainer.supervised import stage as supervised_stage

    job = training_job(folder)
    stamps: list[float] = []
    supervised_stage.train_fold(
        _with_watch(job, lambda done, total, note: stamps.append(time.perf_counter()))
    )
    write_seconds(stamps[WARM_UP + STEPS - 1] - stamps[WARM_UP - 1])


def our_input(folder: Path) -> None:
    """Time our input path: stored patches to augmented batches, with one warp per batch."""
    from trainer.data.augment import WEAK, augment

    patches = torch.from_numpy(_patches(folder))
    generator = torch.Generator().manual_seed(0)

    def batch(start: int) -> None:
        augment(patches[start : start + BATCH], WEAK, generator)

    batch(0)
    started = time.perf_counter()
    for start in range(0, INPUT_NODES, BATCH):
        batch(start)
    write_seconds(time.perf_counter() - started)


def usual_input(folder: Path) -> None:
    """Time MONAI's transforms, one sample at a time, in a DataLoader with two workers.

    The ranges of the transforms are the same as ours.
    """
    from monai.transforms.compose import Compose
    from monai.transforms.croppad.array import CenterSpatialCrop
    from monai.transforms.intensity.array import RandGaussianNoise, RandShiftIntensity
    from monai.transforms.spatial.array import RandAffine, RandFlip
    from torch.utils.data import DataLoader

    radians, tenth = np.deg2rad(15), 0.1
    chain = Compose(
        [
            *(RandFlip(prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandAffine(
                prob=1.0,
                rotate_range=(radians, 0, 0),
                scale_range=(0, tenth, tenth),
                translate_range=(1, 4, 4),
                padding_mode="border",
            ),
            CenterSpatialCrop(SPEC.crop_vox),
            RandShiftIntensity(10.0, prob=1.0),
            RandGaussianNoise(prob=1.0, std=10.0),
        ]
    )
    patches = _patches(folder)

    class Nodes(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return INPUT_NODES + BATCH

        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.as_tensor(chain(patches[index % len(patches)][None].astype(np.float32)))

    batches = iter(DataLoader(Nodes(), batch_size=BATCH, num_workers=2))
    next(batches)  # starts the workers
    started = time.perf_counter()
    for _ in batches:
        pass
    write_seconds(time.perf_counter() - started)


def ready(folder: Path) -> None:
    """Do all work before the first batch: imports, patches, hashes and folds."""
    job = training_job(folder)
    from trainer.supervised.stage import TRAIN, draw_batch

    index = job.fold.nodes(job.cohort, TRAIN)[:BATCH]
    draw_batch(job, index, torch.Generator().manual_seed(0))


def training_job(folder: Path) -> "FoldJob":
    """Make a job for the first fold of the folder's cohort with the small network."""
    import tempfile

    from db.patchstore import PatchStore
    from db.session import open_database
    from lnscore.settings import Settings
    from trainer.data import cohort, folds
    from trainer.networks.config import TwoStreamConfig
    from trainer.networks.starting import Start
    from trainer.steps.distributed import Ranks
    from trainer.supervised.config import SCRATCH
    from trainer.supervised.run import SupervisedRun, begin
    from trainer.supervised.stage import FoldJob

    settings = Settings(db=str(folder / "train.db"))
    with open_database(settings.db) as database, database.read() as session:
        nodes = cohort.load(session, PatchStore(settings.store_root), "radiologist")
    fold = folds.assign(nodes, 0)[0]
    place, device = Path(tempfile.mkdtemp(dir=folder)), torch.device("cpu")
    config = SCRATCH.model_copy(update={"epochs": 1})
    small = TwoStreamConfig(variant="small", group_stride=3, fpn_channels=32)
    run = SupervisedRun(
        root=place,
        network=small,
        config=config,
        start=Start(),
        device=device,
        ranks=Ranks(),
        watch=_nothing,
    )
    network, fresh, _ = begin(run, nodes, fold)
    return FoldJob(
        network=network,
        fresh=fresh,
        config=config,
        cohort=nodes,
        fold=fold,
        place=place,
        device=device,
        ranks=Ranks(),
        watch=_nothing,
    )


def _nothing(done: int, total: int, note: str) -> None:
    pass


def _with_watch(job: "FoldJob", watch: Callable[[int, int, str], None]) -> "FoldJob":
    from dataclasses import replace

    return replace(job, watch=watch)


def _patches(folder: Path) -> np.ndarray:
    files = sorted((folder / "train.db.patches").rglob("*.npy"))[: -(-INPUT_NODES // 10)]
    return np.concatenate([np.load(file) for file in files])


def time_steps(steps: Iterator[None], count: int = STEPS) -> None:
    """Print the seconds of `count` steps; the warm-up steps before them are not timed."""
    for _ in range(WARM_UP):
        next(steps)
    started = time.perf_counter()
    for _ in range(count):
        next(steps)
    write_seconds(time.perf_counter() - started)


def write_seconds(seconds: float) -> None:
    """Print the seconds, for the process that compares the contestants."""
    sys.stdout.write(f"{seconds:.6f}\n")


CONTESTANTS = {
    "bare-step": bare_step,
    "our-step": our_step,
    "our-input": our_input,
    "usual-input": usual_input,
    "ready": ready,
}

if __name__ == "__main__":
    CONTESTANTS[sys.argv[1]](Path(sys.argv[2]))
