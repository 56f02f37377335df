"""A pretraining run: trains the body of a network on the nodes of unlabelled patients."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trainer.data.cohort import Cohort
from trainer.data.folds import UNLABELLED_PART, Fold
from trainer.data.sampling import INIT_STREAM, seed_of, stream
from trainer.errors import TrainerError
from trainer.networks.body import save_body
from trainer.networks.config import NetworkConfig
from trainer.networks.registry import build, placed
from trainer.runs import directory as run_directory
from trainer.runs.directory import DONE, LAST
from trainer.steps.guards import Watch
from trainer.supervised.pretraining_stage import NO_FOLD, PretrainConfig, PretrainJob, pretrain
from trainer.supervised.pretraining_targets import measurable

BODY = "body.safetensors"
BN_MOMENTUM = 0.1
"""BatchNorm momentum. With 0.01 the statistics lag by hundreds of steps; there are few (ours)."""


@dataclass(frozen=True)
class PretrainedBody:
    """The body that a pretraining run made.

    Attributes:
        file: Safetensors file of the body.
        sha256: SHA-256 of the file.
        nodes: Number of nodes that it was trained on.
        loss: Mean loss of the last epoch.
    """

    file: Path
    sha256: str
    nodes: int
    loss: float


def pretrain_run(
    root: Path,
    network: NetworkConfig,
    config: PretrainConfig,
    cohort: Cohort,
    fold: Fold,
    device: torch.device,
    watch: Watch,
) -> PretrainedBody:
    """Pretrain a body on the unlabelled patients of a fold, who are the same in every fold.

    Raises:
        TrainerError: T46 fewer unlabelled nodes with a mask than one batch; T12 the loss is not
            finite; T13 out of memory.
    """
    if (root / DONE).exists():
        return PretrainedBody(root / BODY, **run_directory.read_json(root / DONE))
    hidden = fold.nodes(cohort, UNLABELLED_PART)
    index = np.intersect1d(hidden, measurable(cohort))
    if len(index) < config.batch:
        raise TrainerError(
            "T46",
            f"{len(index)} nodes with a mask in patients without labels",
            f"at least one batch of {config.batch}",
            "Ingest unlabelled scans with node masks, or lower --batch.",
        )
    torch.manual_seed(seed_of(stream(config.seed, NO_FOLD, 0, INIT_STREAM)))
    drawn = placed(build(network.model_copy(update={"bn_momentum": BN_MOMENTUM})), device)
    run_directory.put_json(root / "environment.json", run_directory.environment(device))
    job = PretrainJob(
        network=drawn,
        config=config,
        cohort=cohort.to(device),
        index=index,
        place=root,
        device=device,
        watch=watch,
    )
    progress = pretrain(job)
    sha256 = save_body(drawn, root / BODY)
    loss = progress.losses[-1]
    run_directory.put_json(root / DONE, {"sha256": sha256, "nodes": len(index), "loss": loss})
    (root / LAST).unlink(missing_ok=True)  # after `DONE`: a run killed here is complete
    return PretrainedBody(root / BODY, sha256, len(index), loss)
