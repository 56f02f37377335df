"""The batches of the semi-supervised stage: their nodes and the augmented views of them.

Every process draws the whole batch and keeps its share, in which the ratio of labelled to
unlabelled nodes (1 to 7) is that of the whole. Student and teacher see independent views.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Generator, Tensor

from trainer.data.augment import augment
from trainer.data.augment_strong import augment_strong
from trainer.data.cohort import UNLABELLED, Cohort
from trainer.data.folds import TRAIN, Fold
from trainer.data.sampling import (
    AUGMENT_STREAM,
    SAMPLING_STREAM,
    SSL,
    TEACHER_STREAM,
    UNLABELLED_STREAM,
    batches,
    seed_of,
    stream,
)
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.methods.method import Slots, StepNeeds
from trainer.semi_supervised.unlabelled import Unlabelled
from trainer.steps.distributed import Ranks


@dataclass(frozen=True)
class NodeView:
    """Augmented crops of this process's nodes.

    Attributes:
        hu: HU crops, shape (node, 16, 64, 64).
        mask: Outlines, same shape; None if the network needs none.
    """

    hu: Tensor
    mask: Tensor | None


@dataclass(frozen=True)
class TrainingBatch:
    """The batch of one step.

    Attributes:
        slots: The nodes of the step.
        target: Labels of this process's labelled nodes, shape (node,).
        labelled: View of these labelled nodes.
        unlabelled: The student's view of the unlabelled nodes; None if the step has none.
        second: Independent weak view of the same nodes, for the teacher or the Pi-model.
    """

    slots: Slots
    target: Tensor
    labelled: NodeView
    unlabelled: NodeView | None
    second: NodeView | None


@dataclass(frozen=True, kw_only=True)
class Pools:
    """The nodes that batches are drawn from, in one fold.

    Attributes:
        cohort: Cohort with its patches.
        labelled: Indices in the cohort of the labelled training nodes.
        labels: Labels of these nodes, 0 or 1.
        unlabelled: Indices in the cohort of the unlabelled nodes.
        config: Configuration of the stage.
        fold: Number of the fold.
        needs: What the method needs in each step.
        device: Device of the views.
        ranks: Rank of this process and number of processes.
    """

    cohort: Cohort
    labelled: np.ndarray
    labels: np.ndarray
    unlabelled: np.ndarray
    config: SslConfig
    fold: int
    needs: StepNeeds
    device: torch.device
    ranks: Ranks

    @property
    def steps(self) -> int:
        """Number of steps per epoch, which is one pass over the unlabelled nodes.

        The remaining nodes that do not fill a step are other ones in each epoch.
        """
        return max(1, len(self.unlabelled) // self.config.unlabelled_batch)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of labelled and of unlabelled nodes per step."""
        config = self.config
        if self.needs.unlabelled:
            return config.labelled_batch, config.unlabelled_batch
        return config.batch, 0


def labelled_pool(cohort: Cohort, fold: Fold, known: Unlabelled) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices in the cohort and the labels of the nodes that train with labels."""
    training = fold.nodes(cohort, TRAIN)
    if known.truth is None:
        return training, cohort.labels[training]
    told = known.truth != UNLABELLED
    places = np.concatenate([training, known.index[told]])
    return places, np.concatenate([cohort.labels[training], known.truth[told]])


def draw(pools: Pools, epoch: int) -> Iterator[TrainingBatch]:
    """Draw the batches of an epoch; all random numbers follow from (seed, fold, epoch)."""
    config, (known, hidden) = pools.config, pools.sizes
    rng = partial(stream, config.seed, pools.fold, epoch)
    first, other = (
        Generator(pools.device).manual_seed(seed_of(rng(SSL + purpose)))
        for purpose in (AUGMENT_STREAM, TEACHER_STREAM)
    )
    picks = batches(
        pools.labels, known, config.positive_fraction, rng(SSL + SAMPLING_STREAM), pools.steps
    )
    order = rng(SSL + UNLABELLED_STREAM).permutation(len(pools.unlabelled))
    rows = order[: pools.steps * hidden].reshape(pools.steps, hidden)
    for labelled, unlabelled in zip(picks, rows, strict=True):
        yield _batch(
            pools, Slots(epoch, labelled, unlabelled, _mine(pools, unlabelled)), first, other
        )


def _mine(pools: Pools, rows: np.ndarray) -> np.ndarray:
    return rows[pools.ranks.share(len(rows))]


def _batch(pools: Pools, slots: Slots, first: Generator, other: Generator) -> TrainingBatch:
    needs, labels = pools.needs, pools.labels[_mine(pools, slots.labelled)]
    target = torch.from_numpy(labels).to(pools.device).float()
    labelled = _view(pools, pools.labelled[slots.labelled], first)
    if not needs.unlabelled:
        return TrainingBatch(slots, target, labelled, None, None)
    places = pools.unlabelled[slots.unlabelled]
    unlabelled = _view(pools, places, first, strong=needs.strong)
    paired = needs.teacher or needs.second
    return TrainingBatch(
        slots, target, labelled, unlabelled, _view(pools, places, other) if paired else None
    )


def _view(pools: Pools, places: np.ndarray, drawn: Generator, *, strong: bool = False) -> NodeView:
    """Augment the whole batch, so that processes agree, and keep this process's share."""
    cohort, mine = pools.cohort, pools.ranks.share(len(places))
    index = torch.from_numpy(places).to(cohort.patches.device)
    masks = None if cohort.masks is None else cohort.masks[index].to(pools.device)
    patches = cohort.patches[index].to(pools.device)
    if strong:
        hu, mask = augment_strong(patches, pools.config.strong, drawn, masks)
    else:
        hu, mask = augment(patches, pools.config.augment, drawn, masks)
    return NodeView(hu[mine], None if mask is None else mask[mine])
