"""The contestants that the benchmarks of the semi-supervised stage compare.

`python -m benchmarks.semi NAME FOLDER` runs one contestant once.

The network is the small one; half of the cohort's nodes are used as unlabelled. Steps are timed on
batches in memory, because the input path (drawing and augmenting) is measured separately.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.data import SCORED_NODES, SSL_STEPS
from benchmarks.training import WARM_UP, time_steps, training_job, write_seconds

if TYPE_CHECKING:
    from trainer.semi_supervised.batches import TrainingBatch
    from trainer.semi_supervised.fold import SslJob


def parts(folder: Path) -> None:
    """Time the parts of a step alone.

    They are: student forward and backward on 128 nodes, optimiser, teacher forward on 112 nodes,
    and moving average.
    """
    from trainer.semi_supervised.consistency import kl_loss
    from trainer.semi_supervised.fold import make_pair
    from trainer.semi_supervised.teacher import update_teacher
    from trainer.steps.losses import sup_loss
    from trainer.steps.optimizers import build_optimizer

    job = _job(folder)
    pair = make_pair(job)
    optimizer = build_optimizer(pair.student, job.config, frozenset())
    batch = _batch(job)
    assert batch.unlabelled is not None
    assert batch.second is not None
    hu = torch.cat([batch.labelled.hu, batch.unlabelled.hu])
    known, theirs = len(batch.target), batch.second.hu
    pair.student.train()

    def steps() -> Iterator[None]:
        while True:
            logits, _ = pair.student(hu)
            with torch.no_grad():
                taught, _ = pair.teacher(theirs)
            said = type(logits)(*(None if one is None else one[:known] for one in logits))
            loss = sup_loss(said, batch.target) + kl_loss(taught.fused, logits.fused[known:]).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            update_teacher(pair.teacher, pair.student, job.config.alpha)
            yield

    time_steps(steps(), SSL_STEPS)


def our_step(folder: Path) -> None:
    """Time the loop of `lnscore train --stage ssl` on the same batch, with checks and logging."""
    from trainer.semi_supervised import stage as semi_supervised_stage

    stamps: list[float] = []
    job = replace(_job(folder), watch=lambda done, total, note: stamps.append(time.perf_counter()))
    batch = _batch(job)
    steps = WARM_UP + SSL_STEPS
    given: Any = semi_supervised_stage
    given.draw = lambda pools, epoch: itertools.islice(itertools.repeat(batch), steps)
    given.refresh = lambda job, teacher, session: np.linspace(
        0, 1, len(job.unlabelled.index), dtype="f4"
    )
    semi_supervised_stage.train_fold(job)
    # The first call of `watch` reports the scoring before the epoch.
    write_seconds(stamps[WARM_UP + SSL_STEPS] - stamps[WARM_UP])


def refresh(folder: Path) -> None:
    """Time the teacher's scoring of unlabelled nodes before every epoch of a long run.

    The export, which is done once per fold, is not timed. Writing the weights into the graph and
    checking the outputs of 8 nodes are timed.
    """
    from trainer.semi_supervised import stage as semi_supervised_stage
    from trainer.semi_supervised import teacher_session
    from trainer.semi_supervised.fold import make_pair

    job = _scored(_job(folder, epochs=-(-teacher_session.PAYS_NODES // SCORED_NODES)), SCORED_NODES)
    teacher, session = make_pair(job).teacher, teacher_session.begin(job)
    assert session is not None
    semi_supervised_stage.refresh(_scored(job, 128), teacher, session)
    started = time.perf_counter()
    semi_supervised_stage.refresh(job, teacher, session)
    write_seconds(time.perf_counter() - started)


def engine(folder: Path) -> None:
    """Time the engine of such a network on the same number of stored patches."""
    from benchmarks.data import demo_model
    from engines.bundle import read
    from engines.onnx_engine import load

    job = _job(folder)
    stored = job.cohort.patches[:SCORED_NODES].numpy()
    scorer = load(read(demo_model().parent))
    scorer.score(stored[:128])
    started = time.perf_counter()
    scorer.score(stored)
    write_seconds(time.perf_counter() - started)


def _scored(job: "SslJob", count: int) -> "SslJob":
    """Copy a job with `count` nodes to score; other fields of `unlabelled` no longer match."""
    return replace(job, unlabelled=replace(job.unlabelled, index=np.arange(count)))


def _job(folder: Path, epochs: int = 1) -> "SslJob":
    """Make a job in which half of the nodes are labelled and half are used as unlabelled."""
    from trainer.semi_supervised.config import SCRATCH
    from trainer.semi_supervised.fold import SslJob
    from trainer.semi_supervised.unlabelled import Unlabelled
    from trainer.steps.distributed import Ranks

    job = training_job(folder)
    hidden = np.arange(len(job.cohort.nodes) // 2)
    status = np.random.default_rng(0).integers(-1, 2, len(hidden))
    own = np.arange(len(hidden))
    everywhere, nowhere = np.ones(len(hidden), bool), np.zeros(len(hidden), bool)
    known = Unlabelled(
        index=hidden,
        status=status,
        station=own,
        whole=everywhere,
        weak=nowhere,
        truth=None,
        excluded={},
    )
    config = SCRATCH.model_copy(update={"epochs": epochs})
    return SslJob(
        network=job.network,
        config=config,
        cohort=job.cohort,
        unlabelled=known,
        fold=job.fold,
        place=job.place,
        device=job.device,
        ranks=Ranks(),
        watch=job.watch,
    )


def _batch(job: "SslJob") -> "TrainingBatch":
    from trainer.semi_supervised.batches import Pools, draw, labelled_pool
    from trainer.semi_supervised.methods.choose import needs_of

    places, labels = labelled_pool(job.cohort, job.fold, job.unlabelled)
    pools = Pools(
        cohort=job.cohort,
        labelled=places,
        labels=labels,
        unlabelled=job.unlabelled.index,
        config=job.config,
        fold=0,
        needs=needs_of(job.config),
        device=job.device,
        ranks=job.ranks,
    )
    return next(draw(pools, 0))


CONTESTANTS = {"parts": parts, "our-step": our_step, "refresh": refresh, "engine": engine}

if __name__ == "__main__":
    CONTESTANTS[sys.argv[1]](Path(sys.argv[2]))
